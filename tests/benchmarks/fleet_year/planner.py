"""Our policy on the simulated fleet: features, survival models, a schedule every week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from lib.contract import TIME
from lib.maintenance.features import evaluate
from lib.maintenance.history import History
from lib.maintenance.model.rows import TrainingRows, concat, landmarks
from lib.maintenance.offline import histories
from lib.maintenance.schedule.costs import NOT_THIS_WEEK
from lib.maintenance.schedule.problem import Job, Problem, Week
from lib.maintenance.schedule.solve import solve
from lib.maintenance.schedule.week_problem import survival_of_jobs
from lib.maintenance.simulation.config import FleetConfig
from lib.maintenance.simulation.fleet import Event, Fleet, Passed, Service
from lib.maintenance.simulation.policies import FixedInterval, run
from lib.maintenance.simulation.readings import hour_us, machine_ids, observe
from lib.maintenance.simulation.wear import Machines
from lib.survival.network import HazardNetwork
from lib.survival.settings import HazardSettings
from lib.survival.training import fit_network
from tests.maintenance.schedule.weeks import shifts

HORIZON_HOURS = 1344.0
KEPT_WEEKS = 6
# what an hour costs that nobody planned, over one that was; with it such an hour costs about
# 4,200 dollars on average, as 1,200 hours that cost 5 million do
UNPLANNED_FACTOR = 9.0
SKILLS = {"bearing": "mechanical", "seal": "hydraulic", "motor": "electrical"}
NETWORK = HazardSettings(horizon=HORIZON_HOURS, intervals=16, epochs=12, dropout=0.2, members=2)


@dataclass
class Log:
    """Tables of the last weeks, and all services, as an application would have them."""

    config: FleetConfig
    telemetry: list[pa.Table] = field(default_factory=list)
    errors: list[pa.Table] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def add(self, fleet: Fleet, passed: Passed, keep: int = KEPT_WEEKS) -> None:
        """What a week told."""
        telemetry, errors = observe(fleet, passed)
        self.telemetry = [*self.telemetry[-keep + 1 :], telemetry]
        self.errors = [*self.errors[-keep + 1 :], errors]
        self.events.extend(passed.events)

    def histories(self) -> list[History]:
        """Of all machines, in their order."""
        return list(
            histories(
                self.config.features,
                pa.concat_tables(self.telemetry),
                pa.concat_tables(self.errors),
                self._services(),
                self._machines(),
            )
        )

    def _services(self) -> pa.Table:
        names, parts = machine_ids(self.config), self.config.components
        back = [hour_us(self.config, round(e.hour + e.hours)) for e in self.events]
        return pa.table(
            {
                "machine_id": pa.array([names[e.machine] for e in self.events], pa.string()),
                "event_time": pa.array(back, pa.int64()).cast(TIME),
                "component": pa.array([parts[e.component].name for e in self.events], pa.string()),
            }
        )

    def _machines(self) -> pa.Table:
        names = machine_ids(self.config)
        return pa.table({"machine_id": names, "installed_at": pa.nulls(len(names), TIME)})


@dataclass(frozen=True)
class Models:
    """For each component a network, and how often it was served and failed, per machine-hour."""

    networks: tuple[HazardNetwork, ...]
    rates: tuple[tuple[float, float], ...]


def learn(config: FleetConfig, weeks: int, seed: int) -> Models:
    """From another fleet's past under calendar service with intervals that vary by machine."""
    part_lives = [part.life_hours for part in config.components]
    policy = FixedInterval(config, [0.95 * life for life in part_lives])
    log = Log(config)

    def note(fleet: Fleet, passed: Passed) -> None:
        policy.note(fleet, passed)
        log.add(fleet, passed, keep=weeks)

    run(config, policy, weeks, note)
    networks, rates = [], []
    hours = config.machines * weeks * 168.0
    machine_histories = log.histories()
    for component in range(len(config.components)):
        rows = concat([_rows(config, log, past, component, weeks) for past in machine_histories])
        names = config.features.names
        networks.append(fit_network(names, rows.rows, rows.outcomes, rows.machines, NETWORK, seed))
        rates.append(_rates(log.events, component, hours))
    return Models(tuple(networks), tuple(rates))


