"""Changes of planned weeks keep constraints, cost what the whole plan says, and can be undone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.console.source import SystemSource
from lib.maintenance.schedule.basis import Basis, pack_curves, pack_sites, unpack_basis
from lib.maintenance.schedule.change import change_service, lowest_cost_start
from lib.maintenance.schedule.costs import cost_of, parts_of
from lib.maintenance.schedule.planned_week import PlannedWeek, UnchangeableError, load_week
from lib.maintenance.schedule.problem import ScheduleError
from lib.maintenance.schedule.revision import (
    Revision,
    solve_again,
)
from lib.maintenance.schedule.week_problem import Named, Site
from lib.survival.curves import Curves
from tests.console.seeded_fleet import GRID, SCHEDULE, machine_ids, plan_week
from tests.maintenance.schedule.checker import violations
from tests.records.conftest import NOVEMBER
from tests.records.review_factories import HOUR

DAY = 24 * HOUR
BEARING = Named("pump t12", "bearing")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("changes")
    opened = SystemSource.open("maintenance", f"sqlite:///{folder}/r.sqlite", str(folder / "m"))
    with opened.records:
        opened.records.migrate()
        plan_week(opened, SCHEDULE, machine_ids("t{}".format))
        yield opened


@pytest.fixture
def week(source: SystemSource) -> PlannedWeek:
    return load_week(source.records, SCHEDULE)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(slot=st.integers(0, 164), number=st.integers(0, 23))
def test_a_move_costs_what_the_whole_plan_costs_more_and_keeps_constraints(
    week: PlannedWeek, slot: int, number: int
) -> None:
    name = week.names[number]
    if slot + week.problem.jobs[number].duration_hours > 168:
        return
    change = change_service(week, "move", name, week.time_of(slot), NOVEMBER)
    more = cost_of(week.problem, change.starts) - cost_of(week.problem, week.starts)
    assert change.added_cost == pytest.approx(more, abs=1e-6)
    assert (change.starts != week.starts).sum() <= 1
    assert bool(change.broken) == bool(violations(week.problem, change.starts))


def test_the_stored_curves_give_the_cost_that_was_planned(week: PlannedWeek) -> None:
    assert cost_of(week.problem, week.starts) == pytest.approx(week.schedule.plan["cost"])


def test_the_suggested_start_is_the_cheapest_that_fits(week: PlannedWeek) -> None:
    name = Named("pump t3", "seal")
    index = week.number_of(name)
    job = week.problem.jobs[index]
    suggested = lowest_cost_start(week, name, NOVEMBER)
    fitting = [
        slot
        for slot in range(168 - job.duration_hours + 1)
        if not change_service(week, "move", name, week.time_of(slot), NOVEMBER).broken
    ]
    costs = [parts_of(job, week.problem.week, slot).total for slot in fitting]
    expected = week.time_of(fitting[int(np.argmin(costs))]) if fitting else None
    assert suggested == expected


def test_what_has_begun_is_not_moved_and_nothing_moves_into_the_past(week: PlannedWeek) -> None:
    begun = week.schedule.week_start + 12 * HOUR
    with pytest.raises(UnchangeableError, match="has begun"):
        change_service(week, "drop", BEARING, None, begun)
    late = next(name for name, start in zip(week.names, week.starts, strict=True) if start > 12)
    past = change_service(week, "move", late, week.time_of(7), begun)
    assert "the hour has passed" in past.broken


def test_solving_in_the_middle_of_a_week_moves_nothing_that_has_begun(week: PlannedWeek) -> None:
    now = week.schedule.week_start + 9 * HOUR
    updated = solve_again(week, revision(0, now), 0.01, 20.0)
    starts = np.array(updated.plan["starts"])
    begun = (week.starts >= 0) & (week.starts < 9)
    assert begun.any()
    assert (starts[begun] == week.starts[begun]).all()
    assert (starts[~begun & (starts >= 0)] >= 9).all()


def test_damaged_or_foreign_curves_are_refused() -> None:
    curves = Curves(GRID, np.exp(-GRID / 500.0)[None, :])
    packed: Any = pack_curves(Basis([Site("m")], curves, {}), [])
    sites: Any = pack_sites([Site("m")])
    for changed in ({"whole": "????"}, {"whole": packed["whole"][:40]}, {"grid": [0.0, 1.0]}):
        with pytest.raises(ScheduleError, match="are damaged"):
            unpack_basis({**packed, **changed}, sites)
    with pytest.raises(ScheduleError, match="are damaged"):
        unpack_basis(packed, [*sites, *sites])


def revision(number: int, at: int = NOVEMBER, change_id: str = "c") -> Revision:
    return Revision(
        schedule_id=SCHEDULE, revision=number, change_id=change_id, by="ann",
        key_id="0123456789ab", at=at,
    )  # fmt: skip
