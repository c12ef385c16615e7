"""Decisions at other hours of the day than the rows of a training are compared with their like."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from lib.monitoring import ErrorBudget, Incident, ModelReference, RowBlock, WindowSketch, detect
from lib.monitoring.decision_hours import BASE_WINDOWS, at_alike_hours, hours_apart
from lib.monitoring.training_rows import remember
from lib.monitoring.window import DAY

FIRST_DAY = 20_000
LEARNT_DAYS = 56
MACHINES = 300
NAMES = ("load", "hours_since_shift")
HOUR = DAY // 24


def day_rows(day: int, hours: np.ndarray, seed: int, moved: float = 0.0) -> RowBlock:
    """A row of each machine; loads follow the hour, and shifts begin at six."""
    rng = np.random.default_rng([seed, day])
    at = hours + rng.random(MACHINES) / 10
    load = 60.0 + 6.0 * np.sin((at - 9.0) * np.pi / 12.0) + rng.normal(0.0, 6.0, MACHINES)
    matrix = np.column_stack([load + moved, (at - 6.0) % 8.0 + rng.normal(0.0, 3.0, MACHINES)])
    times = day * DAY + (at * HOUR).astype(np.int64)
    return RowBlock(matrix, times, np.arange(MACHINES).astype(str))


def at_hour(hour: int) -> np.ndarray:
    return np.full(MACHINES, float(hour))


def anywhen(day: int) -> np.ndarray:
    return np.floor(np.random.default_rng([9, day]).random(MACHINES) * 24.0)


def learnt(hours_are_chosen: bool = True) -> ModelReference:
    blocks = [day_rows(FIRST_DAY + day, at_hour(0), 1) for day in range(LEARNT_DAYS)]
    return remember(
        "maintenance",
        "machine_id",
        NAMES,
        blocks,
        volume_is_served=False,
        hours_are_chosen=hours_are_chosen,
    )


MODEL = learnt()


def served(hours: list[np.ndarray], moved_from: int | None = None) -> list[WindowSketch]:
    """Windows of days at such hours; loads are 8 higher from some day on."""
    sketches = MODEL.daily()
    for number, hour in enumerate(hours):
        moved = 8.0 if moved_from is not None and number >= moved_from else 0.0
        rows = day_rows(FIRST_DAY + LEARNT_DAYS + number, hour, 2, moved)
        sketches.add(rows.table(NAMES))
    return sketches.windows()


def incidents(windows: list[WindowSketch], model: ModelReference = MODEL) -> list[Incident]:
    compared = at_alike_hours(model, windows)
    return detect(compared.reference, compared.windows, ErrorBudget())


def test_hours_alone_are_drift_where_nothing_guards_against_them() -> None:
    drifts = detect(MODEL, served([at_hour(13)] * 10), ErrorBudget())
    assert {own.measure for own in drifts} == set(NAMES)


@pytest.mark.parametrize("hour", [13, 6, 22])
def test_decisions_at_an_hour_that_was_not_learnt_are_no_incident(hour: int) -> None:
    windows = served([at_hour(hour)] * 60)
    assert incidents(windows) == []
    note = at_alike_hours(MODEL, windows).note
    assert (
        f"18,000 decisions of 60 days are not compared with the training: they are of {hour:02}"
        in note
    )
    assert "learnt from of 00:00 UTC; the days after the first 28 are compared" in note


def test_a_change_at_that_hour_is_named_since_the_day_it_began() -> None:
    windows = served([at_hour(13)] * 45, moved_from=40)
    (incident,) = incidents(windows)
    assert (incident.measure, incident.since) == ("load", windows[40].since)
    assert incident.before == pytest.approx(65.2, abs=1.5)


def test_decisions_around_the_clock_are_compared_with_their_like() -> None:
    hours = [anywhen(day) for day in range(60)]
    assert incidents(served(hours)) == []
    assert "they are of many hours of the day" in at_alike_hours(MODEL, served(hours)).note
    (incident,) = incidents(served(hours, moved_from=50))
    assert incident.measure == "load"


def test_nothing_is_said_until_four_weeks_are_there() -> None:
    windows = served([at_hour(13)] * BASE_WINDOWS, moved_from=14)
    compared = at_alike_hours(MODEL, windows)
    assert "compared with their first 28 days once those are there" in compared.note
    assert incidents(windows) == []


def test_hours_that_were_learnt_are_compared_as_ever() -> None:
    windows = served([at_hour(0)] * 30, moved_from=25)
    compared = at_alike_hours(MODEL, windows)
    assert compared.note == ""
    assert compared.reference is MODEL
    assert [own.measure for own in incidents(windows)] == ["load"]


def test_a_few_days_at_other_hours_are_left_out_and_counted() -> None:
    hours = [at_hour(0)] * 30
    hours[20:24] = [at_hour(14)] * 4
    windows = served(hours)
    compared = at_alike_hours(MODEL, windows)
    assert compared.note.startswith("1,200 decisions of 4 days are not compared")
    assert compared.reference is MODEL
    assert incidents(windows) == []
    assert [window.rows for window in compared.windows] == [window.rows for window in windows]


def test_a_change_of_hours_after_four_weeks_is_left_out() -> None:
    hours = [at_hour(13)] * 40 + [at_hour(20)] * 6
    assert incidents(served(hours)) == []


def test_rows_of_events_are_compared_whatever_the_hours() -> None:
    model = learnt(hours_are_chosen=False)
    windows = served([at_hour(13)] * 10)
    compared = at_alike_hours(model, windows)
    assert (compared.reference, compared.note) == (model, "")
    assert {own.measure for own in incidents(windows, model)} == set(NAMES)


def test_windows_read_from_records_are_compared_alike() -> None:
    windows = served([at_hour(13)] * 45, moved_from=40)
    again = [WindowSketch.from_json(MODEL.bins, window.to_json()) for window in windows]
    assert incidents(again) == incidents(windows)


def test_what_is_chosen_is_remembered() -> None:
    again = ModelReference.from_json(MODEL.to_json(), "reference.json")
    assert again.hours_are_chosen
    older = MODEL.to_json().replace(b'"hours_are_chosen":true,', b"")
    assert not ModelReference.from_json(older, "reference.json").hours_are_chosen


@pytest.mark.parametrize(
    ("first", "second", "hours"), [(0, 0, 0.0), (23, 0, 1.0), (0, 6, 6.0), (22, 4, 6.0)]
)
def test_hours_apart_go_around_midnight(first: int, second: int, hours: float) -> None:
    profiles = np.eye(24, dtype=np.int64)
    assert hours_apart(profiles[[first]], profiles[second]) == pytest.approx([hours])
    assert hours_apart(np.ones((1, 24), dtype=np.int64), profiles[0]) == pytest.approx([6.0])


def test_empty_days_are_neither_alike_nor_other() -> None:
    windows = served([at_hour(0)] * 3)
    empty = WindowSketch(MODEL.bins, windows[-1].until, windows[-1].until + DAY)
    assert at_alike_hours(MODEL, [*windows, empty]).note == ""
    assert at_alike_hours(MODEL, []).windows == ()


@pytest.mark.parametrize("hour", [1, 2, 22, 23])
@pytest.mark.parametrize("rows", [20, 60, 2_000])
def test_no_other_hour_is_alike_however_few_rows_there_are(rows: int, hour: int) -> None:
    windows = served([at_hour(0)] * 2)
    for window in windows:
        cells = window.measures["event hour"].cells
        cells[:] = 0
        cells[0, hour + 1] = rows
    assert f"of {hour:02}:00 UTC" in at_alike_hours(MODEL, windows).note


def test_few_rows_at_any_hour_are_like_a_profile_of_all_hours() -> None:
    hours = [anywhen(day) for day in range(60)]
    some = [window.measures["event hour"].by_cell[1:] for window in served(hours)]
    drawn = np.random.default_rng(8).multinomial(60, np.full(24, 1.0 / 24.0), size=100)
    for profiles in (np.array(some), drawn):
        assert (hours_apart(profiles, np.full(24, 1_000)) <= 0.5 + 6.0 / np.sqrt(60)).mean() > 0.9


def test_a_table_without_rows_adds_none() -> None:
    sketches = MODEL.daily()
    sketches.add(pa.table({"event_time": pa.array([], pa.timestamp("us", "UTC"))}))
    assert at_alike_hours(MODEL, sketches.windows()).windows == ()
