"""A plan is the cheapest there is, keeps every promise, and says why where there is none."""

import csv
import io
import itertools
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lib.maintenance.schedule.costs import (
    NOT_THIS_WEEK,
    cost_of,
    parts_of,
    start_costs,
    value_ahead,
)
from lib.maintenance.schedule.export import calendar, table
from lib.maintenance.schedule.placement import assignment, greedy, no_services
from lib.maintenance.schedule.problem import SLOTS, Job, Problem, ScheduleError, Week
from lib.maintenance.schedule.solve import InfeasibleWeekError, solve
from tests.maintenance.schedule.checker import expected_cost, violations
from tests.maintenance.schedule.weeks import MONDAY, cycle_cost, shifts, simulated_week

SEEDS = st.integers(0, 10_000)


def falling(rate: float) -> np.ndarray:
    return np.exp(-rate * np.arange(SLOTS + 1))


def job(name: str = "m1", **changes) -> Job:
    plain = Job(
        machine_id=name,
        plant="north",
        line="",
        skill="mechanical",
        crew=1,
        duration_hours=2,
        survival=falling(0.005),
        service_cost=100.0,
        failure_cost=5000.0,
        downtime_cost_per_hour=10.0,
        cycle_cost_per_hour=0.1,
    )
    survival = changes.get("survival", plain.survival)
    hourly = survival[-1] / survival[-2]
    changes.setdefault("later_hours", np.arange(24.0, 721.0, 24.0))
    changes.setdefault("later_survival", survival[-1] * hourly ** np.arange(24.0, 721.0, 24.0))
    return replace(plain, **changes)


def week(**changes) -> Week:
    crews = {("north", "mechanical"): np.full(SLOTS, 1)}
    return replace(Week(MONDAY, crews), **changes)


def tiny(seed: int) -> Problem:
    """Three machines that may start in few hours, so that all plans can be listed."""
    random = np.random.default_rng(seed)
    free = [set(random.choice(20, 4, replace=False).tolist()) for _ in range(3)]
    jobs = [
        job(
            f"m{number}",
            duration_hours=int(random.integers(1, 4)),
            survival=falling(float(random.uniform(0.0, 0.01))),
            service_cost=float(random.uniform(10.0, 400.0)),
            cycle_cost_per_hour=float(random.uniform(0.0, 2.0)),
            downtime_cost_per_hour=float(random.uniform(0.0, 40.0)),
            line="line",
            parts={"seal": 1},
            forbidden=frozenset(range(SLOTS)) - frozenset(h + k for h in hours for k in range(4)),
        )
        for number, hours in enumerate(free)
    ]
    return Problem(
        jobs,
        week(
            budget=500.0,
            parts={"seal": 2},
            line_minimum={"line": 1},
            production=random.uniform(0.2, 2.0, SLOTS),
        ),
    )


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_no_plan_of_all_that_there_are_is_cheaper(seed):
    problem = tiny(seed)
    choices = [[NOT_THIS_WEEK, *job.starts.tolist()] for job in problem.jobs]
    best = min(
        expected_cost(problem, plan)
        for plan in itertools.product(*choices)
        if not violations(problem, plan)
    )
    solution = solve(problem, gap=0.0, threads=1)
    assert not violations(problem, solution.starts)
    assert solution.cost == pytest.approx(best)
    assert solution.bound <= solution.cost + 1e-6


@example(seed=1468, machines=13)  # of which HiGHS 1.16 returns the plan that it began with
@settings(max_examples=8, deadline=None)
@given(SEEDS, st.integers(5, 40))
def test_plans_of_simulated_weeks_keep_every_promise(seed, machines):
    problem = simulated_week(machines, seed, demands=False).problem
    solution = solve(problem, gap=0.01, seconds=20, threads=1)
    assert violations(problem, solution.starts) == []
    assert solution.finished
    for other in (no_services(problem), greedy(problem)):
        assert violations(problem, other, demands=False) == []
        assert solution.cost <= cost_of(problem, other) * 1.01 + 1e-6


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_costs_are_those_counted_hour_by_hour(seed):
    problem = simulated_week(6, seed).problem
    starts = [int(hour) for hour in np.random.default_rng(seed).integers(-1, 160, 6)]
    assert cost_of(problem, starts) == pytest.approx(expected_cost(problem, starts))
    for job, start in zip(problem.jobs, starts, strict=True):
        total = parts_of(job, problem.week, start).total
        assert start_costs(job, problem.week)[start] == pytest.approx(total)


