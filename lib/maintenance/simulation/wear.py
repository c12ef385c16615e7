"""How components wear from hour to hour, by random numbers that no policy changes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib.maintenance.history import Floats
from lib.maintenance.simulation.config import FleetConfig

WEEK_HOURS = 168
_LOADS, _WEAR, _MACHINE, _SUDDEN = 1, 2, 3, 4


@dataclass(frozen=True)
class Machines:
    """What does not change.

    Attributes:
        rate: (n,) how fast each wears, 1 on average.
        age: (n, components) wear at hour 0, as shares of a life.
        plant: (n,) number of its plant.
        criticality: (n,) production lost while it stands, as a share of its line's.
        base: (n, sensors) readings at rest of wear, at full load.
    """

    rate: Floats
    age: Floats
    plant: np.ndarray
    criticality: Floats
    base: Floats


def machines(config: FleetConfig) -> Machines:
    """All machines of a fleet."""
    rows = [_machine(config, number) for number in range(config.machines)]
    rate, age, criticality, base = (np.array(part) for part in zip(*rows, strict=True))
    plant = np.arange(config.machines) % config.plants
    return Machines(rate, age, plant, criticality, base)


def loads(config: FleetConfig, week: int) -> Floats:
    """(n, 168) load of each machine from 0 (idle) to 1, by shift, weekend and orders."""
    hour = np.arange(WEEK_HOURS)
    busy = np.where((hour % 24 >= 6) & (hour % 24 < 22), 1.0, 0.55)
    busy = busy * np.where(hour // 24 >= 5, 0.6, 1.0)
    load = np.empty((config.machines, WEEK_HOURS))
    for number in range(config.machines):
        random = np.random.default_rng([config.seed, number, week, _LOADS])
        level = random.uniform(0.75, 1.0)
        idle = random.random(WEEK_HOURS) < 0.03
        load[number] = np.where(idle, 0.0, np.clip(busy * level, 0.0, 1.0))
    return load


def increments(config: FleetConfig, fixed: Machines, load: Floats, week: int) -> Floats:
    """(n, components, 168) wear of each hour that a machine runs, as shares of a mean life.

    A gamma process: van Noortwijk, Reliability Engineering and System Safety 94 (2009).
    """
    lives = np.array([component.life_hours for component in config.components])
    shape = 1.0 / (np.array([component.scatter for component in config.components]) ** 2 * lives)
    wear = np.empty((config.machines, len(lives), WEEK_HOURS))
    for number in range(config.machines):
        random = np.random.default_rng([config.seed, number, week, _WEAR])
        jumps = random.standard_gamma(shape[:, None], (len(lives), WEEK_HOURS)) / shape[:, None]
        wear[number] = jumps / lives[:, None]
    strain = 0.4 + 0.6 * load
    return wear * (strain * (load > 0) * fixed.rate[:, None])[:, None, :]


def sudden(config: FleetConfig, week: int) -> npt.NDArray[np.int64]:
    """(n, 2) hour and component of a failure without warning; the hour is -1 for none."""
    failures = np.full((config.machines, 2), -1, dtype=np.int64)
    for number in range(config.machines):
        random = np.random.default_rng([config.seed, number, week, _SUDDEN])
        if random.random() < config.sudden_per_year * 7.0 / 365.25:
            failures[number] = random.integers(WEEK_HOURS), random.integers(len(config.components))
    return failures


def _machine(config: FleetConfig, number: int) -> tuple[float, Floats, float, Floats]:
    random = np.random.default_rng([config.seed, number, _MACHINE])
    rate = float(np.exp(random.normal(0.0, config.frailty)))
    age = random.uniform(0.0, config.oldest_start, len(config.components))
    middle = np.array([62.0, 2.2, 6.0, 1500.0, 75.0, 82.0, 74.0])
    base = middle * np.exp(random.normal(0.0, 0.05, len(middle)))
    return rate, age, float(random.beta(2.0, 3.0)), base
