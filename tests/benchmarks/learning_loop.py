"""The whole learning loop, unattended, on simulated payments.

`python -m tests.benchmarks.learning_loop`.

Fraudsters change in week 6: the kinds of fraud that the first model learnt end, and others begin.
Each day is decided, monitored and followed by the step that is due: an incident, a retraining, the
challenger in shadow, an A/B comparison by customer, its verdict, the promotion; then a challenger
that was trained with absurd prices, which a guardrail ends and which is rolled back. All steps are
the product's own jobs on its own files; time is simulated, and so are the payments. Beside it the
first model decides everything. Money is the cost of all decisions with all frauds known.

The last line is one JSON object.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from tests.benchmarks.cycle.cycle import HISTORY_DAYS, Cycle
from tests.benchmarks.cycle.world import PaymentWorld
from tests.benchmarks.result import print_result

STEPS = {
    "incident": "incident opened",
    "retrained": "retrained: ",
    "shadow": "experiment shadow",
    "ab": "experiment ab",
    "verdict": "verdict: promote",
    "promoted": "promoted ",
    "guardrail": "guardrail ",
    "rolled_back": "challenger rolled back",
}
DRAWS = 10_000


@dataclass(frozen=True)
class Config:
    """Run the loop on several platforms."""

    seeds: int = 20
    """Platforms, each of its own seed."""
    users: int = 800
    """Customers of each."""
    weeks: int = 18
    """Weeks after the first model."""
    change_week: int = 6
    """Week in which fraudsters change."""
    processes: int = 2
    """Platforms at a time."""
    first_seed: int = 1
    """Seed of the first platform."""


def run_seed(config: Config, seed: int) -> dict[str, Any]:
    """One platform: days of the steps after the change, money with and without the loop."""
    os.environ.setdefault("RAY_ADDRESS", "local")
    folder = Path(tempfile.mkdtemp(prefix="fw-loop-"))
    change = HISTORY_DAYS + 7 * (config.change_week - 1)
    try:
        days = HISTORY_DAYS + 7 * config.weeks
        world = PaymentWorld(folder, seed, config.users, days, change)
        cycle = Cycle(world, folder)
        cycle.run()
        since = HISTORY_DAYS
        first = np.where(cycle.deciding >= 0, 0, -1)
        money = {
            "with_loop": world.money(cycle.deciding, cycle.registry, cycle.versions, since),
            "without_loop": world.money(first, cycle.registry, cycle.versions, since),
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    step_days = {name: cycle.day_of(text) for name, text in STEPS.items()}
    return {
        "seed": seed,
        "days_after_change": {
            name: None if day is None else day - change for name, day in step_days.items()
        },
        "false_incidents": cycle.false_incidents,
        "money": {name: round(value, 2) for name, value in money.items()},
        "events": [(day - change, text) for day, text in cycle.events],
    }


def interval(values: np.ndarray) -> list[float]:
    """95% interval of a mean, platforms drawn anew."""
    random = np.random.default_rng(7)
    means = values[random.integers(0, len(values), (DRAWS, len(values)))].mean(axis=1)
    return [round(float(value), 2) for value in np.quantile(means, (0.025, 0.975))]


def main(config: Config) -> None:
    """Runs all platforms, prints each when it has ended, then all together."""
    began = time.perf_counter()
    seeds = range(config.first_seed, config.first_seed + config.seeds)
    with ProcessPoolExecutor(config.processes, mp_context=get_context("spawn")) as pool:
        results = []
        for result in pool.map(run_seed, [config] * config.seeds, seeds):
            results.append(result)
            print(f"seed {result['seed']}: {result['money']}", flush=True)
            for day, event in result["events"]:
                print(f"  day {day:+4}  {event}", flush=True)
    saved = np.array([r["money"]["with_loop"] - r["money"]["without_loop"] for r in results])
    lost = np.array([-r["money"]["without_loop"] for r in results])
    days = {name: [r["days_after_change"][name] for r in results] for name in STEPS}
    print_result(
        rows_read=0,
        seconds=time.perf_counter() - began,
        benchmark="learning_loop",
        simulated=True,
        platforms=len(results),
        completed={name: sum(day is not None for day in each) for name, each in days.items()},
        median_days_after_change={
            name: float(np.median([day for day in each if day is not None] or [np.nan]))
            for name, each in days.items()
        },
        false_incidents=sum(r["false_incidents"] for r in results),
        lost_without_loop=round(float(lost.mean()), 2),
        lost_with_loop=round(float((lost - saved).mean()), 2),
        saved=round(float(saved.mean()), 2),
        saved_interval=interval(saved),
        currency="USD",
    )


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
