"""Times of every spelling become UTC microseconds, or say why they cannot."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.contract import TIME, ContractError
from lib.contract.time_reading import TimeReading, duration_us

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


def test_a_declared_zone_beside_times_that_have_one_is_refused():
    with pytest.raises(ContractError, match="remove 'timezone: UTC'"):
        read(pa.array([0], pa.timestamp("us", "UTC")), timezone="UTC")


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


@pytest.mark.parametrize("text", ["2025-02-30", "2025-13-01", "soon", "", "2025-01-01T25:00:00Z"])
def test_texts_that_are_no_time_are_faults(text):
    assert read(pa.array([text]), timezone="UTC") == ([None], ["t: not an ISO 8601 time"])


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
