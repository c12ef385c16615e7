"""One machine: its survival curve, sensors with faults marked, drivers, services and notes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lib.console.chart import Chart, draw
from lib.console.source import SystemSource
from lib.maintenance.feature_set import DAY_US
from lib.maintenance.inspection import newest_decision
from lib.maintenance.machine_decisions import MachineDecision
from lib.maintenance.repository import WorkOrder
from lib.records import Decision, Fact
from lib.records.review.models import AuditEntry

_DECISIONS, _ORDERS, _FACTS, _NOTES = 60, 20, 10, 10
_LAST = re.compile(r"(?P<sensor>.+)_last_(?P<unit>.+)")
_UNITS = {"c": "°C", "mm_s": "mm/s", "kw": "kW", "pct": "%", "db": "dB"}
_HOURS_PER_DAY = 24.0


@dataclass(frozen=True, slots=True)
class SensorRow:
    """A sensor at the newest decision; None where a value is missing.

    Attributes:
        name, unit: of the sensor.
        last: newest sound reading.
        mean, low, high: over 24 hours.
        deviation: of now from the machine's own normal, in standard deviations.
        coverage: share of the 24 hours with readings.
        fault: what is wrong with the newest reading; "" where nothing is.
    """

    name: str
    unit: str
    last: float | None
    mean: float | None
    low: float | None
    high: float | None
    deviation: float | None
    coverage: float | None
    fault: str


@dataclass(frozen=True)
class MachinePage:
    """All that the page of a machine shows.

    Attributes:
        machine_id: of the machine.
        decision: the newest.
        answer: of it.
        curve: of survival with its band; None without a model's answer.
        risk: of the last decisions; None with less than two.
        sensors: at the newest decision.
        drivers: in words, the strongest first.
        past: the last decisions, the newest first.
        orders: the newest.
        facts: failures and findings, the newest first.
        notes: of people, the newest first.
        schedule_id: the week that was planned last; None without one that has the machine.
        components: that can be ordered there.
    """

    machine_id: str
    decision: Decision
    answer: Mapping[str, Any]
    curve: Chart | None
    risk: Chart | None
    sensors: Sequence[SensorRow]
    drivers: Sequence[str]
    past: Sequence[MachineDecision]
    orders: Sequence[WorkOrder]
    facts: Sequence[Fact]
    notes: Sequence[AuditEntry]
    schedule_id: str | None
    components: Sequence[str]


def read_machine(source: SystemSource, machine_id: str) -> MachinePage:
    """Read a machine.

    Raises:
        UnknownMachineError: nothing was decided about it.
    """
    records = source.records
    decision = newest_decision(records, machine_id)
    answer: Mapping[str, Any] = decision.answer
    past = records.list_machine_decisions(machine_id, _DECISIONS)
    schedule_id, components = _orderable(source, machine_id)
    return MachinePage(
        machine_id=machine_id,
        decision=decision,
        answer=answer,
        curve=_curve(answer.get("survival")),
        risk=_risk(past),
        sensors=_sensors(decision.features, answer.get("sensor_faults") or []),
        drivers=_drivers(decision),
        past=past,
        orders=records.list_of_machine(machine_id, _ORDERS),
        facts=records.list_machine_facts(machine_id, _FACTS),
        notes=records.list_notes({each.subject_id for each in past}, _NOTES),
        schedule_id=schedule_id,
        components=components,
    )


def _orderable(source: SystemSource, machine_id: str) -> tuple[str | None, list[str]]:
    """The week that was planned last and the services of a machine that it can have."""
    entries = source.records.list_schedules(1)
    if not entries:
        return None, []
    schedule, _ = source.records.find_schedule(entries[0].id)
    sites: Any = schedule.plan.get("sites", [])
    work: Any = schedule.request.get("work", {})
    if machine_id not in {site["machine_id"] for site in sites}:
        return None, []
    return schedule.id, sorted(work)


def _curve(points: Any) -> Chart | None:
    """Survival over days with its 80% band."""
    if not isinstance(points, list) or not all(_is_point(point) for point in points):
        return None
    days = [point["hours"] / _HOURS_PER_DAY for point in points]
    low, middle, high = ([point[name] for point in points] for name in ("low", "survival", "high"))
    chart = draw(
        "Probability to run without a failure", days,
        {"survival, with its 80% band": middle}, "days from the prediction", (low, high),
    )  # fmt: skip
    return None if chart is None else _without_dots(chart)


def _is_point(point: Any) -> bool:
    names = ("hours", "survival", "low", "high")
    return isinstance(point, Mapping) and all(
        isinstance(point.get(name), int | float) for name in names
    )


def _risk(past: Sequence[MachineDecision]) -> Chart | None:
    """Risk of the last decisions over days before the newest."""
    known = [each for each in reversed(past) if each.score is not None]
    if len(known) < 2:
        return None
    newest = known[-1].event_time
    days = [(each.event_time - newest) / DAY_US for each in known]
    risks = [each.score or 0.0 for each in known]
    chart = draw("Failure within 7 days, by decision", days, {"risk": risks}, "days until now")
    return None if chart is None else _without_dots(chart)


def _without_dots(chart: Chart) -> Chart:
    return replace(chart, lines=tuple(replace(line, dots=()) for line in chart.lines))


def _sensors(features: Mapping[str, float], faults: Sequence[Any]) -> list[SensorRow]:
    """Sensors by what was computed of them; those that are faulty first."""
    broken = {fault["sensor"]: str(fault["fault"]) for fault in faults}
    rows = []
    for name in features:
        match = _LAST.fullmatch(name)
        if match is None:
            continue
        sensor, unit = match["sensor"], match["unit"]

        def value(text: str) -> float | None:
            number = features.get(text)
            return None if number is None or number != number else number  # noqa: PLR0124

        rows.append(
            SensorRow(
                sensor, _UNITS.get(unit, unit), value(name),
                value(f"{sensor}_mean_{unit}_24h"), value(f"{sensor}_min_{unit}_24h"),
                value(f"{sensor}_max_{unit}_24h"), value(f"{sensor}_zscore"),
                value(f"{sensor}_coverage_24h"), broken.pop(sensor, ""),
            )
        )  # fmt: skip
    rows += [
        SensorRow(sensor, "", None, None, None, None, None, None, fault)
        for sensor, fault in broken.items()
    ]
    return sorted(rows, key=lambda row: not row.fault)


def _drivers(decision: Decision) -> list[str]:
    texts = []
    for reason in decision.reasons:
        if isinstance(reason, Mapping):
            text = reason.get("words") or reason.get("what") or reason.get("code")
            texts.append(str(text))
    return texts
