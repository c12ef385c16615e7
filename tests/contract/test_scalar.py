"""What one layer admits, every layer behind it can hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from lib.contract.fields import Count, Id, Key, Moment, Note, PathId
from lib.contract.scalar import (
    CONTROL_CHARACTERS,
    EARLIEST_US,
    LARGEST_WHOLE,
    LATEST_US,
    LONGEST_ID_BYTES,
    LONGEST_NOTE_BYTES,
    identifier_fault,
    moment_fault,
    number_fault,
    text_fault,
    time_fault,
    whole_fault,
)
from lib.moderation.post import Post
from lib.records.models import require_note, require_number, require_text, require_time

ANY_TEXT = st.text(st.characters(), max_size=140)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))


def repr_of(value: float) -> str:
    """A name for a number of any size."""
    return f"{value:.0f}" if isinstance(value, float) else f"{value.bit_length()}-bits"


def admitted(kind: object, value: object) -> bool:
    """Whether a request's field takes it."""
    try:
        TypeAdapter(kind).validate_json(json.dumps(value))
    except ValidationError:
        return False
    return True


@given(ANY_TEXT)
def test_an_identifier_that_a_request_may_hold_is_a_key_of_records_and_of_posts(value: str) -> None:
    is_admitted = admitted(Id, value)
    assert is_admitted == (identifier_fault(value) is None)
    if is_admitted:
        require_text("id", value)
        Post(value, value, EARLIEST_US, "words")
        assert value.encode().decode() == value
        assert pc.match_substring_regex(pa.array([value]), CONTROL_CHARACTERS)[0].as_py() is False


@pytest.mark.parametrize(
    "value",
    ["", "é" * 100, "🦊" * 33, "a\0b", "a\nb", "\x7f", "\x85", "x" * (LONGEST_ID_BYTES + 1)],
)
def test_what_no_layer_may_hold_is_refused_at_the_first(value: str) -> None:
    assert identifier_fault(value) is not None
    assert not admitted(Id, value)


def test_half_a_surrogate_pair_is_refused_by_name() -> None:
    assert identifier_fault("\ud800") == "expected valid Unicode, got half a surrogate pair"
    assert text_fault("\ud800") == "expected valid Unicode, got half a surrogate pair"


def test_the_longest_identifiers_count_bytes() -> None:
    assert admitted(Id, "é" * 64)
    assert admitted(Key, "é" * 256)
    assert not admitted(Key, "é" * 257)


@pytest.mark.parametrize("value", [".", ".."])
def test_an_identifier_that_no_path_can_hold_is_refused_where_paths_look_it_up(value: str) -> None:
    assert admitted(Id, value)
    assert not admitted(PathId, value)
    assert admitted(PathId, f"{value}/{value}")


@given(st.text(st.characters(), max_size=200))
def test_a_note_that_a_request_may_hold_can_be_recorded(value: str) -> None:
    if admitted(Note, value):
        require_note("note", value)


def test_a_note_is_measured_in_bytes() -> None:
    assert admitted(Note, "é\n" * (LONGEST_NOTE_BYTES // 3))
    assert not admitted(Note, "é" * LONGEST_NOTE_BYTES)
    assert not admitted(Note, "a\0b")


@given(st.datetimes(timezones=OFFSETS))
def test_a_time_that_a_request_may_hold_can_be_recorded(value: datetime) -> None:
    is_admitted = admitted(Moment, value.isoformat())
    assert is_admitted == (moment_fault(value) is None)
    if is_admitted:
        time_us = (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        assert time_fault(time_us) is None
        require_time("at", time_us)


@pytest.mark.parametrize(
    "value",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "1969-12-31T23:59:59Z",
        "1989-12-31T23:59:59Z",
        "2026-01-31T12:00:00",
        "2026-01-31",
        1_700_000_000,
        "1700000000",
        "1700000000.123456",
        True,
        None,
    ],
)
def test_a_time_that_some_layer_could_not_hold_or_would_guess_is_refused(value: object) -> None:
    assert not admitted(Moment, value)


def test_a_time_may_have_a_blank_for_its_t_as_databases_write_it() -> None:
    assert admitted(Moment, "2026-01-31 12:00:00+00:00")


def test_the_bounds_of_times_are_inclusive() -> None:
    assert time_fault(EARLIEST_US) is None
    assert time_fault(LATEST_US) is None
    assert time_fault(EARLIEST_US - 1) is not None
    assert time_fault(LATEST_US + 1) is not None


@given(st.integers())
def test_a_whole_number_that_a_request_may_hold_is_exact_everywhere(value: int) -> None:
    if admitted(Count, value):
        assert whole_fault(value) is None
        assert int(float(value)) == value
        assert pa.array([value], pa.int64())[0].as_py() == value


@pytest.mark.parametrize("value", [-1, LARGEST_WHOLE + 1, 10**400, 1.5, True, "7"])
def test_a_whole_number_out_of_bounds_is_refused(value: object) -> None:
    assert not admitted(Count, value)


@pytest.mark.parametrize("value", [10**400, -(10**5000), float("nan"), float("inf")], ids=repr_of)
def test_a_number_that_is_not_finite_is_refused_in_few_words(value: float) -> None:
    fault = number_fault(value)
    assert fault is not None
    assert len(fault) < 120
    with pytest.raises(ValueError, match="score: expected a finite number"):
        require_number("score", value)
