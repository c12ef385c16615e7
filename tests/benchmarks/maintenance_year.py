"""A simulated year under three policies: python -m tests.benchmarks.maintenance_year

A simulated fleet with known truth; the same random wear under every policy. The models learn from
the past of another fleet (another seed) under calendar service. Fixed-interval service is the
business's own: each component at .69 of its mean life, which gives the downtime and the cost that
the business reports. Ours is planned week by week from telemetry alone.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from lib.evaluation import bootstrap_interval
from lib.maintenance.simulation.config import FleetConfig
from lib.maintenance.simulation.policies import FixedInterval, Year, run, run_to_failure
from lib.maintenance.simulation.wear import machines
from tests.benchmarks.fleet_year.planner import Planner, learn, production_lost, value_per_hour
from tests.benchmarks.result import print_result

SHARE_OF_LIFE = 0.69


def main() -> None:
    """Learn, let the year pass three times, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--machines", type=int, default=500)
    parser.add_argument("--weeks", type=int, default=52)
    parser.add_argument("--history", type=int, default=40, help="weeks that the models learn from")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    config = FleetConfig(machines=options.machines, seed=options.seed)
    models = learn(
        FleetConfig(machines=options.machines, seed=options.seed + 1000), options.history, 1
    )
    print(f"learned in {time.perf_counter() - start:.0f} s", flush=True)
    intervals = [SHARE_OF_LIFE * part.life_hours for part in config.components]
    fixed = FixedInterval(config, intervals)
    planner = Planner(config, models, FixedInterval(config, intervals))
    years = {
        "run_to_failure": run(config, run_to_failure, options.weeks),
        "fixed_interval": run(config, fixed, options.weeks, fixed.note),
        "ours": run(config, planner, options.weeks, planner.note),
    }
    result = {name: figures(year, config) for name, year in years.items()}
    for name, values in result.items():
        print(name.ljust(16) + "  ".join(f"{key} {number}" for key, number in values.items()))
    changes = {
        key: change(getattr(years["ours"], key), getattr(years["fixed_interval"], key))
        for key in ("unplanned_hours", "maintenance_cost", "failures")
    }
    for key, values in changes.items():
        print(f"{key}: ours against fixed interval {values}")
    keys = ("downtime_hours", "maintenance_cost", "failures", "life_used", "production_lost")
    print_result(
        options.machines * options.weeks,
        time.perf_counter() - start,
        simulated=True,
        **{key: {name: result[name][key] for name in result} for key in keys},
        change_against_fixed_interval=changes,
        solve_seconds_max=round(max(planner.solve_seconds, default=0.0), 2),
    )


def figures(year: Year, config: FleetConfig) -> dict[str, float]:
    """One policy's year."""
    values = value_per_hour(machines(config))
    return {
        "downtime_hours": round(float(year.unplanned_hours.sum())),
        "maintenance_cost": round(float(year.maintenance_cost.sum())),
        "failures": round(float(year.failures.sum())),
        "services": sum(event.planned for event in year.events),
        "life_used": round(float(np.mean([event.wear for event in year.events])), 3),
        "production_lost": round(production_lost(year.events, values)),
    }


def change(ours: np.ndarray, baseline: np.ndarray) -> dict[str, float]:
    """Relative change, with its interval over machines, which are paired."""
    interval = bootstrap_interval(
        lambda some: float(ours[some].sum() / baseline[some].sum() - 1.0),
        np.arange(len(ours)),
        seed=1,
    )
    return {
        "value": round(interval.value, 3),
        "low": round(interval.low, 3),
        "high": round(interval.high, 3),
    }


if __name__ == "__main__":
    main()
