"""Tables of many shapes, as somebody's export might hold them, for Hypothesis to draw."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pyarrow as pa
from hypothesis import strategies as st

NAMES = (
    *(
        "TRANSACTION_ID",
        "TX_DATETIME",
        "CUSTOMER_ID",
        "TX_AMOUNT",
        "TX_FRAUD",
        "customerID",
        "msno",
    ),
    *("unit_number", "cycle", "TransactionDT", "isFraud", "amount", "currency", "type", "id", "ts"),
    *("Year", "Month", "Day", "Time", "date", "tweet", "label", "churn", "rul", "Churn?", "lat"),
    *("lon", "value", "tag", "machineID", "failure", "errorID", "Air temperature [K]", "speed_rpm"),
    *("price", "quantity", "invoice_no", "email", "name", "yes", "null", "a: b", "# c", "'q'", "é"),
    *("priority", "closed_at", "seats", "mrr", "plan", "score", "kind", "policy", "text", "reach"),
)
_DAY = datetime(2024, 3, 1, 10, 30)
_TIMES = st.integers(0, 3_000_000).map(lambda k: _DAY + timedelta(seconds=k))
_FORMATS = (
    *("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%d.%m.%Y", "%m/%d/%Y %H:%M", "%Y%m%d", "%H:%M"),
    *("%Y-%m-%d", "%d-%b-%Y", "%Y-%m-%d %H:%M:%S+02:00"),
)
_WORDS = st.sampled_from(("NA", "NULL", "-", "?", "nan", "", "unknown", "9999-12-31"))
_NUMBERS = st.one_of(
    st.integers(-5, 5_000).map(str),
    st.floats(-1e6, 1e6).map(lambda number: f"{number:.2f}"),
    st.integers(0, 10**9).map(lambda number: f"{number:,}"),
    st.integers(0, 10**6).map(lambda number: f"{number / 100:.2f}".replace(".", ",")),
    st.integers(0, 10**6).map(lambda number: f"${number / 100:,.2f}"),
    st.integers(0, 9_999).map(lambda number: f"({number}.00)"),
    st.integers(0, 99_999).map(lambda number: f"{number:05d}"),
    st.integers(1_600_000_000, 1_800_000_000).map(str),
    st.floats(allow_nan=True, allow_infinity=True).map(str),
)
_FLAGS = st.sampled_from(
    (("Y", "N"), ("0", "1"), ("true", "false"), ("ja", "nein"), ("spam", "ham"))
)
_TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=12
)


def _column(rows: int) -> st.SearchStrategy[list[str]]:
    """Texts of a column: of a kind, with other texts among them now and then."""

    def of(element: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
        mixed = st.one_of(element, element, element, _WORDS)
        return st.one_of(
            st.lists(element, min_size=rows, max_size=rows),
            st.lists(mixed, min_size=rows, max_size=rows),
        )

    return st.one_of(
        st.sampled_from(_FORMATS).flatmap(lambda form: of(_TIMES.map(lambda t: t.strftime(form)))),
        _FLAGS.flatmap(lambda pair: of(st.sampled_from(pair))),
        of(st.integers(-5, 5_000).map(str)),
        of(_NUMBERS),
        of(_TEXTS),
        of(st.sampled_from(("EUR", "USD", "JPY"))),
        st.just([str(number) for number in range(rows)]),
    )


@dataclass(frozen=True)
class AnyFile:
    """A CSV file.

    Attributes:
        content: its bytes.
        rows: below the header.
        ending: of its name.
    """

    content: bytes
    rows: int
    ending: str


@st.composite
def any_csv(draw: st.DrawFn) -> AnyFile:
    """A CSV file of columns of any kind and name; no value holds a line end."""
    rows = draw(st.integers(1, 30))
    names = draw(st.lists(st.one_of(st.sampled_from(NAMES), _TEXTS), min_size=1, max_size=8))
    names = [*names, "of its own"] if max(map(names.count, names)) > 1 else names
    columns = [draw(_column(rows)) for _ in names]
    delimiter = draw(st.sampled_from((",", ",", ";", "\t", "|")))
    encoding = draw(st.sampled_from(("utf-8", "utf-8-sig", "cp1252", "utf-16")))
    text = io.StringIO(newline="")
    quoting = draw(st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)))
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(zip(*columns, strict=True))
    content = text.getvalue().encode(encoding, errors="replace")
    return AnyFile(content, rows, draw(st.sampled_from((".csv", ".txt", ".tsv"))))


_TYPED = (
    (pa.int64(), st.one_of(st.none(), st.integers(-(2**40), 2**40))),
    (pa.int8(), st.one_of(st.none(), st.integers(0, 1))),
    (pa.float64(), st.one_of(st.none(), st.floats())),
    (pa.float32(), st.one_of(st.none(), st.floats(width=32))),
    (pa.decimal128(12, 2), st.one_of(st.none(), st.decimals(0, 10**6, places=2))),
    (pa.bool_(), st.one_of(st.none(), st.booleans())),
    (pa.string(), st.one_of(st.none(), _TEXTS)),
    (pa.large_string(), st.one_of(st.none(), st.sampled_from(("Y", "N")))),
    (pa.timestamp("ns"), st.one_of(st.none(), _TIMES)),
    (pa.timestamp("us", "UTC"), st.one_of(st.none(), _TIMES)),
    (pa.date32(), st.one_of(st.none(), st.dates(date(1800, 1, 1), date(2200, 1, 1)))),
    (pa.time64("us"), st.one_of(st.none(), st.times())),
    (pa.list_(pa.float64()), st.one_of(st.none(), st.lists(st.floats(), max_size=3))),
    (pa.binary(), st.one_of(st.none(), st.binary(max_size=4))),
    (pa.struct([("a", pa.int64())]), st.one_of(st.none(), st.just({"a": 1}))),
    (pa.null(), st.none()),
)


@st.composite
def any_table(draw: st.DrawFn) -> pa.Table:
    """A table of typed columns, as Parquet holds them."""
    rows = draw(st.integers(1, 30))
    names = draw(st.lists(st.one_of(st.sampled_from(NAMES), _TEXTS), min_size=1, max_size=8))
    if "" in names or max(map(names.count, names)) > 1:
        names = [*names, "of its own"]
    arrays = []
    for _ in names:
        kind, element = draw(st.sampled_from(_TYPED))
        arrays.append(pa.array(draw(st.lists(element, min_size=rows, max_size=rows)), kind))
    return pa.Table.from_arrays(arrays, names=names)
