"""A simulated fleet that lives day by day under the decisions of a model, with its logs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lib.contract import TIME
from lib.maintenance.features import evaluate
from lib.maintenance.model.costs import Costs
from lib.maintenance.offline import histories
from lib.maintenance.simulation.config import FleetConfig
from lib.maintenance.simulation.files import failure_rows, machine_rows, service_rows
from lib.maintenance.simulation.fleet import Event, Fleet, Passed, Service
from lib.maintenance.simulation.readings import hour_us, observe
from tests.benchmarks.cycle.world import Floats

REPLACED = {"temperature": (1.0, -9.0), "vibration": (0.4, 0.0), "noise": (1.0, -7.0)}
"""What the new sensors read of what the old ones did: factor and offset."""
_FIRST_HOUR, _HOURS = 6, 12
_WINDOW_WEEKS = 6
_WEEK_DAYS = 7


@dataclass
class LivingFleet:
    """One fleet, looked after by a crew at first, later served by decisions.

    Args:
        config: of the fleet.
        change_week: week of the fleet from whose begin new sensors read.
        kept_weeks: of telemetry.
        costs: of a service and a failure, and how long none is called for after a service.
    """

    config: FleetConfig
    change_week: int
    kept_weeks: int
    costs: Costs = field(default_factory=Costs)
    telemetry: list[pa.Table] = field(default_factory=list)
    errors: list[pa.Table] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._fleet = Fleet(self.config)
        self._due: list[Service] = []
        self._called = np.full(self.config.machines, -np.inf)
        self._ahead: tuple[Fleet, Passed] | None = None

    def pass_weeks(self, weeks: int) -> None:
        """Weeks under inspections, which find most parts in time and others not."""
        crew = Inspections(self.config)
        for _ in range(weeks):
            passed = self._fleet.advance(crew.services(self._fleet))
            crew.note(passed)
            self._keep(self._fleet, passed)
            self.events.extend(passed.events)

    def features(self, day: int) -> Floats:
        """(machines, features) at midnight, when a day begins, in their order."""
        now = hour_us(self.config, 24 * day)
        telemetry, errors, services = self._known(now, _WINDOW_WEEKS)
        pasts = histories(
            self.config.features, telemetry, errors, services, machine_rows(self._fleet)
        )
        return np.concatenate([evaluate(self.config.features, past, [now]) for past in pasts])

    def follow(self, day: int, called: Sequence[bool]) -> None:
        """Services of a day for the machines (machines,) that they are called for, and its end.

        A crew replaces the part that it finds most worn; a machine that was served within the
        credit of a service is not served again.
        """
        hour, week_day = 24.0 * day, day % _WEEK_DAYS
        is_due = np.asarray(called) & (hour - self._called > self.costs.credit_hours)
        numbers = np.flatnonzero(is_due)
        self._called[numbers] = hour
        _, passed = self._this_week()
        worn = passed.wear[numbers, :, max(24 * week_day - 1, 0)].argmax(axis=1)
        starts = 24 * week_day + _FIRST_HOUR + np.arange(len(numbers)) % _HOURS
        if len(numbers):
            columns = (column.tolist() for column in (numbers, worn, starts))
            self._due += [Service(*each) for each in zip(*columns, strict=True)]
            self._ahead = None
        if week_day == _WEEK_DAYS - 1:
            self._end_week()

    def write(self, day: int, folder: Path) -> dict[str, str]:
        """Tables known when a day begins, by option of the training."""
        telemetry, errors, services = self._known(hour_us(self.config, 24 * day), self.kept_weeks)
        tables = {
            "telemetry": telemetry,
            "errors": errors,
            "maintenance": services,
            "failures": self.failures(day),
            "machines": machine_rows(self._fleet),
        }
        paths = {name: folder / f"{name}.parquet" for name in tables}
        for name, table in tables.items():
            pq.write_table(table, paths[name])
        return {name: str(path) for name, path in paths.items()}

    def failures(self, day: int) -> pa.Table:
        """Failures until a day begins."""
        now = hour_us(self.config, 24 * day)
        return _until(failure_rows(self.config, [e for e in self._events() if not e.planned]), now)

    def losses(self, days: int) -> Floats:
        """(days,) what services and failures cost."""
        losses = np.zeros(days)
        for event in self._events():
            price = self.costs.service if event.planned else self.costs.failure
            losses[min(event.hour // 24, days - 1)] += price
        return losses

    def _this_week(self) -> tuple[Fleet, Passed]:
        """The running week, with the services that are known; the fleet stays at its begin."""
        if self._ahead is None:
            fleet = copy.deepcopy(self._fleet)
            passed = fleet.advance(self._due)
            self._ahead = fleet, passed
            self._read = self._observed(fleet, passed)
        return self._ahead

    def _end_week(self) -> None:
        fleet, passed = self._this_week()
        self._fleet, self._ahead, self._due = fleet, None, []
        self._keep(fleet, passed)
        self.events.extend(passed.events)

    def _observed(self, fleet: Fleet, passed: Passed) -> tuple[pa.Table, pa.Table]:
        telemetry, errors = observe(fleet, passed)
        return replaced(telemetry) if passed.week >= self.change_week else telemetry, errors

    def _keep(self, fleet: Fleet, passed: Passed) -> None:
        telemetry, errors = self._observed(fleet, passed)
        self.telemetry = [*self.telemetry, telemetry][-self.kept_weeks :]
        self.errors = [*self.errors, errors][-self.kept_weeks :]

    def _events(self) -> list[Event]:
        return [*self.events, *(self._ahead[1].events if self._ahead is not None else ())]

    def _known(self, now: int, weeks: int) -> tuple[pa.Table, pa.Table, pa.Table]:
        """Telemetry, error codes and services until a time."""
        self._this_week()
        telemetry, errors = (
            _until(pa.concat_tables([*earlier[-weeks:], own]), now)
            for earlier, own in zip((self.telemetry, self.errors), self._read, strict=True)
        )
        return telemetry, errors, _until(service_rows(self.config, self._events()), now)


class Inspections:
    """A crew looks at all parts once a week, and replaces those that are worn in its eyes.

    Args:
        config: of the fleet.
    """

    def __init__(self, config: FleetConfig) -> None:
        self._random = np.random.default_rng([config.seed, 77])
        self._limits = self._random.uniform(*_LIMITS, (config.machines, len(config.components)))

    def services(self, fleet: Fleet) -> list[Service]:
        """Services of the coming week, spread over its working hours."""
        return [
            Service(machine, part, 24 * (index % 5) + _FIRST_HOUR + index // 5 % _HOURS)
            for index, (machine, part) in enumerate(np.argwhere(fleet.wear > self._limits).tolist())
        ]

    def note(self, passed: Passed) -> None:
        """Parts that were replaced get other eyes."""
        for event in passed.events:
            self._limits[event.machine, event.component] = self._random.uniform(*_LIMITS)


_LIMITS = (0.8, 1.1)


def replaced(telemetry: pa.Table) -> pa.Table:
    """The same readings by the new sensors."""
    for name, (factor, offset) in REPLACED.items():
        values = pc.max_element_wise(pc.add(pc.multiply(telemetry[name], factor), offset), 0.0)
        values = pc.if_else(pc.is_null(telemetry[name]), None, values)
        at = telemetry.schema.get_field_index(name)
        telemetry = telemetry.set_column(at, name, values)
    return telemetry


def _until(table: pa.Table, now: int) -> pa.Table:
    limit = pa.scalar(now, pa.int64()).cast(TIME)
    return table.filter(pc.less_equal(table["event_time"], limit))