def test_a_sound_machine_is_left_alone_and_a_failing_one_is_not():
    sound, failing = job("sound", survival=falling(1e-6)), job("failing", survival=falling(0.05))
    plan = solve(Problem([sound, failing], week()), threads=1)
    assert plan.starts[0] == NOT_THIS_WEEK
    assert plan.starts[1] == 0


def test_service_waits_for_the_hours_when_little_is_lost():
    quiet = np.where(np.arange(SLOTS) // 24 == 6, 0.1, 1.0)
    costly = job(downtime_cost_per_hour=2000.0, survival=falling(0.002))
    plan = solve(Problem([costly], week(production=quiet)), threads=1)
    assert plan.starts[0] == 6 * 24


def test_a_locked_job_stays_and_others_go_around_it():
    locked, other = job("a", locked_start=0), job("b", survival=falling(0.05))
    plan = solve(Problem([locked, other], week()), threads=1)
    assert plan.starts.tolist() == [0, 2]
    out = solve(Problem([replace(locked, locked_start=None, locked_out=True)], week()), threads=1)
    assert out.starts.tolist() == [NOT_THIS_WEEK]


@pytest.mark.parametrize(
    ("jobs", "conditions", "message"),
    [
        ([job(must_serve=True)], {"budget": 40.0}, "budget: 60 more needed"),
        (
            [job("a", must_serve=True, parts={"seal": 2})],
            {"parts": {"seal": 1}},
            "part seal: 1 more needed",
        ),
        (
            [job("a", locked_start=5), job("b", locked_start=6)],
            {},
            "mechanical technicians at north: 1 more needed in hours 6",
        ),
        (
            [job("a", skill="electrical", must_serve=True)],
            {},
            "electrical technicians at north: 1 more needed in hours",
        ),
        (
            [job("a", must_serve=True, forbidden=frozenset(range(SLOTS)))],
            {},
            "a must be served but has no start",
        ),
        (
            [job("a", line="l", must_serve=True)],
            {"line_minimum": {"l": 1}},
            "machines of l that keep running: 1 more needed",
        ),
    ],
)
def test_a_week_without_a_plan_says_what_to_relax(jobs, conditions, message):
    with pytest.raises(InfeasibleWeekError) as raised:
        solve(Problem(jobs, week(**conditions)), seconds=10, threads=1)
    assert message in str(raised.value)


def test_relaxing_what_was_said_makes_a_plan():
    jobs = [job(f"m{k}", must_serve=True, duration_hours=8) for k in range(4)]
    short = week(
        technicians={("north", "mechanical"): shifts({"08-16": 1}, 0) * (np.arange(SLOTS) < 48)}
    )
    with pytest.raises(InfeasibleWeekError) as raised:
        solve(Problem(jobs, short), threads=1)
    (missing,) = raised.value.shortages
    more = short.there("north", "mechanical").copy()
    more[list(missing.slots)] += int(missing.amount)
    relaxed = replace(short, technicians={("north", "mechanical"): more})
    plan = solve(Problem(jobs, relaxed), threads=1)
    assert violations(Problem(jobs, relaxed), plan.starts) == []


def test_the_time_limit_gives_the_best_plan_so_far_and_progress_is_told():
    problem = simulated_week(150, 3, demands=False).problem
    heard = []
    plan = solve(problem, gap=0.0, seconds=1.0, threads=1, on_progress=heard.append)
    assert violations(problem, plan.starts) == []
    assert plan.cost <= cost_of(problem, no_services(problem))
    assert plan.gap >= 0
    assert all(
        progress.bound <= progress.cost + 1e-6 for progress in heard if np.isfinite(progress.cost)
    )


def test_the_assignment_is_blind_to_technicians():
    problem = simulated_week(60, 5).problem
    assert violations(problem, assignment(problem), demands=False)


def test_the_long_run_cost_is_that_of_the_best_age():
    """Exponential lives gain nothing by service: the cost is that of failures alone."""
    ages = np.linspace(0.0, 100_000.0, 200_001)
    assert cycle_cost(1.0, 50.0, ages, np.exp(-ages / 1000.0)) == pytest.approx(0.05, rel=1e-3)


def test_not_serving_is_charged_what_an_old_machine_costs_more_than_a_new_one():
    sound, failing = job(survival=falling(1e-6)), job(survival=falling(0.01))
    due = failing.service_cost + 2 * failing.downtime_cost_per_hour
    assert value_ahead(failing) == pytest.approx(due)
    assert 0 <= value_ahead(sound) < 0.7 * due
    unknown = replace(sound, later_hours=np.empty(0), later_survival=np.empty(0))
    assert value_ahead(unknown) == pytest.approx(due)


def test_a_calendar_holds_every_job_once_and_folds_long_lines():
    named = job("pump; large, é" * 8, locked_start=3)
    text = calendar(Problem([named], week()), [3], datetime(2026, 3, 1, tzinfo=UTC)).decode()
    assert "DTSTART:20260302T030000Z\r\nDTEND:20260302T050000Z\r\n" in text
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    unfolded = text.replace("\r\n ", "")
    assert unfolded.count("BEGIN:VEVENT") == 1
    assert "SUMMARY:Service pump\\; large\\, é" in unfolded


@pytest.mark.parametrize("name", ["=1+1", "\uff1d1+1", "\uff20sum"])
def test_a_table_cannot_be_taken_for_formulas(name):
    plan = table(Problem([job(name, locked_start=3), job("b")], week()), [3, -1]).decode()
    (row,) = csv.DictReader(io.StringIO(plan))
    assert row["machine_id"] == f"'{name}"
    assert row["start_utc"] == "2026-03-02T03:00:00+00:00"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crew": 0}, "crew: expected 1 or more, got 0"),
        ({"duration_hours": 200}, "duration_hours: expected up to 168"),
        ({"survival": np.linspace(0, 1, 169), "later_survival": np.zeros(30)}, "survival"),
        ({"later_survival": np.ones(30)}, "later_survival: expected values that never rise"),
        ({"service_cost": float("nan")}, "service_cost: expected 0 or more, got nan"),
        ({"locked_start": 167}, "locked_start: expected a slot from 0 to 166"),
        ({"locked_out": True, "must_serve": True}, "locked_out"),
    ],
)
def test_a_wrong_job_is_refused_by_its_field(changes, message):
    with pytest.raises(ScheduleError, match=message):
        job(**changes)


def test_a_wrong_week_is_refused_by_its_field():
    for changes, message in (
        ({"start": datetime(2026, 3, 2)}, "start: expected a time with a zone"),
        ({"budget": -1.0}, "budget: expected 0 or more"),
        ({"technicians": {("a", "b"): np.ones(3)}}, "technicians of b at a: expected 168"),
        ({"production": np.ones(5)}, "production: expected 168 weights"),
    ):
        with pytest.raises(ScheduleError, match=message):
            week(**changes)
    with pytest.raises(ScheduleError, match="'m1' has two jobs"):
        Problem([job(), job()], week())
    with pytest.raises(ScheduleError, match=r"shift: expected clock times as '06-14'.*got 'early'"):
        shifts({"early": 2})


def test_the_number_of_threads_may_change_within_a_process():
    problem = simulated_week(12, 4, demands=False).problem
    costs = [solve(problem, gap=0.0, seconds=20, threads=threads).cost for threads in (1, 2, 1, 3)]
    assert costs == pytest.approx([costs[0]] * 4)
