"""The fleet, one machine and a planned week, as the console reads them."""

from __future__ import annotations

import csv
import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.console.audit import AuditFilter, read_audit
from lib.console.fleet import (
    SPARK_HEIGHT,
    SPARK_WIDTH,
    FleetFilter,
    list_fleet,
    read_fleet,
    spark_path,
)
from lib.console.gantt import PlannedBar, draw_gantt
from lib.console.machine import read_machine
from lib.console.rows_csv import rows_csv
from lib.console.schedule import ScheduleFilter, read_schedule
from lib.maintenance.inspection import (
    UnknownMachineError,
    ask_inspection,
    newest_decision,
    note_machine,
)
from lib.records import Records
from lib.records.review import ReviewKey
from tests.console.seeded import NOW, Seeded
from tests.console.seeded_fleet import DAY, MACHINES, SCHEDULE, machine_decision
from tests.records.conftest import keep_decisions
from tests.records.review_factories import HOUR

KEY = "0123456789ab"


def test_machines_come_by_risk_with_the_risk_of_their_last_decisions(lived: Seeded) -> None:
    with lived.source("maintenance") as source:
        page = read_fleet(source, FleetFilter(), NOW)
    risks = [row.newest.score or 0.0 for row in page.rows]
    assert risks == sorted(risks, reverse=True)
    assert page.count == len(page.rows) == MACHINES
    assert page.rows[0].newest.machine_id == "pump t12"
    assert page.rows[0].change == pytest.approx(0.13)
    assert page.rows[0].spark.count("L") == 13
    assert (page.rows[0].plant, page.rows[0].line) == ("plant 1", "line 2")
    assert page.rows[0].order is not None
    assert sum(page.counts.values()) == MACHINES


def test_a_fleet_of_events_of_long_ago_is_shown_as_it_was(lived: Seeded) -> None:
    with lived.source("maintenance") as source:
        at_once = read_fleet(source, FleetFilter(), NOW)
        later = read_fleet(source, FleetFilter(), NOW + 400 * DAY)
    assert [row.newest for row in later.rows] == [row.newest for row in at_once.rows]


@pytest.mark.parametrize(
    ("shown", "machines"),
    [
        (FleetFilter(text="T11"), {"pump t11"}),
        (FleetFilter(plant="plant 0", decision="SERVICE"), {"pump t11", "pump t9"}),
        (FleetFilter(decision="STOP"), set()),
        (FleetFilter(number=2), set()),
    ],
)
def test_the_fleet_is_filtered(lived: Seeded, shown: FleetFilter, machines: set[str]) -> None:
    with lived.source("maintenance") as source:
        rows = read_fleet(source, shown, NOW).rows
    assert {row.newest.machine_id for row in rows} == machines


def test_a_machine_without_a_decision_while_others_had_some_is_left_out(own: Seeded) -> None:
    later = NOW + 31 * DAY
    with Records(own.records("maintenance")) as records:
        keep_decisions(records, [machine_decision("pump t1", later, 0.4)])
    with own.source("maintenance") as source:
        rows = list_fleet(source, FleetFilter(), later)
    assert [row.newest.machine_id for row in rows] == ["pump t1"]


def test_a_machine_shows_its_curve_sensors_and_drivers(lived: Seeded) -> None:
    with lived.source("maintenance") as source:
        page = read_machine(source, "pump t12")
        with pytest.raises(UnknownMachineError):
            read_machine(source, "nobody")
    assert page.curve is not None
    assert page.curve.band.endswith("Z")
    assert page.risk is not None
    broken, sound = page.sensors
    assert (broken.name, broken.fault, broken.last) == ("vibration", "missing", None)
    assert (sound.name, sound.unit, sound.last, sound.fault) == ("temperature", "°C", 91.0, "")
    assert page.drivers == ["temperature raises the risk: temperature_last_c is 91, usually 70"]
    assert page.schedule_id == SCHEDULE
    assert page.components == ["bearing", "seal"]
    assert {order.component for order in page.orders} == {"bearing", "seal"}


def test_an_answer_without_a_curve_has_none(own: Seeded) -> None:
    with Records(own.records("maintenance")) as records:
        bare = machine_decision("bare", NOW, 0.4)
        keep_decisions(records, [type(bare)(**{
            **{name: getattr(bare, name) for name in bare.__dataclass_fields__},
            "answer": {"survival": [{"hours": "x"}]}, "reasons": ["odd"], "features": {},
        })])  # fmt: skip
    with own.source("maintenance") as source:
        page = read_machine(source, "bare")
    assert (page.curve, page.risk, list(page.sensors), list(page.drivers)) == (None, None, [], [])


