"""The fleet: machines by risk, with what was decided of late and when they are serviced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib.console.source import SystemSource
from lib.maintenance.feature_set import DAY_US
from lib.maintenance.machine_decisions import MachineDecision
from lib.maintenance.repository import StoredSchedule, WorkOrder

ROWS = 50
"""Machines that a page shows."""
DAYS = 30
"""Machines without a decision in so many days are left out."""
_MOST_DECISIONS = 20_000
MOST_PAGES = -(-_MOST_DECISIONS // ROWS)
"""Pages that a fleet fills at most."""
SPARK_WIDTH, SPARK_HEIGHT = 96, 20
_SPARK_POINTS = 24


@dataclass(frozen=True, slots=True)
class FleetFilter:
    """Which machines are shown; None takes all.

    Attributes:
        decision: the newest about the machine.
        plant: where it stands.
        text: part of its id.
        number: of the page, from 1.
    """

    decision: str | None = None
    plant: str | None = None
    text: str | None = None
    number: int = 1


@dataclass(frozen=True, slots=True)
class MachineRow:
    """A machine.

    Attributes:
        newest: decision about it.
        plant, line: where it stands; "" where no planned week says so.
        spark: path of its risk over the last decisions; "" with less than two.
        change: of the risk since the first of them; None without.
        order: its next service that is not closed; None without one.
    """

    newest: MachineDecision
    plant: str
    line: str
    spark: str
    change: float | None
    order: WorkOrder | None


@dataclass(frozen=True)
class FleetPage:
    """All that the page of the fleet shows.

    Attributes:
        rows: machines of this page, the riskiest first.
        count: of machines that the filter takes.
        counts: of all machines by newest decision.
        plants: of all machines.
        is_partial: whether there were more decisions than are read.
    """

    rows: Sequence[MachineRow]
    count: int
    counts: Mapping[str, int]
    plants: Sequence[str]
    is_partial: bool


def read_fleet(source: SystemSource, shown: FleetFilter, now: int) -> FleetPage:
    """Read the machines that were decided about in the 30 days before the last decision.

    Args:
        source: of the system.
        shown: which machines.
        now: microseconds since 1970 UTC.
    """
    machines, is_partial = _machines(source, now)
    schedule, orders = _newest_week(source)
    sites = _sites(schedule)
    matching = [past for past in machines.values() if _is_shown(past[0], sites, shown)]
    matching.sort(key=lambda past: (-_risk(past[0]), past[0].machine_id))
    first = (shown.number - 1) * ROWS
    counts: dict[str, int] = {}
    for past in machines.values():
        counts[past[0].decision] = counts.get(past[0].decision, 0) + 1
    return FleetPage(
        [_row(past, sites, orders) for past in matching[first : first + ROWS]],
        len(matching),
        dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
        sorted({site["plant"] for site in sites.values() if site["plant"]}),
        is_partial,
    )


def list_fleet(source: SystemSource, shown: FleetFilter, now: int) -> list[MachineRow]:
    """All machines that a filter takes, for an export; see `read_fleet`."""
    machines, _ = _machines(source, now)
    schedule, orders = _newest_week(source)
    sites = _sites(schedule)
    rows = [
        _row(past, sites, orders) for past in machines.values() if _is_shown(past[0], sites, shown)
    ]
    return sorted(rows, key=lambda row: (-_risk(row.newest), row.newest.machine_id))


def spark_path(values: Sequence[float]) -> str:
    """Values in [0, 1], the earliest first, as a path of SVG; "" with less than two.

    >>> spark_path([0.0, 1.0])
    'M0,19 L96,1'
    """
    if len(values) < 2:
        return ""
    step = SPARK_WIDTH / (len(values) - 1)
    points = (
        (round(index * step, 1), round(1 + (1 - min(max(value, 0.0), 1.0)) * (SPARK_HEIGHT - 2), 1))
        for index, value in enumerate(values)
    )
    return "M" + " L".join(f"{x:g},{y:g}" for x, y in points)


def _machines(source: SystemSource, now: int) -> tuple[dict[str, list[MachineDecision]], bool]:
    """Decisions by machine, the newest first, and whether there were too many to read.

    They are of the days before the last one, which may be long ago where events are replayed.
    """
    last = source.records.list_newest_decisions(0, 1)
    end = min([now, *(decision.event_time for decision in last)])
    newest = source.records.list_newest_decisions(end - DAYS * DAY_US, _MOST_DECISIONS)
    machines: dict[str, list[MachineDecision]] = {}
    for decision in newest:
        past = machines.setdefault(decision.machine_id, [])
        if len(past) < _SPARK_POINTS:
            past.append(decision)
    return machines, len(newest) == _MOST_DECISIONS


def _newest_week(
    source: SystemSource,
) -> tuple[StoredSchedule | None, dict[str, WorkOrder]]:
    """The week that was planned last, and its open orders by machine, the earliest of each."""
    entries = source.records.list_schedules(1)
    if not entries:
        return None, {}
    schedule, orders = source.records.find_schedule(entries[0].id)
    waiting = [order for order in orders if order.closed_at is None]
    return schedule, {order.machine_id: order for order in reversed(waiting)}


def _sites(schedule: StoredSchedule | None) -> dict[str, Mapping[str, str]]:
    sites: Any = [] if schedule is None else schedule.plan.get("sites", [])
    return {site["machine_id"]: site for site in sites}


def _is_shown(
    newest: MachineDecision, sites: Mapping[str, Mapping[str, str]], shown: FleetFilter
) -> bool:
    plant = sites.get(newest.machine_id, {}).get("plant", "")
    return (
        shown.decision in (None, newest.decision)
        and shown.plant in (None, plant)
        and (shown.text is None or shown.text.lower() in newest.machine_id.lower())
    )


def _risk(decision: MachineDecision) -> float:
    return -1.0 if decision.score is None else decision.score


def _row(
    past: Sequence[MachineDecision],
    sites: Mapping[str, Mapping[str, str]],
    orders: Mapping[str, WorkOrder],
) -> MachineRow:
    newest = past[0]
    site = sites.get(newest.machine_id, {})
    risks = [decision.score for decision in reversed(past) if decision.score is not None]
    return MachineRow(
        newest, site.get("plant", ""), site.get("line", ""), spark_path(risks),
        risks[-1] - risks[0] if len(risks) > 1 else None, orders.get(newest.machine_id),
    )  # fmt: skip
