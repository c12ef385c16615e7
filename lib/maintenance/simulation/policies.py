"""Policies that need no model: run to failure, and service by the calendar."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lib.maintenance.history import Floats
from lib.maintenance.simulation.config import FleetConfig
from lib.maintenance.simulation.fleet import Event, Fleet, Passed, Service

Policy = Callable[[Fleet], Sequence[Service]]


@dataclass(frozen=True)
class Year:
    """What weeks under a policy came to.

    Attributes:
        weeks: that passed.
        events: all stops.
        machines: in the fleet.
    """

    weeks: int
    events: tuple[Event, ...]
    machines: int

    @property
    def unplanned_hours(self) -> Floats:
        """(machines,) hours that each stood after failures."""
        return self._sum([0.0 if e.planned else e.hours for e in self.events])

    @property
    def maintenance_cost(self) -> Floats:
        """(machines,) labour and parts of services and repairs, in dollars."""
        return self._sum([e.cost for e in self.events])

    @property
    def failures(self) -> Floats:
        """(machines,) how often each failed."""
        return self._sum([float(not e.planned) for e in self.events])

    def _sum(self, values: list[float]) -> Floats:
        owners = np.array([event.machine for event in self.events], dtype=np.int64)
        totals = np.bincount(owners, weights=np.array(values), minlength=self.machines)
        return totals.astype(np.float64)


def run(
    config: FleetConfig,
    policy: Policy,
    weeks: int,
    on_week: Callable[[Fleet, Passed], None] | None = None,
) -> Year:
    """Weeks of a fleet under a policy, which is asked at the start of each."""
    fleet = Fleet(config)
    events: list[Event] = []
    for _ in range(weeks):
        passed = fleet.advance(policy(fleet))
        events.extend(passed.events)
        if on_week is not None:
            on_week(fleet, passed)
    return Year(weeks, tuple(events), config.machines)


def run_to_failure(_fleet: Fleet) -> Sequence[Service]:
    """No service at all."""
    return ()


class FixedInterval:
    """Replaces each component when it was last replaced so many hours ago.

    Args:
        config: of the fleet.
        interval_hours: by component, of calendar time.
    """

    def __init__(self, config: FleetConfig, interval_hours: Sequence[float]) -> None:
        self._interval = np.asarray(interval_hours, dtype=np.float64)
        # ages that a fleet under this calendar would have: spread over the interval
        random = np.random.default_rng([config.seed, 99])
        share = random.random((config.machines, len(self._interval)))
        self._since: Floats = share * self._interval

    def __call__(self, _fleet: Fleet) -> Sequence[Service]:
        """Services of the coming week, spread over its working hours."""
        due = np.argwhere(self._since >= self._interval)
        self._since += 168.0
        services = []
        for index, (machine, component) in enumerate(due.tolist()):
            self._since[machine, component] = 168.0
            hour = 24 * (index % 5) + 6 + index // 5 % 12
            services.append(Service(machine, component, hour))
        return services

    def note(self, _fleet: Fleet, passed: Passed) -> None:
        """A failed component begins anew."""
        for event in passed.events:
            if not event.planned:
                hours = (passed.week + 1) * 168.0 - event.hour
                self._since[event.machine, event.component] = hours