def _rows(config: FleetConfig, log: Log, past: History, component: int, weeks: int) -> TrainingRows:
    """A row a week of one machine, with its component's failures; its services censor."""
    events = [
        e for e in log.events if e.machine == int(past.machine_id[1:]) and e.component == component
    ]
    at = [hour_us(config, 168 * week) for week in range(5, weeks)]
    fails = [hour_us(config, e.hour) for e in events if not e.planned]
    served = [hour_us(config, e.hour) for e in events if e.planned]
    return landmarks(config.features, past, at, fails, hour_us(config, 168 * weeks), served)


def _rates(events: Sequence[Event], component: int, machine_hours: float) -> tuple[float, float]:
    """Services and failures of a component per machine-hour."""
    is_planned = [event.planned for event in events if event.component == component]
    return sum(is_planned) / machine_hours, (len(is_planned) - sum(is_planned)) / machine_hours


class Planner:
    """Plans every week from what was told so far."""

    def __init__(self, config: FleetConfig, models: Models, fallback: FixedInterval) -> None:
        self.config, self.models, self.log = config, models, Log(config)
        self.fallback = fallback
        self.solve_seconds: list[float] = []

    def __call__(self, fleet: Fleet) -> list[Service]:
        """Services of the coming week; by the calendar until a month of telemetry is there."""
        calendar = list(self.fallback(fleet))
        if fleet.week < 5:
            return calendar
        at = hour_us(self.config, 168 * fleet.week)
        rows = np.concatenate(
            [evaluate(self.config.features, past, [at]) for past in self.log.histories()]
        )
        problem = self._problem(fleet, rows)
        plan = solve(problem, gap=0.02, seconds=20.0, threads=1)
        self.solve_seconds.append(plan.seconds)
        parts = len(self.config.components)
        return [
            Service(index % self.config.machines, index // self.config.machines, int(start))
            for index, start in enumerate(plan.starts)
            if start != NOT_THIS_WEEK and index // self.config.machines < parts
        ]

    def note(self, fleet: Fleet, passed: Passed) -> None:
        """Learn what the week told."""
        self.fallback.note(fleet, passed)
        self.log.add(fleet, passed)

    def _problem(self, fleet: Fleet, rows: np.ndarray) -> Problem:
        names = machine_ids(self.config)
        values = value_per_hour(fleet.machines).tolist()
        candidates = []
        for component, part in enumerate(self.config.components):
            survival = survival_of_jobs(self.models.networks[component].curves(rows))
            candidates += [
                Job(
                    machine_id=f"{name} {part.name}",
                    plant=f"plant {fleet.machines.plant[number]}",
                    line="",
                    skill=SKILLS[part.name],
                    crew=1,
                    duration_hours=part.service_hours,
                    service_cost=part.service_cost,
                    failure_cost=part.repair_cost
                    + part.repair_hours * UNPLANNED_FACTOR * values[number],
                    downtime_cost_per_hour=values[number],
                    cycle_cost_per_hour=self._cycle(component, values[number]),
                    must_serve=survival[number]["survival"][-1] <= 0.0,
                    **survival[number],
                )
                for number, name in enumerate(names)
            ]
        crews = {
            (f"plant {plant}", skill): shifts({"06-14": 1, "14-22": 1}, weekend=1.0)
            for plant in range(self.config.plants)
            for skill in SKILLS.values()
        }
        weights = np.where(shifts({"06-22": 1}, weekend=1.0) > 0, 1.15, 0.7)
        return Problem(
            candidates, Week(start=self.config.start, technicians=crews, production=weights)
        )

    def _cycle(self, component: int, value_per_hour: float) -> float:
        """What the past policy cost per hour: the first step of Howard's policy iteration."""
        part, (served, failed) = self.config.components[component], self.models.rates[component]
        service = part.service_cost + part.service_hours * value_per_hour
        unplanned = UNPLANNED_FACTOR * value_per_hour
        failure = part.repair_cost + part.repair_hours * unplanned
        return served * service + failed * failure


def value_per_hour(machines: Machines) -> np.ndarray:
    """(n,) production lost in an hour that each machine stands, in dollars."""
    return 150.0 + 1500.0 * machines.criticality**2


def production_lost(events: Sequence[Event], values: np.ndarray) -> float:
    """Dollars lost while machines stood, hours that nobody planned at their factor."""
    return float(
        sum(
            event.hours * values[event.machine] * (1.0 if event.planned else UNPLANNED_FACTOR)
            for event in events
        )
    )
