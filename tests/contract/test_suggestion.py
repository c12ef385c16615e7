"""What is suggested for tables of known meaning: sources, times, money, leaks, and doubts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from jobs.mapping.contracts import candidates
from lib.contract import TIME, Contract, ContractError, parse_mapping
from lib.contract.source import read_checked
from lib.contract.suggestion.column_names import load_candidates, words_of
from lib.contract.suggestion.suggestion import Suggestion, suggest
from tests.fraud import public_layouts as payments
from tests.layout_files import write_csv
from tests.maintenance import public_layouts as machines
from tests.moderation import public_layouts as posts

ALL = candidates()


def suggested(path: Path, contract: str | None = None, rows: int = 3_000) -> Suggestion:
    return suggest(str(path), [c for c in ALL if contract in (None, c.name)], rows)


def entries(suggestion: Suggestion, section: str = "columns") -> dict[str, Any]:
    return yaml.safe_load(suggestion.text).get(section, {})


def sources(suggestion: Suggestion) -> dict[str, Any]:
    return {name: entry.get("from") for name, entry in entries(suggestion).items()}


def doubts(suggestion: Suggestion, column: str) -> str:
    """What stands behind `# unsure:` above the line of a column."""
    above: list[str] = []
    for line in suggestion.text.splitlines():
        if line.strip().startswith("# unsure:"):
            above.append(line)
        elif line.strip().startswith(f"{column}:"):
            return " ".join(above)
        else:
            above = []
    raise AssertionError(f"no line of {column}")


def left_out(suggestion: Suggestion, column: str) -> str:
    """Why a column is left out, "" where it is not."""
    for line in suggestion.text.splitlines():
        if line.startswith("# left out: "):
            names, _, reason = line.removeprefix("# left out: ").rpartition(": ")
            if column in [name.strip() for name in names.partition(": ")[0].split(",")]:
                return f"{names} {reason}"
    return ""


def table(folder: Path, name: str = "export.csv", **columns: Sequence[object]) -> Path:
    path = folder / name
    write_csv(path, list(columns), zip(*columns.values(), strict=True))
    return path


def paid(folder: Path, rows: int = 60, **columns: Sequence[object]) -> Path:
    """Payments with these columns beside id, time, payer, payee and amount, or in their place."""
    base: dict[str, Sequence[object]] = {
        "tx_id": [f"p{k}" for k in range(rows)],
        "ts": [f"2024-03-01T10:{k:02d}:00Z" for k in range(rows)],
        "customer": [f"c{k % 7}" for k in range(rows)],
        "shop": [f"s{k % 5}" for k in range(rows)],
        "amount": [f"{k}.50" for k in range(rows)],
    }
    return table(folder, **{**base, **columns})


LAYOUTS: list[tuple[Callable[[Path], None], str, str, dict[str, Any]]] = [
    (
        payments.write_paysim,
        "paysim.csv",
        "fraud.transactions",
        {
            "user_id": "nameOrig",
            "merchant_id": "nameDest",
            "amount_minor": "amount",
            "event_time": "step",
            "payment_method": "type",
        },
    ),
    (
        payments.write_tabformer,
        "tabformer.csv",
        "fraud.transactions",
        {
            "event_time": ["Year", "Month", "Day", "Time"],
            "user_id": "User",
            "merchant_id": "Merchant Name",
            "amount_minor": "Amount",
            "payment_method": "Use Chip",
        },
    ),
    (machines.write_skab, "skab", "maintenance.telemetry", {"event_time": "datetime"}),
    (machines.write_nab_folder, "nab", "maintenance.telemetry", {"event_time": "timestamp"}),
    (
        machines.write_ai4i,
        "ai4i.csv",
        "maintenance.telemetry",
        {
            "machine_id": "Type",
            "event_time": "UDI",
            "air_temperature": "Air temperature [K]",
            "rotational_speed": "Rotational speed [rpm]",
        },
    ),
    (posts.write_spam, "spam.csv", "moderation.posts", {"text": "v2"}),
    (
        posts.write_hatecheck,
        "hatecheck.csv",
        "moderation.posts",
        {"post_id": "case_id", "text": "test_case"},
    ),
]


@pytest.mark.parametrize(("write", "name", "contract", "expected"), LAYOUTS)
def test_a_public_layout_is_recognised_and_its_columns_are_found(
    write: Callable[[Path], None],
    name: str,
    contract: str,
    expected: dict[str, Any],
    tmp_path: Path,
):
    write(tmp_path)
    suggestion = suggested(tmp_path / name)
    assert suggestion.contract == contract
    assert {key: sources(suggestion)[key] for key in expected} == expected


def test_flags_in_columns_of_their_own_become_labels_by_unpivot(tmp_path: Path):
    posts.write_jigsaw(tmp_path)
    suggestion = suggested(tmp_path / "train.csv", "moderation.labels")
    assert entries(suggestion, "unpivot")["columns"] == list(posts.JIGSAW_LABELS)
    assert entries(suggestion, "where") == {"violates": {"not_in": ["-1"]}}
    assert suggestion.checked.left_out == 6 * posts.JIGSAW_UNJUDGED


def test_a_column_beside_texts_may_be_their_label(tmp_path: Path):
    posts.write_spam(tmp_path)
    suggestion = suggested(tmp_path / "spam.csv", "moderation.posts")
    assert entries(suggestion, "attributes")["v1"]["type"] == "category"
    assert "if people decided it of the text it is a label" in doubts(suggestion, "v1")


# times


@pytest.mark.parametrize(
    ("texts", "keys", "unsure"),
    [
        (["2024-03-01T10:00:00Z", "2024-03-02T10:00:00Z"], {}, ""),
        (["2024-03-01 10:00:00", "2024-03-02 10:00:00"], {"timezone": "UTC"}, "no zone"),
        (["1709295308", "1709299999"], {"unit": "s"}, ""),
        (["1709295308123", "1709299999456"], {"unit": "ms"}, ""),
        (["20240131", "20240229"], {"format": "%Y%m%d", "timezone": "UTC"}, "no zone"),
        (["31.01.2024", "29.02.2024"], {"format": "%d.%m.%Y", "timezone": "UTC"}, "no zone"),
        (["01/31/2024", "02/29/2024"], {"format": "%m/%d/%Y", "timezone": "UTC"}, "no zone"),
        (["01/02/2024", "03/04/2024"], {"format": "%d/%m/%Y", "timezone": "UTC"}, "swapped"),
        (["1", "300"], {"unit": "h", "plus": "10957d"}, "do not tell"),
    ],
)
def test_times_are_read_as_they_are_written_and_what_is_not_told_is_unsure(
    texts: list[str], keys: dict[str, str], unsure: str, tmp_path: Path
):
    name = "step" if texts[0] == "1" else "ts"
    path = table(tmp_path, **{"tx": ["a", "b"], name: texts, "cust": ["x", "y"], "amt": [1.5, 2.5]})
    suggestion = suggested(path, "fraud.transactions")
    assert entries(suggestion)["event_time"] == {"from": name, **keys}
    assert unsure in doubts(suggestion, "event_time")
    assert ("zone" in doubts(suggestion, "event_time")) == ("timezone" in keys)
    assert not suggestion.checked.reasons


def test_a_zone_in_the_name_of_a_column_is_no_guess(tmp_path: Path):
    path = paid(tmp_path, rows=2, ts=["", ""], time_utc=["2024-03-01 10:00:00"] * 2)
    suggestion = suggested(path)
    assert entries(suggestion)["event_time"] == {"from": "time_utc", "timezone": "UTC"}
    assert doubts(suggestion, "event_time") == ""


def test_a_naive_time_of_parquet_is_unsure_too(tmp_path: Path):
    path = tmp_path / "payments.parquet"
    times = pa.array([1, 2], pa.timestamp("us"))
    moved = pa.array([1_700_000_000_000_000, 1_700_000_001_000_000]).cast(times.type)
    pq.write_table(pa.table({"tx_id": ["a", "b"], "ts": moved, "amount": [1.5, 2.0]}), path)
    assert "no zone" in doubts(suggested(path, "fraud.transactions"), "event_time")


def test_a_far_day_that_stands_for_none_is_declared_and_unsure(tmp_path: Path):
    ends = ["2024-05-01", "9999-12-31"] * 5
    path = table(
        tmp_path,
        customer_id=range(10),
        since=["2024-01-01T00:00:00Z"] * 10,
        renewal_date=ends,
        plan=["a"] * 10,
    )
    suggestion = suggested(path, "churn.customers")
    assert entries(suggestion)["renewal_at"]["missing"] == ["9999-12-31"]
    assert "9999-12-31" in doubts(suggestion, "renewal_at")


# money


@pytest.mark.parametrize(
    ("texts", "keys", "unsure"),
    [
        (["10.50", "3.00"], {"unit": "major", "currency_digits": 2}, "2 decimals"),
        (["1050", "300"], {"unit": "major", "currency_digits": 2}, "minor units"),
        (["$1,200.50", "$3.00"], {"thousands": ",", "sign": ["$"]}, "2 decimals"),
        (["1.234", "3.500"], {"currency_digits": 3}, "3 decimals"),
        (["(3.00)", "5.25"], {"negative": "parentheses"}, "below 0 are set aside"),
    ],
)
def test_an_amount_is_never_guessed_silently(
    texts: list[str], keys: dict[str, Any], unsure: str, tmp_path: Path
):
    suggestion = suggested(paid(tmp_path, rows=2, amount=texts))
    entry = entries(suggestion)["amount_minor"]
    assert {key: entry[key] for key in keys} == keys
    assert unsure in doubts(suggestion, "amount_minor")


def test_the_currency_of_the_rows_tells_the_decimals(tmp_path: Path):
    path = paid(tmp_path, rows=2, amount=["1500", "20"], currency=["JPY", "JPY"])
    assert entries(suggested(path))["amount_minor"]["currency_digits"] == 0
    path = paid(tmp_path, rows=2, currency=["EUR", "USD"])
    assert "2 currencies" in doubts(suggested(path), "amount_minor")


def test_a_name_that_says_cents_reads_minor_units(tmp_path: Path):
    path = table(
        tmp_path, tx=["a"], ts=["2024-03-01T10:00:00Z"], cust=["x"], shop=["s"], amount_cents=[1050]
    )
    assert entries(suggested(path))["amount_minor"] == {"from": "amount_cents", "unit": "minor"}


def test_a_decimal_comma_is_a_matter_of_the_file(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("tx;ts;cust;shop;amt;lat;lon\n1;2024-03-01T10:00:00Z;7;s;10,50;48,85;2,35\n")
    suggestion = suggested(path)
    assert entries(suggestion, "file") == {"delimiter": ";", "decimal_mark": ","}
    assert suggestion.checked.good["amount_minor"].to_pylist() == [1050]
    assert suggestion.checked.good["latitude"].to_pylist() == [48.85]


# files


@pytest.mark.parametrize(
    ("content", "section", "rows"),
    [
        (b"tx|ts\n1|2024-03-01\n2|2024-03-02\n", {"delimiter": "|"}, 2),
        (b"Report of March\n\ntx,ts\n1,2024-03-01\n2,2024-03-02\n", {"skip_lines": 2}, 2),
        (b"1,2024-03-01,5.5\n2,2024-03-02,6.5\n", {"header": False}, 2),
        ("tx,name\n1,Zoë\n2,é\n".encode("cp1252"), {"encoding": "cp1252"}, 2),
        ("tx;name\n1;Zoë\n2;é\n".encode("utf-16"), {"delimiter": ";"}, 2),
        ("tx,name\n1,b\n2,c\n".encode("utf-16-le"), {"encoding": "utf-16-le"}, 2),
        (b"tx,name\n'1','b,c'\n'2','c,d'\n", {"quote": "'"}, 2),
        (b"tx,n\n1,NA\n2,3.5\n3,4.5\n", {"missing": ["NA"]}, 3),
        (b"tx,n\n1,2.5,\n2,3.5,\n", {"columns": ["tx", "n", "column 3"], "header": True}, 2),
    ],
)
def test_how_a_file_is_written_is_found(
    content: bytes, section: dict[str, Any], rows: int, tmp_path: Path
):
    path = tmp_path / "export.csv"
    path.write_bytes(content)
    suggestion = suggested(path, "fraud.transactions")
    assert entries(suggestion, "file") == section
    mapping = parse_mapping(suggestion.text, [suggestion.choice.candidate.contract])
    checked = read_checked(mapping, str(path))
    assert checked.rows_in == rows
    assert not any(reason.startswith("line:") for reason in checked.reasons)


def test_an_ending_that_says_nothing_is_completed_by_the_format(tmp_path: Path):
    pq.write_table(pa.table({"tx": ["a"], "amount": [1.5]}), tmp_path / "part-0.snappy.data")
    suggestion = suggested(tmp_path / "part-0.snappy.data", "fraud.transactions")
    assert entries(suggestion, "file") == {"format": "parquet"}


def test_nothing_to_read_is_an_error(tmp_path: Path):
    (tmp_path / "empty.csv").touch()
    (tmp_path / "head.csv").write_text("a,b\n")
    (tmp_path / "blank.csv").write_text("\n\n\n")
    for name in ("empty.csv", "head.csv", "blank.csv"):
        with pytest.raises(ContractError, match="no rows"):
            suggested(tmp_path / name)
    (tmp_path / "twice.csv").write_text("a,a\n1,2\n")
    with pytest.raises(ContractError, match="no column has a name of its own"):
        suggested(tmp_path / "twice.csv")
    with pytest.raises(ContractError, match="no file or folder"):
        suggested(tmp_path / "absent.csv")


def test_machines_with_a_file_each_are_named_by_their_files(tmp_path: Path):
    machines.write_nab_folder(tmp_path)
    suggestion = suggested(tmp_path / "nab")
    assert entries(suggestion)["machine_id"] == {"from_file": "stem"}
    assert "no column of the file fills it" in doubts(suggestion, "machine_id")
    assert not suggestion.checked.reasons


def test_machines_and_cycles_without_names_are_told_by_their_values(tmp_path: Path):
    lines = [f"{m} {c} {500 + (m * c) % 7}.{c} {c * 3.5}" for m in (1, 2, 3) for c in range(1, 31)]
    (tmp_path / "train_FD001.txt").write_text("\n".join([*lines, ""]))
    suggestion = suggested(tmp_path / "train_FD001.txt")
    assert suggestion.contract == "maintenance.telemetry"
    assert entries(suggestion, "file") == {"delimiter": "space", "header": False}
    assert entries(suggestion)["machine_id"] == {"from": "1"}
    assert entries(suggestion)["event_time"] == {"from": "2", "unit": "h", "plus": "10957d"}
    assert "by its type alone" in doubts(suggestion, "machine_id")
    assert suggestion.checked.good.num_rows == len(lines)


# what is lacking, left over and left out


def test_a_required_column_that_nothing_fills_is_named_and_unsure(tmp_path: Path):
    suggestion = suggested(paid(tmp_path))
    assert list(suggestion.lacking) == ["currency", "payment_method"]
    assert "# Lacking, see below: currency, payment_method." in suggestion.text
    for name in suggestion.lacking:
        assert "no column of the file fills it" in doubts(suggestion, name)
    assert suggestion.checked.good.num_rows == 60


def test_a_label_without_a_time_of_its_own_is_known_a_week_later_unsure(tmp_path: Path):
    path = paid(tmp_path, is_fraud=[k % 2 for k in range(60)])
    suggestion = suggested(path, "fraud.labels")
    assert entries(suggestion)["observed_at"] == {"from": "ts", "plus": "7d"}
    assert "7 days" in doubts(suggestion, "observed_at")


RANDOM = np.random.default_rng(1)
FRAUD = (RANDOM.random(200) < 0.2).astype(int).tolist()


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("fraud_scenario", [3 * flag for flag in FRAUD], "label"),
        ("hint", [flag + float(RANDOM.normal(0, 0.1)) for flag in FRAUD], "a leak, most likely"),
        ("blocked", [flag * (k % 3 == 0) for k, flag in enumerate(FRAUD)], "follows from it"),
        ("newBalance", RANDOM.normal(0, 1, 200).tolist(), "known afterwards"),
        ("last_login", [f"2024-02-{k % 28 + 1:02d}T00:00:00Z" for k in range(200)], "a time"),
        ("email", [f"a{k % 50}@b.c" for k in range(200)], "people"),
        ("uuid_of_row", [f"{k:x}-{k}" for k in range(200)], "names the row"),
        ("constant", ["same"] * 200, "same value"),
        ("empty", [""] * 200, "no value"),
        ("remark", [f"see the note {k % 77} about this and that" for k in range(200)], "free text"),
    ],
)
def test_what_looks_like_a_label_or_teaches_nothing_is_left_out_with_the_reason(
    name: str, values: list[object], reason: str, tmp_path: Path
):
    rows = {
        "tx_id": [f"p{k}" for k in range(200)],
        "ts": [f"2024-03-01T10:{k % 60:02d}:00Z" for k in range(200)],
        "customer": [f"c{k % 7}" for k in range(200)],
        "shop": [f"s{k % 5}" for k in range(200)],
        "amount": RANDOM.lognormal(3, 1, 200).round(2).tolist(),
        "isFraud": FRAUD,
        name: values,
    }
    suggestion = suggested(table(tmp_path, **rows))
    assert suggestion.contract == "fraud.transactions"
    assert reason in left_out(suggestion, name)
    assert "label" in left_out(suggestion, "isFraud")
    assert entries(suggestion, "attributes") == {}


@pytest.mark.parametrize(
    ("name", "values", "expected", "unsure"),
    [
        ("merchantCategory", ["food", "toys", "cars"], {"type": "category"}, ""),
        ("mcc", [5411, 5812, 7995], {"type": "category"}, "codes"),
        ("accountAgeDays", RANDOM.integers(0, 900, 60).tolist(), {"type": "number"}, ""),
        ("V1", RANDOM.normal(0, 1, 60).tolist(), {"type": "number"}, ""),
        ("isGuest", ["Y", "N", "N"], {"type": "flag"}, ""),
        (
            "guest",
            ["ja", "nein", "nein"],
            {"type": "flag", "values": {"ja": "true", "nein": "false"}},
            "ja is taken for true",
        ),
    ],
)
def test_other_columns_become_attributes_of_their_type(
    name: str, values: list[object], expected: dict[str, Any], unsure: str, tmp_path: Path
):
    path = paid(tmp_path, **{name: (values * 60)[:60]})
    suggestion = suggested(path)
    ((own_name, entry),) = entries(suggestion, "attributes").items()
    assert words_of(own_name) == words_of(name) or own_name == name.lower()
    assert {key: value for key, value in entry.items() if key != "from"} == expected
    assert unsure in doubts(suggestion, own_name)


def test_an_attribute_never_takes_the_name_of_a_column_of_the_contract(tmp_path: Path):
    columns = {"price": [f"{k}.25" for k in range(60)], "Amount Minor!": [k % 9 for k in range(60)]}
    suggestion = suggested(paid(tmp_path, **columns))
    names = set(entries(suggestion, "attributes")) | set(entries(suggestion))
    assert {"price", "Amount Minor!"} <= {
        entry.get("from")
        for section in ("columns", "attributes")
        for entry in entries(suggestion, section).values()
    }
    assert len(names) == len(entries(suggestion, "attributes")) + len(entries(suggestion))


def test_every_line_tells_what_it_was_guessed_from(tmp_path: Path):
    suggestion = suggested(paid(tmp_path, channel=["web", "app", "shop"] * 20))
    lines = suggestion.text.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("  ") and not line.strip().startswith("#"):
            assert "  # " in line or "# unsure" in lines[number - 1], line


# names


def test_a_spelling_means_one_column_of_a_table_surely_times_apart():
    for candidate in ALL:
        owners: dict[str, str] = {}
        for column, spellings in candidate.spellings.items():
            for spelling, sureness in spellings.items():
                if sureness == 1.0 and candidate.contract[column].type != TIME:
                    other = owners.setdefault("".join(words_of(spelling)), column)
                    assert other == column, f"{candidate.name}: {spelling}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tables: {payments: {columns: {}}}", "did you mean|known: transactions"),
        ("tables: {transactions: {columns: {amount: [amt]}}}", "has no column 'amount'"),
        ("outcome: [fraud]", "unknown field; did you mean 'outcomes'"),
    ],
)
def test_a_wrong_file_of_spellings_is_refused(text: str, message: str, tmp_path: Path):
    contracts: tuple[Contract, ...] = tuple(c.contract for c in ALL if c.system == "fraud")
    (tmp_path / "names.yaml").write_text(text)
    with pytest.raises(ContractError, match=message):
        load_candidates(tmp_path / "names.yaml", "fraud", contracts)


def test_an_unknown_contract_is_refused_with_those_that_are_known():
    with pytest.raises(ContractError, match="did you mean 'transactions'"):
        candidates("transaction")
    assert {c.system for c in candidates("labels")} == {"fraud", "moderation"}
    assert [c.name for c in candidates("fraud.labels")] == ["fraud.labels"]