def test_an_inspection_is_one_case_a_day_and_its_finding_is_asked_for(own: Seeded) -> None:
    with own.source("maintenance") as source:
        decision = newest_decision(source.records, "pump t3")
        asks = (source.queue, decision, "ann", KEY, "it hums")
        first = ask_inspection(*asks, NOW)
        again = ask_inspection(*asks, NOW + HOUR)
        item = source.records.find_item(first.item_id).item
        notes = (source.queue, decision, "ann", ReviewKey(KEY, bound=True), "seen from the gate")
        assert note_machine(*notes, NOW)
        assert not note_machine(*notes, NOW)
        page = read_machine(source, "pump t3")
        audit = read_audit(source, AuditFilter("review"), 100).rows
    assert first == (again.item_id, True, False)
    assert (again.is_new, again.is_closed) == (False, False)
    assert item.shown["event_time"] == decision.event_time
    assert item.policies.keys() == {"fault"}
    assert item.shown["asked_for"] == "it hums"
    assert [(entry.who, entry.after) for entry in page.notes] == [
        ("ann", {"note": "seen from the gate"})
    ]
    assert [(entry.rule, entry.key_id) for entry in page.notes] == [("noted", KEY)]
    assert {"opened", "noted"} <= {row.action for row in audit if row.person == "ann"}


def test_a_closed_inspection_is_named_on_its_day_and_opens_again_on_a_later_day(
    own: Seeded,
) -> None:
    with own.source("maintenance") as source:
        decision = newest_decision(source.records, "pump t3")
        asks = (source.queue, decision, "ann", KEY, None)
        first = ask_inspection(*asks, NOW)
        claim = source.queue.take(first.item_id, "bob", NOW)
        source.queue.decide(first.item_id, "bob", claim.token, {"fault": False}, NOW)
        same_day = ask_inspection(*asks, NOW + 1)
        later = ask_inspection(*asks, NOW + 3 * 24 * HOUR)
    assert same_day == (first.item_id, False, True)
    assert later.item_id != first.item_id
    assert (later.is_new, later.is_closed) == (True, False)


def test_a_week_shows_what_binds_it_and_what_it_leaves_out(lived: Seeded) -> None:
    with lived.source("maintenance") as source:
        page = read_schedule(source, SCHEDULE, ScheduleFilter(), NOW)
        north = read_schedule(source, SCHEDULE, ScheduleFilter(plant="plant 0"), NOW)
    assert {each.kind for each in page.binding} == {"technicians", "budget", "part"}
    assert page.left_out[0].machine_id == "pump t7"
    assert "part bearing" in page.left_out[0].lacking
    assert page.zone == "Europe/Berlin"
    assert page.rows[0].begins == "Mon 30 Nov 06:00"
    assert {row.order.plant for row in north.rows} == {"plant 0"}
    assert 0 < north.count < page.count
    assert page.gantt is not None
    assert len(page.gantt.bars) == page.count
    assert len(page.gantt.rows) == 4


@given(st.lists(st.floats(-1.0, 2.0), max_size=30))
def test_sparks_lie_within_their_box(values: list[float]) -> None:
    path = spark_path(values)
    points = [tuple(map(float, point.split(","))) for point in path[1:].split(" L") if point]
    assert len(points) == (len(values) if len(values) > 1 else 0)
    assert all(0 <= x <= SPARK_WIDTH and 0 <= y <= SPARK_HEIGHT for x, y in points)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 160), st.integers(1, 8)), max_size=40)
)
def test_bars_of_a_crew_never_overlap(services: list[tuple[str, int, int]]) -> None:
    bars = [
        PlannedBar(crew, start, start + hours, "m", "", "open", "")
        for crew, start, hours in sorted(services)
    ]
    gantt = draw_gantt(bars, {}, {}, 168, math.inf)
    boxes = [(bar.x, bar.x + bar.width, bar.y, bar.y + bar.height) for bar in gantt.bars]
    for index, (left, right, top, bottom) in enumerate(boxes):
        assert gantt.left <= left < right <= gantt.right + 1
        assert top < bottom <= gantt.height
        for other in boxes[index + 1 :]:
            assert (
                right <= other[0] + 1
                or other[1] <= left + 1
                or top >= other[3]
                or bottom <= other[2]
            )


def test_rows_hold_no_cell_that_a_spreadsheet_computes() -> None:
    rows = [("=1+1", None), ("@x", 2.5), ("\uff1d1+1", "a=1"), ("\n=1", -2.5)]
    written = csv.reader(io.StringIO(rows_csv(("a", "b"), rows)))
    assert list(written) == [
        *(["a", "b"], ["'=1+1", ""], ["'@x", "2.5"]),
        *(["'\uff1d1+1", "a=1"], ["'\n=1", "-2.5"]),
    ]
