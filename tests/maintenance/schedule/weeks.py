"""Simulated weeks: machines whose lives are Weibull, at ages that service by calendar leaves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from lib.maintenance.schedule.local_week import local_week
from lib.maintenance.schedule.problem import SLOTS, Job, Problem, Week

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
SKILLS = ("mechanical", "electrical", "hydraulic")
SHAPE = 3.0
PARTS = ("bearing", "seal", "motor")
MUST_SERVE_RISK = 0.35


def shifts(per_shift: dict[str, int], weekend: float = 0.0) -> np.ndarray:
    """(168,) technicians by hour of a week without a clock change."""
    return local_week(MONDAY).people(per_shift, weekend)


def cycle_cost(
    service_cost: float, failure_cost: float, ages: np.ndarray, survival: np.ndarray
) -> float:
    """Least long-run cost per hour of a machine that is served at an age, or when it fails.

    Age replacement, Barlow and Proschan, Mathematical Theory of Reliability (1965), chapter 4.
    """
    lived = np.append(0.0, np.cumsum(np.diff(ages) * (survival[:-1] + survival[1:]) / 2.0))
    spent = service_cost * survival + failure_cost * (1.0 - survival)
    return float((spent[1:] / lived[1:]).min())


@dataclass(frozen=True)
class SimulatedWeek:
    """A problem with what its generator knows.

    Attributes:
        problem: jobs and week.
        age_hours: (n,) since each machine's last service.
        life_hours: (n,) Weibull scale of each machine.
    """

    problem: Problem
    age_hours: np.ndarray
    life_hours: np.ndarray

    def failures(self, seed: int) -> np.ndarray:
        """(n,) hours from the week's start to a failure, given the age; inf beyond the week."""
        draws = np.random.default_rng(seed).random(len(self.age_hours))
        spent = (self.age_hours / self.life_hours) ** SHAPE
        hours = self.life_hours * (spent - np.log(draws)) ** (1 / SHAPE) - self.age_hours
        return np.where(hours < SLOTS, hours, np.inf)


def simulated_week(machines: int, seed: int, *, demands: bool = True) -> SimulatedWeek:
    """`machines` in up to 20 plants, three skills, two shifts, parts, lines and a budget."""
    random = np.random.default_rng(seed)
    plants = max(1, min(20, machines // 25))
    life = random.uniform(1500.0, 5000.0, machines)
    age = life * np.minimum(random.weibull(2.0, machines) * 0.55, 1.4)
    jobs = [
        one_job(random, number, f"plant {number % plants}", age[number], life[number], demands)
        for number in range(machines)
    ]
    crew = {"06-14": 2, "14-22": 1}
    pools = {
        (f"plant {plant}", skill): shifts(crew, weekend=0.5)
        for plant in range(plants)
        for skill in SKILLS
    }
    lines = {job.line for job in jobs}
    sizes = {line: sum(job.line == line for job in jobs) for line in lines}
    week = Week(
        start=MONDAY,
        technicians=pools,
        budget=machines * 420.0,
        parts={"bearing": machines // 5, "seal": machines // 6, "motor": machines // 10},
        line_minimum={line: size - max(1, size // 4) for line, size in sizes.items()},
        production=np.where(shifts({"06-22": 1}, weekend=1.0) > 0, 1.25, 0.5),
    )
    return SimulatedWeek(Problem(jobs, week), age, life)


def one_job(
    random: np.random.Generator, number: int, plant: str, age: float, life: float, demands: bool
) -> Job:
    """A machine's job; money in dollars."""
    hours = np.arange(SLOTS + 1)
    survival = np.exp((age / life) ** SHAPE - ((age + hours) / life) ** SHAPE)
    survival = np.minimum.accumulate(np.minimum(survival, 1.0))
    skill = int(random.integers(3))
    service = float(random.uniform(800.0, 3000.0))
    lost = float(random.choice([100.0, 300.0, 900.0], p=[0.5, 0.35, 0.15]))
    duration = int(random.choice([2, 3, 4, 6, 8]))
    failure = 2.5 * service + lost * float(random.uniform(8.0, 30.0))
    later = np.arange(24.0, 2401.0, 24.0)
    then = np.exp((age / life) ** SHAPE - ((age + SLOTS + later) / life) ** SHAPE)
    ages = np.linspace(0.0, 3.0 * life, 600)
    renewed = np.exp(-((ages / life) ** SHAPE))
    first = int(random.integers(0, SLOTS - 12))
    busy = frozenset(range(first, first + 12)) if random.random() < 0.3 else frozenset()
    return Job(
        machine_id=f"m{number:03d}",
        plant=plant,
        line=f"{plant} line {number // 20 % 2}",
        skill=SKILLS[skill],
        crew=1 + int(random.random() < 0.15),
        duration_hours=duration,
        survival=survival,
        service_cost=service,
        failure_cost=failure,
        downtime_cost_per_hour=lost,
        cycle_cost_per_hour=cycle_cost(service + duration * lost, failure, ages, renewed),
        later_hours=later,
        later_survival=np.minimum(then, survival[-1]),
        parts={PARTS[skill]: 1} if random.random() < 0.6 else {},
        forbidden=busy,
        must_serve=demands and bool(1.0 - survival[-1] > MUST_SERVE_RISK),
    )
