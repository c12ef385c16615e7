"""A fleet that runs on, week by week, under whatever policy: wear, failures, repairs, service."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.maintenance.feature_set import FeatureError
from lib.maintenance.history import Floats, Ints
from lib.maintenance.simulation.config import FleetConfig
from lib.maintenance.simulation.wear import WEEK_HOURS, increments, loads, machines, sudden


@dataclass(frozen=True)
class Service:
    """A planned replacement.

    Attributes:
        machine, component: numbers, as of `Event`.
        start: hours since the start of the week.
    """

    machine: int
    component: int
    start: int


@dataclass(frozen=True)
class Event:
    """What stopped a machine.

    Attributes:
        machine, component: numbers.
        hour: since the fleet's hour 0, when it stopped.
        planned: service, or failure.
        hours: that it stood.
        cost: labour and parts, in dollars.
        wear: share of a mean life that the component had spent.
    """

    machine: int
    component: int
    hour: int
    planned: bool
    hours: float
    cost: float
    wear: float


@dataclass(frozen=True)
class Passed:
    """A week that has passed.

    Attributes:
        week: its number.
        load: (n, 168).
        wear: (n, components, 168) at the end of each hour, before what ended that hour.
        running: (n, 168) whether the machine ran.
        events: what stopped machines, by time.
    """

    week: int
    load: Floats
    wear: Floats
    running: np.ndarray
    events: tuple[Event, ...]


class Fleet:
    """The state of all machines. The same seed under two policies has the same random wear."""

    def __init__(self, config: FleetConfig) -> None:
        self.config = config
        self.machines = machines(config)
        self.wear: Floats = self.machines.age.copy()
        self.week = 0
        # hours of the coming week for which a repair still goes on
        self._down = np.zeros(config.machines)
        # services that a stand put off into the coming week
        self._put_off: list[Service] = []

    def advance(self, services: Sequence[Service] = ()) -> Passed:
        """Let a week pass with these services.

        A machine that stands already when its service would start is served when it runs again,
        in the next week if need be; a service whose component failed earlier in the week is not
        needed and not done.

        Raises:
            FeatureError: a service names a machine, component or hour that there is not.
        """
        self._check(services)
        load = loads(self.config, self.week)
        grown = increments(self.config, self.machines, load, self.week)
        wear = self.wear[:, :, None] + np.cumsum(grown, axis=2)
        running = np.ones((self.config.machines, WEEK_HOURS), dtype=bool)
        planned: dict[int, list[Service]] = {}
        put_off, self._put_off = self._put_off, []
        for service in [*put_off, *sorted(services, key=lambda service: service.start)]:
            planned.setdefault(service.machine, []).append(service)
        shocks = sudden(self.config, self.week)
        ends = (wear[:, :, -1] >= 1.0).any(axis=1) | (shocks[:, 0] >= 0)
        eventful = np.flatnonzero(ends | (self._down > 0))
        events: list[Event] = []
        for number in sorted({*eventful.tolist(), *planned}):
            machine_events = self._one_machine(
                number, grown[number], wear[number], running[number], planned, shocks[number]
            )
            events.extend(machine_events)
        self.wear = wear[:, :, -1].copy()
        for event in events:
            self._after(event, grown, running)
        passed = Passed(self.week, load, wear, running, tuple(sorted(events, key=lambda e: e.hour)))
        self.week += 1
        return passed

    def _check(self, services: Sequence[Service]) -> None:
        for service in services:
            inside = (
                0 <= service.machine < self.config.machines
                and 0 <= service.component < len(self.config.components)
                and 0 <= service.start < WEEK_HOURS
            )
            if not inside:
                raise FeatureError(
                    f"expected a service of one of {self.config.machines} machines, "
                    f"{len(self.config.components)} components, within 168 hours, got {service}"
                )

    def _one_machine(
        self,
        number: int,
        grown: Floats,
        wear: Floats,
        running: np.ndarray,
        planned: dict[int, list[Service]],
        shock: Ints,
    ) -> list[Event]:
        """Replays a machine's hours from stop to stop; changes its rows of wear and running."""
        state = self.wear[number].copy()
        waiting = list(planned.get(number, ()))
        events: list[Event] = []
        stands = round(float(self._down[number]))
        self._down[number] = 0.0
        hour = 0
        while hour < WEEK_HOURS:
            if stands > 0:
                end = min(WEEK_HOURS, hour + stands)
                wear[:, hour:end], running[hour:end] = state[:, None], False
                self._down[number] = stands - (end - hour)
                stands, hour = 0, end
                continue
            if waiting and waiting[0].start <= hour:
                service = waiting.pop(0)
                if not any(event.component == service.component for event in events):
                    events.append(self._replace(number, service.component, state, hour, True))
                    stands = round(events[-1].hours)
                continue
            end = min(WEEK_HOURS, waiting[0].start if waiting else WEEK_HOURS)
            path = state[:, None] + np.cumsum(grown[:, hour:end], axis=1)
            failed = (path >= 1.0).any(axis=0)
            failed |= np.arange(hour, end) == shock[0]
            if not failed.any():
                wear[:, hour:end], state, hour = path, path[:, -1], end
                continue
            first = int(failed.argmax())
            wear[:, hour : hour + first + 1], state = path[:, : first + 1], path[:, first].copy()
            hour += first + 1
            worn = int(state.argmax())
            broken = worn if state[worn] >= 1.0 else int(shock[1])
            event = self._replace(number, broken, state, hour, False)
            events.append(event)
            stands = round(event.hours)
            self._down[number] = stands if hour >= WEEK_HOURS else 0.0
        self._put_off += [Service(number, service.component, 0) for service in waiting]
        return events

    def _replace(
        self, number: int, component: int, state: Floats, hour: int, planned: bool
    ) -> Event:
        """A component begins anew, by a service or after its failure."""
        part, spent = self.config.components[component], float(state[component])
        state[component] = 0.0
        hours, cost = (
            (part.service_hours, part.service_cost)
            if planned
            else (part.repair_hours, part.repair_cost)
        )
        now = self.week * WEEK_HOURS + hour
        return Event(number, component, now, planned, hours, cost, spent)

    def _after(self, event: Event, grown: Floats, running: np.ndarray) -> None:
        """Wear at the week's end of a component that was replaced within it."""
        first = event.hour - self.week * WEEK_HOURS
        later = running[event.machine, first:]
        self.wear[event.machine, event.component] = float(
            (grown[event.machine, event.component, first:] * later).sum()
        )
