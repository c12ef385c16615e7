"""Values as other people write them: ids printed as floats, sentinels, odd optional values."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.contract import (
    QUARANTINE_REASON,
    ContractError,
    parse_mapping,
    read_checked,
)
from lib.contract.cast import to_number, to_text, to_whole
from lib.contract.checked import Adjustments
from lib.contract.number_text import NumberFormat
from tests.contract.factories import PLACES

FLOATS = "place_id: whole numbers printed as floats (1001.0); read without '.0'"
UUIDS = [bytes(range(16)), bytes(range(16, 32))]
HALF_A_PLACE = "latitude, longitude: only some of these are given; set to missing"


def places(columns: str = "", top: str = "", **raw: list[object]):
    rows = len(next(iter(raw.values())))
    filled = {"id": [f"p{row}" for row in range(rows)], "at": ["2024-03-01T10:00:00Z"] * rows} | raw
    mapping = parse_mapping(
        "contract: places\n"
        + top
        + "\ncolumns:\n  place_id: id\n  seen_at: at\n"
        + "".join(f"  {line}\n" for line in columns.split("; ") if line),
        [PLACES],
    )
    return mapping.check(pa.table(filled))


@pytest.mark.parametrize("ids", [["1001.0", "7.0"], [1001.0, 7.0], [1001, 7], ["1001", "7"]])
def test_ids_of_whole_numbers_are_the_same_however_they_were_printed(ids):
    checked = places(id=ids)
    assert checked.good["place_id"].to_pylist() == ["1001", "7"]
    assert checked.adjustments == ({FLOATS: 2} if ids[0] == "1001.0" else {})


@pytest.mark.parametrize(
    "ids", [["1.0", "2.1"], ["1.0", "v2"], ["1.0", "1"], ["1.0", ""], ["1.00", "2.0"]]
)
def test_ids_that_no_column_of_floats_printed_stay_as_they_are(ids):
    checked = places(id=ids)
    assert {*checked.good["place_id"].to_pylist()} <= set(ids)
    assert checked.adjustments == {}


@given(st.lists(st.sampled_from(["1", "1.0", "2.0", "2", "2.00", "01.0", "a.0", "-1.0"])))
def test_two_ids_never_become_one(ids):
    checked = places(id=ids or ["x"])
    assert len(set(checked.good["place_id"].to_pylist())) == len(set(ids or ["x"]))


def test_a_missing_id_beside_floats_is_quarantined_alone():
    checked = places(id=["1001.0", None])
    assert checked.good["place_id"].to_pylist() == ["1001"]
    assert checked.reasons == {"place_id: missing": 1}


FORMS = {
    "nfc": ("e\u0301te\u0301", "été"),
    "casefold": ("Straße", "strasse"),
    "strip": (" a b\u00a0", "a b"),
    "whole": ("7.0", "7"),
    "as_written": ("1.0", "1.0"),
    "[strip, casefold]": (" A ", "a"),
}
"""By the form that a mapping declares: an id in the source, and what is read."""


@pytest.mark.parametrize("form", FORMS)
def test_ids_take_the_form_that_is_declared(form):
    source, expected = FORMS[form]
    checked = _one_id(source, f"{{from: id, normalize: {form}}}")
    assert checked.good["place_id"].to_pylist() == [expected]


def _one_id(value: str, entry: str):
    text = f"contract: places\ncolumns:\n  place_id: {entry}\n  seen_at: at\n"
    table = pa.table({"id": [value], "at": ["2024-03-01T10:00:00Z"]})
    return parse_mapping(text, [PLACES]).check(table)


@pytest.mark.parametrize("letter", ["\x00", "\x1f", "\n", "\x7f", "\x85"])
def test_ids_with_control_characters_are_quarantined_as_the_service_refuses_them(letter):
    checked = places(id=[f"a{letter}b", "ab"])
    assert checked.good["place_id"].to_pylist() == ["ab"]
    assert list(checked.reasons) == ["place_id: holds control characters, which no identifier may"]


def test_whole_floats_in_text_are_whole_numbers():
    values = ["12.0", "1e3", " 7. ", "2.5", "12345678901234567.0"]
    integers, faults = to_whole("n", pa.array(values))
    assert integers.to_pylist() == [12, 1000, 7, None, 12345678901234567]
    assert [text for mask, text in faults if mask.any()] == ["n: not a whole number"]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_text_of_floats_is_read_as_whole_or_refused_like_the_floats(numbers):
    expected, _ = to_whole("n", pa.array(numbers))
    read, _ = to_whole("n", pa.array([str(number) for number in numbers]))
    for number, left, right in zip(numbers, read.to_pylist(), expected.to_pylist(), strict=True):
        # text of more than 53 bits is exact, a float of that size is not
        assert left == right or (abs(number) >= 2**53 and left == int(number))


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1),
    st.sampled_from([(".", None), (",", None), (",", "."), (".", ","), (",", " "), (".", "'")]),
)
def test_numbers_of_any_declared_writing_are_read_back(numbers, how):
    mark, thousands = how
    texts = [
        f"{number:,}" if thousands and "e" not in str(number) else str(number) for number in numbers
    ]
    swap = {",": thousands or "", ".": mark}
    spelt = ["".join(swap.get(letter, letter) for letter in text) for text in texts]
    read, faults = to_number("n", pa.array(spelt), NumberFormat(mark, thousands))
    assert (read.to_pylist(), [text for mask, text in faults if mask.any()]) == (numbers, [])


@pytest.mark.parametrize(
    "top", ["file: {decimal_mark: ','}", "file: {decimal_mark: ',', thousands: .}"]
)
def test_a_file_declares_its_decimal_mark_for_every_number(top):
    checked = places(
        "latitude: lat; longitude: lon; seats: seats",
        top,
        lat=["48,80"],
        lon=["-2,5"],
        seats=["12,0"],
    )
    (row,) = checked.good.to_pylist()
    assert (row["latitude"], row["longitude"], row["seats"]) == (48.8, -2.5, 12)


def test_a_column_says_otherwise_than_its_file():
    columns = "latitude: lat; longitude: {from: lon, decimal_mark: .}"
    (row,) = places(
        columns, "file: {decimal_mark: ',', thousands: .}", lat=["48,80"], lon=["2.5"]
    ).good.to_pylist()
    assert (row["latitude"], row["longitude"]) == (48.8, 2.5)


@pytest.mark.parametrize(
    ("lat", "lon", "note"),
    [
        ("48,80", "2.0", "latitude: not a number with decimal_mark '.' and thousands none"),
        ("95", "2.0", "latitude: above 90.0; set to missing"),
        ("48.8", "east", "longitude: not a number; set to missing"),
        ("48.8", None, HALF_A_PLACE),
    ],
)
def test_a_place_that_cannot_be_read_is_missing_and_counted(lat, lon, note):
    checked = places("latitude: lat; longitude: lon", lat=[lat, "1"], lon=[lon, "2"])
    assert checked.good["latitude"].to_pylist() == [None, 1.0]
    assert checked.good["longitude"].to_pylist() == [None, 2.0]
    assert checked.reasons == {}
    ((text, count),) = checked.adjustments.items()
    assert (text.startswith(note), count) == (True, 1)


def test_an_optional_value_whose_absence_says_something_keeps_its_row_out():
    checked = places("turned_away: n", n=["many", "3"])
    assert checked.good["turned_away"].to_pylist() == [3]
    assert checked.reasons == {"turned_away: not a whole number": 1}


def test_a_mapping_says_what_becomes_of_an_unreadable_optional_value():
    lenient = places("turned_away: {from: n, unreadable: missing}", n=["many"])
    assert lenient.good["turned_away"].to_pylist() == [None]
    assert lenient.adjustments == {"turned_away: not a whole number; set to missing": 1}
    strict = places("seats: {from: n, unreadable: row}", n=["many"])
    assert strict.reasons == {"seats: not a whole number": 1}


def test_adjustments_of_quarantined_rows_are_not_counted():
    checked = places("seats: n", id=["a", "a", None], n=["x", "x", "x"])
    assert (checked.repeats, checked.reasons) == (1, {"place_id: missing": 1})
    assert checked.adjustments == {"seats: not a whole number; set to missing": 2}


def _far(unit: str) -> pa.Array:
    return pa.array([datetime(9999, 12, 31), datetime(2025, 1, 1)], pa.timestamp(unit))


@pytest.mark.parametrize(
    "until",
    [
        pa.array(["9999-12-31", "2025-01-01"]),
        pa.array(["9999-12-31 00:00:00", "2025-01-01"]),
        pa.array(["9999-12-31T00:00:00Z", "2025-01-01T00:00:00Z"]),
        pa.array([date(9999, 12, 31), date(2025, 1, 1)]),
        _far("s"),
        _far("ms"),
        _far("us"),
    ],
)
def test_a_far_day_can_stand_for_missing_however_it_is_stored(until):
    table = pa.table({"id": ["a", "b"], "at": ["2024-03-01T10:00:00Z"] * 2, "until": until})
    text = "contract: places\ncolumns:\n  place_id: id\n  seen_at: at\n  until: "
    entry = "{from: until, timezone: UTC, missing: ['9999-12-31']}"
    checked = parse_mapping(text + entry, [PLACES]).check(table)
    assert checked.good["until"].to_pylist() == [None, datetime(2025, 1, 1, tzinfo=UTC)]
    assert checked.adjustments == {}
    checked = parse_mapping(text + "{from: until, timezone: UTC}", [PLACES]).check(table)
    assert checked.good["until"].to_pylist() == [None, datetime(2025, 1, 1, tzinfo=UTC)]
    assert checked.adjustments == {"until: above 2100-01-01 UTC; set to missing": 1}


@pytest.mark.parametrize("version", ["INT96", "us", "ms"])
def test_far_times_of_parquet_are_never_read_as_near_ones(tmp_path, version):
    far = [datetime(2600, 12, 31), datetime(9999, 12, 31), datetime(2024, 5, 1), None]
    table = pa.table(
        {
            "id": ["a", "b", "c", "d"],
            "at": pa.array([datetime(2024, 3, 1)] * 4, pa.timestamp("us")),
            "until": pa.array(far, pa.timestamp("ms" if version == "ms" else "us")),
        }
    )
    pq.write_table(
        table, tmp_path / "t.parquet", use_deprecated_int96_timestamps=version == "INT96"
    )
    mapping = parse_mapping(
        """
        contract: places
        columns:
          place_id: id
          seen_at: {from: at, timezone: UTC}
          until: {from: until, timezone: UTC, missing: ['9999-12-31']}
        """,
        [PLACES],
    )
    checked = read_checked(mapping, tmp_path / "t.parquet")
    assert checked.good["until"].to_pylist() == [None, None, datetime(2024, 5, 1, tzinfo=UTC), None]
    assert checked.adjustments == {"until: above 2100-01-01 UTC; set to missing": 1}


@pytest.mark.parametrize(
    ("columns", "entry"),
    [
        (
            {"Y": [2002], "M": [9], "D": [1], "T": ["06:21"]},
            "{from: [Y, M, D, T], join: '-', format: '%Y-%m-%d-%H:%M', timezone: UTC}",
        ),
        (
            {"Y": ["2002.0"], "M": [9.0], "D": ["1"], "T": ["06:21"]},
            "{from: [Y, M, D, T], join: '-', format: '%Y-%m-%d-%H:%M', timezone: UTC}",
        ),
        ({"D": ["2002-09-01"], "T": ["06:21:00"]}, "{from: [D, T], timezone: UTC}"),
        ({"D": [date(2002, 9, 1)], "T": [time(6, 21)]}, "{from: [D, T], timezone: UTC}"),
        ({"D": [datetime(2002, 9, 1)], "T": ["06:21"]}, "{from: [D, T], timezone: UTC}"),
    ],
)
def test_a_time_in_several_columns_is_one_time(columns, entry):
    text = f"contract: places\ncolumns:\n  place_id: id\n  seen_at: {entry}\n"
    checked = parse_mapping(text, [PLACES]).check(pa.table({"id": ["a"], **columns}))
    assert checked.good["seen_at"].to_pylist() == [datetime(2002, 9, 1, 6, 21, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (pa.array(UUIDS, pa.uuid()), [str(UUID(bytes=content)) for content in UUIDS]),
        (pa.array([b"abcd", b"efgh"], pa.binary(4)), ["abcd", "efgh"]),
        (pa.array(["a", "b"]).cast(pa.string_view()), ["a", "b"]),
        (pa.array([Decimal("7.00"), Decimal("8.00")]), ["7", "8"]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
    ],
)
def test_ids_of_any_type_of_parquet_are_text(ids, expected):
    texts, faults = to_text("id", ids)
    assert texts.to_pylist() == expected
    assert not any(mask.any() for mask, _ in faults)


@pytest.mark.parametrize("ids", [[["a"], ["b"]], [{"a": 1}, {"a": 2}]])
def test_columns_of_lists_and_structures_are_no_ids(ids):
    with pytest.raises(ContractError, match="column 'place_id': expected text or numbers, came"):
        places(id=ids)


def test_numbers_that_no_float_holds_are_faults():
    numbers, [(mask, fault)] = to_number("n", pa.array([b"1", b"x"], pa.binary()))
    assert numbers.to_pylist() == [1.0, None]
    assert (mask.tolist(), fault) == ([False, True], "n: not a number")


def test_listed_values_and_conditions_take_whole_floats_for_whole_numbers():
    text = """
    contract: places
    where: {kind: [1]}
    columns:
      place_id: id
      seen_at: at
      seats: {from: size, values: {12: 120}}
    """
    table = pa.table(
        {
            "id": ["a", "b"],
            "at": ["2024-03-01T10:00:00Z"] * 2,
            "kind": ["1.0", "2.0"],
            "size": ["12.0", "12.0"],
        }
    )
    assert parse_mapping(text, [PLACES]).check(table).good["seats"].to_pylist() == [120]


ODD = st.one_of(st.none(), st.text(max_size=5), st.floats().map(str), st.datetimes().map(str))


@given(
    st.lists(
        st.fixed_dictionaries(
            dict.fromkeys(("id", "at", "until", "seats", "n", "lat", "lon"), ODD)
        ),
        min_size=1,
        max_size=20,
    )
)
def test_rows_are_conserved_where_values_are_set_to_missing(rows):
    names = ("id", "at", "until", "seats", "n", "lat", "lon")
    raw = pa.Table.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in names]))
    mapping = parse_mapping(
        """
        contract: places
        columns:
          place_id: id
          seen_at: {from: at, timezone: UTC}
          until: {from: until, timezone: UTC}
          seats: seats
          turned_away: n
          latitude: lat
          longitude: lon
        """,
        [PLACES],
    )
    checked = mapping.check(raw)
    assert checked.good.num_rows + checked.quarantined.num_rows + checked.repeats == len(rows)
    assert checked.quarantined.column_names == [*names, QUARANTINE_REASON]
    value_count = raw.num_rows * 4 - sum(
        raw[name].null_count for name in ("until", "seats", "lat", "lon")
    )
    set_missing = [n for text, n in checked.adjustments.items() if text.endswith("set to missing")]
    assert sum(set_missing) <= value_count


@given(st.lists(st.lists(st.sampled_from(["a: x", "b: y", "c: z"]), unique=True), min_size=1))
def test_notes_of_a_table_survive_as_a_column(notes):
    first, again = Adjustments(len(notes)), Adjustments(len(notes))
    for text in ("a: x", "b: y", "c: z"):
        first.add(np.array([text in row for row in notes]), text)
    assert [sorted(row) for row in first.column().to_pylist()] == [sorted(row) for row in notes]
    again.add_each(first.column())
    kept = np.ones(len(notes), dtype=np.bool_)
    assert again.counts(kept) == first.counts(kept)
    assert again.rows_of("b").tolist() == ["b: y" in row for row in notes]
