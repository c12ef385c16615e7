"""Times of every spelling become UTC microseconds, or say why they cannot."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.contract import TIME, ContractError
from lib.contract.number_text import NumberFormat
from lib.contract.reading_keys import duration_us
from lib.contract.time_reading import TimeReading

EARLIEST, LATEST = datetime(1971, 1, 1), datetime(2037, 12, 31)


def read(values: pa.Array, **how: object) -> tuple[list[datetime | None], list[str]]:
    times, faults = TimeReading(**how).read("t", values)
    assert times.type == TIME
    return times.to_pylist(), [text for mask, text in faults if mask.any()]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def test_a_naive_time_without_a_zone_is_refused():
    with pytest.raises(ContractError, match="column 't': its times carry no time zone"):
        read(pa.array([datetime(2025, 1, 1)]))
    with pytest.raises(ContractError, match="timezone: UTC"):
        read(pa.array(["2025-01-01 10:00"]))


def test_times_that_carry_a_zone_keep_it_whatever_is_declared():
    carried = pa.array([0], pa.timestamp("us", "America/New_York"))
    assert read(carried, timezone="Europe/Berlin") == ([utc(1970, 1, 1)], [])
    texts = pa.array(["2025-01-01T10:00:00Z", "2025-01-01T10:00:00"])
    assert read(texts, timezone="Europe/Berlin") == ([utc(2025, 1, 1, 10), utc(2025, 1, 1, 9)], [])


def test_numbers_without_a_unit_are_refused():
    with pytest.raises(ContractError, match="declare what they count"):
        read(pa.array([1_700_000_000]))


def test_a_type_that_holds_no_time_is_refused():
    with pytest.raises(ContractError, match="came bool"):
        read(pa.array([True]))


@given(st.datetimes(EARLIEST, LATEST), st.sampled_from(["Europe/Berlin", "America/New_York"]))
def test_local_times_agree_with_the_standard_library(naive, zone):
    first = naive.replace(tzinfo=ZoneInfo(zone), fold=0)
    second = naive.replace(tzinfo=ZoneInfo(zone), fold=1)
    times, faults = read(pa.array([naive]), timezone=zone)
    if first.utcoffset() == second.utcoffset():
        assert (times, faults) == ([first.astimezone(UTC)], [])
    else:
        assert times == [None]
        assert len(faults) == 1


def test_an_hour_that_the_clock_skips_does_not_exist():
    assert read(pa.array([datetime(2025, 3, 30, 2, 30)]), timezone="Europe/Berlin") == (
        [None],
        ["t: local time did not exist in Europe/Berlin (clock change)"],
    )


def test_an_hour_that_the_clock_repeats_is_ambiguous():
    assert read(pa.array([datetime(2025, 10, 26, 2, 30)]), timezone="Europe/Berlin") == (
        [None],
        ["t: local time happened twice in Europe/Berlin (clock change)"],
    )


@pytest.mark.parametrize(
    ("unit", "number"),
    [("s", 1_700_000_000), ("ms", 1_700_000_000_000), ("us", 17 * 10**14), ("ns", 17 * 10**17)],
)
def test_epochs_of_every_unit_agree(unit, number):
    assert read(pa.array([number]), epoch_unit=unit) == ([utc(2023, 11, 14, 22, 13, 20)], [])


def test_fractions_of_epoch_seconds_are_kept_to_the_microsecond():
    assert read(pa.array([1.5, float("nan")]), epoch_unit="s")[0] == [
        utc(1970, 1, 1, 0, 0, 1, 500_000),
        None,
    ]


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("s", "1709251200.25"),
        ("s", "1.70925120025e9"),
        ("s", " 1709251200.250 "),
        ("ms", "1709251200250"),
        ("us", "1709251200250000"),
        ("ns", "1709251200250000000"),
        ("ns", "1709251200250000999"),
        ("h", "474792.00006944444"),
    ],
)
def test_epochs_in_text_are_read_as_declared(unit, text):
    assert read(pa.array([text, None]), epoch_unit=unit) == (
        [utc(2024, 3, 1, 0, 0, 0, 250_000), None],
        [],
    )


def test_epochs_in_text_may_have_a_decimal_comma():
    times, _ = read(pa.array(["1,5"]), epoch_unit="s", number=NumberFormat(","))
    assert times == [utc(1970, 1, 1, 0, 0, 1, 500_000)]


@given(
    st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats()), min_size=1),
    st.sampled_from(["d", "h", "s", "ms", "us", "ns"]),
)
def test_text_and_numbers_of_an_epoch_are_the_same_times(numbers, unit):
    reading = TimeReading(epoch_unit=unit)
    for number in numbers:
        expected = reading.read("t", pa.array([number]))[0]
        assert reading.read("t", pa.array([str(number)]))[0].equals(expected)


@pytest.mark.parametrize("text", ["2024-03-01", "soon", "", "nan", "1e400"])
def test_texts_that_count_nothing_are_faults(text):
    times, faults = read(pa.array([text]), epoch_unit="s")
    assert times == [None]
    assert faults in (["t: not a number of 's' counted from 1970 UTC"], ["t: not a time"])


@pytest.mark.parametrize("texts", [["1709251200"], ["1709251200.25", None, "1709251201"]])
def test_numbers_in_text_without_a_unit_are_refused(texts):
    with pytest.raises(ContractError, match="its times are numbers in text; declare what they"):
        read(pa.array(texts))


def test_a_number_among_local_times_is_a_fault_that_names_the_unit():
    times, faults = read(pa.array(["1709251200", "2024-03-01 10:00"]), timezone="UTC")
    assert times == [None, utc(2024, 3, 1, 10)]
    assert faults[0].startswith("t: a number; declare what they count from 1970 UTC")


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-01 10:00:00+00",
        "2024-03-01 15:30:00.000+0530",
        "2024-03-01 15:00:00+05",
        "2024-03-01 05:00:00.0-05",
        "2024-03-01 10:00:00 UTC",
        "2024-03-01 10:00:00.000000 UTC",
        "2024-03-01 10:00 UTC",
        "2024-03-01t10:00:00z",
        "2024-03-01T10:00:00,000Z",
        "2024-03-01 12:00:00 +0200",
        "2024-03-01 10:00:00 GMT",
        "2024-03-01T10:00:00.000000000+00",
        "2024-03-01T11:00:00+01:00[Europe/Berlin]",
        "2024-03-01T10:00Z[UTC]",
    ],
)
def test_offsets_are_read_as_databases_write_them(text):
    mixed = pa.array([text, "2024-03-01T10:00:00Z", None])
    assert read(mixed) == ([utc(2024, 3, 1, 10), utc(2024, 3, 1, 10), None], [])


@given(
    st.datetimes(EARLIEST, LATEST),
    st.integers(-15 * 4, 15 * 4),
    st.sampled_from(["+hh:mm", "+hhmm", " +hhmm", "+hh"]),
    st.integers(0, 9),
)
def test_any_spelling_of_a_zoned_time_is_the_time_that_parquet_holds(
    moment, quarters, form, digits
):
    minutes = quarters * 15 if "mm" in form else quarters // 4 * 60
    local = moment + timedelta(minutes=minutes)
    moment = moment.replace(
        microsecond=int(f"{moment.microsecond:06d}000"[:digits].ljust(6, "0")[:6])
    )
    fraction = f".{local.microsecond:06d}000"[: digits + 1] if digits else ""
    sign, size = "-" if minutes < 0 else "+", abs(minutes)
    offset = (
        form.replace("+", sign).replace("hh", f"{size // 60:02d}").replace("mm", f"{size % 60:02d}")
    )
    text = f"{local:%Y-%m-%d %H:%M:%S}{fraction}{offset}"
    parquet = pa.array([moment], pa.timestamp("us", "UTC"))
    assert read(pa.array([text]))[0] == parquet.to_pylist()


@pytest.mark.parametrize("zone", ["GMT", "UTC", "+0000", "+00"])
def test_a_format_with_an_offset_reads_the_names_of_utc(zone):
    texts = pa.array([f"Fri, 01 Mar 2024 10:00:00 {zone}"])
    assert read(texts, format="%a, %d %b %Y %H:%M:%S %z") == ([utc(2024, 3, 1, 10)], [])


def test_a_format_with_an_offset_reads_hours_alone():
    values = pa.array(["01.03.2024 15:00 +05"])
    assert read(values, format="%d.%m.%Y %H:%M %z")[0] == [utc(2024, 3, 1, 10)]


@pytest.mark.parametrize("values", [pa.array([2**62]), pa.array([1e300])])
def test_numbers_beyond_all_time_are_faults(values):
    assert read(values, epoch_unit="s") == ([None], ["t: not a time"])


@pytest.mark.parametrize(
    "text",
    [
        "2025-01-31T12:00:00Z",
        "2025-01-31 13:00:00.000000+01:00",
        "2025-01-31T07:00:00-0500",
        "2025-01-31T12:00:00.000000000Z",
        " 2025-01-31T12:00Z ",
    ],
)
def test_iso_texts_with_a_zone_need_no_declaration(text):
    assert read(pa.array([text])) == ([utc(2025, 1, 31, 12)], [])


def test_iso_texts_with_and_without_a_zone_may_be_mixed():
    mixed = pa.array(["2025-01-31T12:00:00Z", "2025-01-31 13:00", None])
    times, faults = read(mixed, timezone="Europe/Berlin")
    assert (times, faults) == ([utc(2025, 1, 31, 12), utc(2025, 1, 31, 12), None], [])


@given(st.datetimes(EARLIEST, LATEST).map(lambda time: time.replace(microsecond=0)))
def test_the_basic_form_is_the_extended_one(naive):
    basic, extended = naive.strftime("%Y%m%dT%H%M%SZ"), naive.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (
        read(pa.array([basic])) == read(pa.array([extended])) == ([naive.replace(tzinfo=UTC)], [])
    )


@given(
    st.dates(EARLIEST.date(), LATEST.date()),
    st.sampled_from(["{} 24:00", "{}T24:00:00", "{}T24:00:00.000", "{}t24:00", "{} 24:00:00,0"]),
    st.sampled_from(["", "Z", "+01:00", " UTC"]),
)
def test_the_hour_24_is_the_midnight_that_ends_the_day(day, text, zone):
    midnight = f"{day + timedelta(days=1)}T00:00:00{zone}"
    late = pa.array([text.format(day) + zone, None, "2024-03-01T10:00:00Z"])
    usual = pa.array([midnight, None, "2024-03-01T10:00:00Z"])
    assert read(late, timezone="Europe/Berlin") == read(usual, timezone="Europe/Berlin")


@pytest.mark.parametrize("text", ["2025-01-01 24:01", "2025-01-01 24:00:01", "2025-01-01 25:00"])
def test_no_time_is_later_than_24_00(text):
    assert read(pa.array([text]), timezone="UTC")[0] == [None]


def test_decimals_count_from_the_epoch_exactly():
    exact = pa.array([Decimal("1709251200.123456")], pa.decimal128(38, 6))
    assert read(exact, epoch_unit="s") == ([utc(2024, 3, 1, 0, 0, 0, 123456)], [])


@pytest.mark.parametrize("text", ["2025-02-30", "2025-13-01", "soon", "", "2025-01-01T25:00:00Z"])
def test_texts_that_are_no_time_are_faults(text):
    fault = "t: not an ISO 8601 time; declare 'format' where it is another"
    assert read(pa.array([text]), timezone="UTC") == ([None], [fault])


def test_a_format_reads_other_spellings_and_refuses_impossible_days():
    values = pa.array(["12/1/2010 8:26", "2/30/2010 8:26", None])
    times, faults = read(values, timezone="UTC", format="%m/%d/%Y %H:%M")
    assert times == [utc(2010, 12, 1, 8, 26), None, None]
    assert faults == ["t: not a time of the format '%m/%d/%Y %H:%M'"]


def test_an_offset_moves_every_time():
    values = pa.array([datetime(2025, 1, 1), None])
    times, _ = read(values, timezone="UTC", plus_us=duration_us("7d"))
    assert times == [utc(2025, 1, 8), None]


def test_finer_times_are_cut_to_microseconds():
    values = pa.array([1_700_000_000_123_456_789], pa.timestamp("ns"))
    assert read(values, timezone="UTC")[0] == [utc(2023, 11, 14, 22, 13, 20, 123_456)]
