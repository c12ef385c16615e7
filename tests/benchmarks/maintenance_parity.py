"""Features of simulated machines with_events bit by bit, against those of their whole past.

`python -m tests.benchmarks.maintenance_parity`. Telemetry has gaps, stuck sensors and readings
out of range; a tenth of it comes hours late, some twice; machines are serviced and repaired. After
each day the features of what is remembered (packed and unpacked, as in the store) are compared, bit
by bit, with those that the whole past up to then gives.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jobs.framework.options import read_options
from lib.maintenance.feature_set import DAY_US, AssetFeatureSet
from lib.maintenance.features import evaluate
from lib.maintenance.history import History
from lib.maintenance.simulation.config import FleetConfig
from lib.maintenance.simulation.files import write_fleet
from lib.maintenance.simulation.policies import FixedInterval
from lib.maintenance.state_codec import (
    empty_state,
    pack,
    unpack,
    with_readings,
)
from tests.benchmarks.result import print_result
from tests.maintenance.replay import arrived, with_events
from tests.maintenance.small_fleet import tables


@dataclass(frozen=True)
class Parity:
    """Tell machines day by day and compare."""

    machines: int = 40
    """simulated machines"""
    weeks: int = 30
    """weeks that pass"""
    seed: int = 1
    """of fleet and of what comes late"""


def main() -> None:
    """Prints one JSON line."""
    options = read_options(Parity)
    began = time.perf_counter()
    config = FleetConfig(machines=options.machines, plants=4, seed=options.seed)
    calendar = FixedInterval(config, [0.95 * part.life_hours for part in config.components])
    with tempfile.TemporaryDirectory() as folder:
        write_fleet(config, calendar, options.weeks, folder, calendar.note)
        histories = list(tables(Path(folder)).histories(config.features))
    random = np.random.default_rng(options.seed)
    results = [replayed(config.features, past, random) for past in histories]
    compared, differing, late = (sum(part) for part in zip(*results, strict=True))
    services = sum(len(past.service_times_us) for past in histories)
    print(
        f"{options.machines} simulated machines, {services} services, {late:,} late readings: "
        f"{differing:,} of {compared:,} values differ"
    )
    rows = sum(len(past.times_us) for past in histories)
    print_result(
        rows,
        time.perf_counter() - began,
        values=compared,
        differing=differing,
        late=late,
        services=services,
    )


def replayed(
    features: AssetFeatureSet, past: History, random: np.random.Generator
) -> tuple[int, int, int]:
    """Values compared, how many differ, and readings that came late, of one machine."""
    delay = np.where(random.random(len(past.times_us)) < 0.1, random.integers(1, 30, 1), 0)
    arrival = past.times_us + delay * 3_600_000_000
    stored = pack(features, empty_state(features, past.machine_id, past.installed_us))
    compared = differing = late = 0
    days = np.arange(past.times_us[0] // DAY_US + 1, past.times_us[-1] // DAY_US + 1) * DAY_US
    for day in days.tolist():
        fresh = (arrival > day - DAY_US) & (arrival <= day)
        again = random.random(len(fresh)) < 0.002
        rows = np.flatnonzero(fresh | (again & (arrival <= day)))
        history, received = with_readings(
            features, unpack(features, stored), past.times_us[rows], past.readings[rows]
        )
        late += received.late
        history = with_events(features, past, history, day - DAY_US, day)
        stored = pack(features, history)
        online = evaluate(features, unpack(features, stored), [day])
        archive = arrived(features, past, arrival <= day, day, past.times_us[0] // DAY_US * DAY_US)
        offline = evaluate(features, archive, [day])
        differing += int((online.view(np.int64) != offline.view(np.int64)).sum())
        compared += online.size
    return compared, differing, late


if __name__ == "__main__":
    main()
