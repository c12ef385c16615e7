"""Weeks are planned in local time, also where clocks change in them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lib.maintenance.repository import StoredSchedule
from lib.maintenance.schedule.export import orders_of
from lib.maintenance.schedule.local_week import local_week
from lib.maintenance.schedule.problem import ScheduleError
from lib.maintenance.schedule.request import WeekRequest
from lib.maintenance.schedule.solve import solve
from lib.maintenance.schedule.week_problem import Site, problem_of
from lib.survival.curves import Curves
from tests.maintenance.schedule.weeks import shifts

BERLIN = ZoneInfo("Europe/Berlin")
AUTUMN, SPRING, USUAL = "2026-10-19T00:00:00", "2026-03-23T00:00:00", "2026-06-01T00:00:00"
WORK = {
    "skill": "mechanical",
    "duration_hours": 2,
    "service_cost": 100,
    "repair_cost": 90_000,
    "repair_hours": 24,
    "services_per_year": 1,
    "failures_per_year": 0.1,
}


def request(start=AUTUMN, **changes):
    fields = {
        "start": start,
        "timezone": "Europe/Berlin",
        "crews": [{"skill": "mechanical", "shifts": {"06-14": 1}, "weekend": 1.0}],
        "work": {"machine": WORK},
        "lost_per_hour": 100,
    }
    return WeekRequest.model_validate(fields | changes)


def problem(request, machines=1):
    hours = np.array([0.0, 100.0, 170.0, 500.0])
    curves = Curves(hours, np.tile(np.exp(-hours / 200.0), (machines, 1)))
    sites = [Site(f"m{number}", "p") for number in range(machines)]
    return problem_of(request, sites, curves, {})


def test_a_job_costs_what_the_request_says_of_its_machine():
    (job,) = problem(request(unplanned_factor=3))[0].jobs
    assert (job.machine_id, job.crew, job.service_cost) == ("m0", 1, 100)
    assert job.failure_cost == 90_000 + 24 * 100 * 3
    assert job.downtime_cost_per_hour == 100
    assert job.cycle_cost_per_hour == pytest.approx((300 + 0.1 * job.failure_cost) / 8766)


def local_starts(request, machines=1):
    schedule_problem, names = problem(request, machines)
    plan = solve(schedule_problem, gap=1e-6, seconds=10)
    stored = StoredSchedule(
        id="s",
        week_start=round(request.begin.timestamp() * 1e6),
        created_at=round(request.begin.timestamp() * 1e6),
        model_version=None,
        request={},
        plan={},
    )
    orders = orders_of(stored, schedule_problem, names, plan.starts)
    return [
        datetime.fromtimestamp(order.starts_at / 1e6, UTC).astimezone(BERLIN) for order in orders
    ]


@pytest.mark.parametrize(("start", "hours"), [(AUTUMN, 169), (SPRING, 167), (USUAL, 168)])
def test_a_week_has_the_hours_that_clocks_show(start, hours):
    schedule_problem, _ = problem(request(start))
    assert schedule_problem.week.slots == hours == schedule_problem.jobs[0].slots
    there = schedule_problem.week.there("p", "mechanical")
    begin = datetime.fromisoformat(start).replace(tzinfo=BERLIN).astimezone(UTC)
    for slot in range(hours):
        local = (begin + timedelta(hours=slot)).astimezone(BERLIN)
        assert there[slot] == (6 <= local.hour < 14)
    assert there.sum() == 7 * 8


@pytest.mark.parametrize("start", [AUTUMN, SPRING])
def test_a_service_on_the_sunday_of_the_change_begins_with_the_local_shift(start):
    sunday = datetime.fromisoformat(start) + timedelta(days=6)
    busy = {
        "begin": start,
        "end": sunday.isoformat(),
    }
    (begins,) = local_starts(request(start, forbidden=[busy], must_serve=["m0"]))
    assert begins.date() == sunday.date()
    assert begins.hour == 6


def test_the_end_of_the_week_and_locks_on_its_last_evening_are_accepted():
    standstill = {"begin": "2026-10-25T22:00:00", "end": "2026-10-26T00:00:00+01:00"}
    night = [{"skill": "mechanical", "shifts": {"00-24": 1}, "weekend": 1.0}]
    lock = {"machine_id": "m0", "start": "2026-10-25T20:00:00+01:00"}
    (begins,) = local_starts(request(crews=night, forbidden=[standstill], locks=[lock]))
    assert begins == datetime(2026, 10, 25, 20, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("start", "time", "words"),
    [
        (AUTUMN, "2026-10-25T02:00:00", "twice in Europe/Berlin; write it with its offset"),
        (AUTUMN, "2026-10-26T01:00:00+01:00", "expected a whole hour from 2026-10-19T00:00:00"),
        (AUTUMN, "2026-10-20T06:30:00", "expected a whole hour"),
        (SPRING, "2026-03-29T02:00:00", "expected a time that clocks show"),
    ],
)
def test_times_that_are_not_hours_of_the_week_are_refused(start, time, words):
    with pytest.raises(ScheduleError, match=words):
        problem(request(start, locks=[{"machine_id": "m0", "start": time}]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"timezone": "Mars/Olympus"}, "expected an IANA time zone"),
        ({"timezone": None}, "expected a time zone"),
        ({"start": "2026-10-19T00:00:00Z"}, "expected a Monday 0:00, got Monday 02:00"),
        ({"start": "2026-10-20T00:00:00"}, "expected a Monday 0:00"),
        ({"timezone": "Australia/Lord_Howe", "start": "2026-03-30T00:00:00"}, "168.5 hours"),
    ],
)
def test_a_start_that_is_no_monday_there_is_refused(changes, words):
    with pytest.raises(ValidationError, match=words):
        request(**changes)


def test_a_request_reads_the_same_after_it_was_written_as_json():
    first = request(locks=[{"machine_id": "m0", "start": "2026-10-25T20:00:00"}])
    again = WeekRequest.model_validate(first.model_dump(mode="json"))
    assert again.begin == first.begin
    assert problem(again)[0].jobs[0].locked_start == problem(first)[0].jobs[0].locked_start == 165


def test_absent_people_are_not_there_in_any_hour_that_is_touched():
    crews = [{"skill": "mechanical", "shifts": {"06-14": 2}}]
    absences = [
        {"skill": "mechanical", "begin": "2026-06-01T08:30:00", "end": "2026-06-01T10:00:00"},
        {
            "skill": "mechanical",
            "count": 5,
            "begin": "2026-05-01T00:00:00",
            "end": "2026-06-01T07:00:00",
        },
    ]
    schedule_problem, _ = problem(request(USUAL, crews=crews, absences=absences))
    there = schedule_problem.week.there("p", "mechanical")[6:14]
    assert there.tolist() == [0, 2, 1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize(
    ("absence", "words"),
    [
        ({"skill": "electrical"}, "no crew is electrical"),
        ({"plant": "other"}, "no crew is mechanical at other"),
        ({"end": "2026-06-01T07:00:00"}, "expected end after begin"),
    ],
)
def test_an_absence_of_nobody_is_refused(absence, words):
    usual = {"skill": "mechanical", "begin": "2026-06-01T08:00:00", "end": "2026-06-02T00:00:00"}
    with pytest.raises(ScheduleError, match=words):
        problem(request(USUAL, absences=[usual | absence]))


def test_shifts_that_begin_at_half_past_lose_no_hour_in_a_week_that_does():
    crews = [{"skill": "mechanical", "shifts": {"06:30-14:30": 1}}]
    half_hour_week = problem(request("2026-06-01T00:30:00", crews=crews))[0].week
    full_hours = problem(request(USUAL, crews=crews))[0].week
    assert half_hour_week.there("p", "mechanical").sum() == 5 * 8
    assert full_hours.there("p", "mechanical").sum() == 5 * 7
    (begins,) = local_starts(request("2026-06-01T00:30:00", crews=crews, must_serve=["m0"]))
    assert begins.minute == 30


def counted_by_hour(per_shift, weekend):
    """Shifts of whole hours, an hour at a time."""
    there = np.zeros(168, dtype=np.int64)
    for (first, end), count in per_shift.items():
        for day in range(7):
            crew = count if day < 5 else int(count * weekend)
            for hour in range((end - first) % 24 or 24):
                there[(day * 24 + first + hour) % 168] += crew
    return there


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 23), st.integers(0, 24)), st.integers(0, 5), max_size=4
    ),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_shifts_of_whole_hours_are_those_counted_by_hand(per_shift, weekend):
    texts = {f"{first:02}-{end:02}": count for (first, end), count in per_shift.items()}
    assert shifts(texts, weekend).tolist() == counted_by_hour(per_shift, weekend).tolist()


@given(st.sampled_from([AUTUMN, SPRING, USUAL]), st.sampled_from(["22-06", "22:30-06:30"]))
def test_a_night_shift_is_there_once_a_night_whatever_clocks_do(start, text):
    week = local_week(datetime.fromisoformat(start).replace(tzinfo=BERLIN))
    change = {AUTUMN: 1, SPRING: -1, USUAL: 0}[start]
    hours = 7 * (8 if text == "22-06" else 7)
    assert week.within(text).sum() == hours + change
