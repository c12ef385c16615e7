"""The whole learning loop, unattended, on simulated platforms whose world changes.

`python -m tests.benchmarks.learning_loop`.

Payments: in week 6 the kinds of fraud that the first model learnt end, and others begin. Machines:
in week 6 the sensors of the fleet are replaced, and read otherwise. Each day is decided, monitored
and followed by the step that is due: an incident, a retraining, the challenger in shadow, an A/B
comparison by customer or machine, its verdict, the promotion; then a challenger that was trained to
act far too often, which a guardrail ends and which is rolled back. All steps are the product's own
jobs on its own files; nobody touches them. Time is simulated, and so is the world. Beside it the
first model decides everything. Money is what all decisions cost, with the truth known.

The last line is one JSON object; `--minutes` ends earlier with the platforms that are done.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro

from tests.benchmarks.cycle.cycle import Cycle, Step
from tests.benchmarks.cycle.machines import MachineWorld
from tests.benchmarks.cycle.payments import PaymentWorld
from tests.benchmarks.cycle.world import World
from tests.benchmarks.result import print_result

System = Literal["fraud", "maintenance"]
SPANS: dict[str, tuple[Step | None, Step]] = {
    "incident_s": (None, "incident"),
    "retrain_s": ("incident", "retrained"),
    "shadow_s": ("shadow", "ab"),
    "verdict_s": ("ab", "promoted"),
    "rollback_s": ("bad challenger", "rolled back"),
}
"""Steps from which and to which each figure is, simulated seconds; None: the change."""
WALL = {
    "incident_s": "monitor",
    "retrain_s": "retrain",
    "shadow_s": "shadow",
    "verdict_s": "verdict",
    "rollback_s": "rollback",
}
"""Jobs whose wall time belongs to each figure."""
DRAWS = 10_000


@dataclass(frozen=True)
class Platforms:
    """The platforms of one system."""

    seeds: int
    """how many, each of its own seed"""
    entities: int
    """customers or machines of each"""
    weeks: int
    """simulated weeks after the first model"""


@dataclass(frozen=True)
class Config:
    """Run the loop on several platforms."""

    payments: Platforms = Platforms(seeds=20, entities=800, weeks=16)
    """shops with customers who pay"""
    machines: Platforms = Platforms(seeds=5, entities=60, weeks=20)
    """fleets of machines"""
    change_week: int = 6
    """week in whose begin the world changes"""
    minutes: float | None = None
    """begin no platform after so many minutes; those that run are waited for"""
    processes: int = 2
    """platforms at a time"""
    first_seed: int = 1
    """seed of the first platform"""


def run_platform(config: Config, system: System, seed: int) -> dict[str, Any]:
    """One platform: steps, their times, and money with and without the loop."""
    os.environ.setdefault("RAY_ADDRESS", "local")
    folder, began = Path(tempfile.mkdtemp(prefix="fw-loop-")), time.perf_counter()
    try:
        cycle = Cycle(_world(config, system, folder, seed))
        failure = _failure(cycle)
        with_loop, without = cycle.world.losses(cycle.model, cycle.first)
        false_incidents = cycle.false_incidents()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    since, end = cycle.world.change_day, cycle.world.days - 14
    return {
        "system": system,
        "seed": seed,
        "failure": failure,
        "events": [
            (round(cycle.day_of(event.at), 2), event.step, event.words)
            for event in (*false_incidents, *cycle.events)
        ],
        "seconds": {name: float(np.median(own)) for name, own in cycle.seconds.items()},
        "spans": dict(_spans(cycle)),
        "false_incidents": len(false_incidents),
        "false_incident_days": len({event.at for event in false_incidents}),
        "lost_with": float(with_loop[since:].sum()),
        "lost_without": float(without[since:].sum()),
        "last_week_with": float(with_loop[end:].sum()) / 2,
        "last_week_without": float(without[end:].sum()) / 2,
        "wall_s": time.perf_counter() - began,
    }


def _world(config: Config, system: System, folder: Path, seed: int) -> World:
    new_world, platforms = (
        (PaymentWorld, config.payments) if system == "fraud" else (MachineWorld, config.machines)
    )
    return new_world(folder, seed, platforms.entities, platforms.weeks, config.change_week)


def _failure(cycle: Cycle) -> str:
    """Runs it; "" or the error that ended it."""
    try:
        cycle.run()
    except Exception:
        return traceback.format_exc(limit=-3)
    return ""


def _spans(cycle: Cycle) -> Iterator[tuple[str, float]]:
    """Simulated seconds of the steps that were done, of repeated ones the last before the end."""
    for name, (first, last) in SPANS.items():
        ends = [event.at for event in cycle.events if event.step == last]
        if not ends:
            continue
        end = ends[0] if name in ("incident_s", "retrain_s") else ends[-1]
        begins = [e.at for e in cycle.events if e.step == first and e.at <= end]
        if first is None:
            yield name, cycle.day_of(end) * 86_400.0
        elif begins:
            begin = begins[0] if name == "retrain_s" else begins[-1]
            yield name, (end - begin) / 1e6


def interval(values: Sequence[float]) -> list[float]:
    """95% interval of a mean, platforms drawn anew."""
    own, random = np.asarray(values), np.random.default_rng(7)
    means = own[random.integers(0, len(own), (DRAWS, len(own)))].mean(axis=1)
    return [round(float(value), 2) for value in np.quantile(means, (0.025, 0.975))]


def summary(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Figures of the platforms of a system that are done."""
    if not results:
        return {"platforms": 0}
    spans = {name: [r["spans"][name] for r in results if name in r["spans"]] for name in SPANS}
    jobs = {
        name: [r["seconds"][job] for r in results if job in r["seconds"]]
        for name, job in WALL.items()
    }
    lost = {name: [r[f"lost_{name}"] for r in results] for name in ("with", "without")}
    saved = [a - b for a, b in zip(lost["without"], lost["with"], strict=True)]
    last = {name: [r[f"last_week_{name}"] for r in results] for name in ("with", "without")}
    return {
        "platforms": len(results),
        "failed": sum(bool(r["failure"]) for r in results),
        "completed": sum(all(name in r["spans"] for name in SPANS) for r in results),
        "reached": {name: len(own) for name, own in spans.items()},
        **{name: round(float(np.median(own)), 1) for name, own in spans.items() if own},
        "wall": {name: round(float(np.median(own)), 2) for name, own in jobs.items() if own},
        **{f"lost_{name}": round(float(np.mean(own)), 2) for name, own in lost.items()},
        **{f"lost_{name}_interval": interval(own) for name, own in lost.items()},
        "saved": round(float(np.mean(saved)), 2),
        "saved_interval": interval(saved),
        **{f"last_week_{name}": round(float(np.mean(own)), 2) for name, own in last.items()},
        **{
            name: sum(r[name] for r in results)
            for name in ("false_incidents", "false_incident_days")
        },
        "platform_s": round(float(np.median([r["wall_s"] for r in results])), 1),
    }


def _results(config: Config, began: float) -> Iterator[dict[str, Any]]:
    """Platforms as they end; none begins after the minutes."""
    due = _platforms(config)
    with ProcessPoolExecutor(config.processes, mp_context=get_context("spawn")) as pool:
        running: set[Future[dict[str, Any]]] = set()
        while due or running:
            is_late = config.minutes is not None and _minutes(began) > config.minutes
            due = [] if is_late else due
            while due and len(running) < config.processes:
                running.add(pool.submit(run_platform, config, *due.pop(0)))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)


def _platforms(config: Config) -> list[tuple[System, int]]:
    """Of both systems in turn, in proportion, so that an early end leaves some of each."""
    counts: dict[System, int] = {
        "fraud": config.payments.seeds,
        "maintenance": config.machines.seeds,
    }
    ranked = [
        ((number + 0.5) / count, system, config.first_seed + number)
        for system, count in counts.items()
        for number in range(count)
    ]
    return [(system, seed) for _, system, seed in sorted(ranked)]


def _minutes(began: float) -> float:
    return (time.perf_counter() - began) / 60.0


def main(config: Config) -> None:
    """Runs the platforms, prints each when it has ended, then all together."""
    began = time.perf_counter()
    results: dict[System, list[dict[str, Any]]] = {"fraud": [], "maintenance": []}
    for result in _results(config, began):
        results[result["system"]].append(result)
        _print(result)
    print_result(
        rows_read=0,
        seconds=time.perf_counter() - began,
        benchmark="learning_loop",
        simulated=True,
        currency="USD",
        **summary(results["fraud"]),
        machines=summary(results["maintenance"]),
    )


def _print(result: dict[str, Any]) -> None:
    money = ", ".join(f"{name} {result[name]:,.0f}" for name in ("lost_with", "lost_without"))
    head = f"{result['system']} seed {result['seed']}: {money} USD"
    print(f"{head}; false incidents {result['false_incidents']}; {result['wall_s']:.0f} s")
    for day, step, words in result["events"]:
        print(f"  day {day:+7.2f}  {step:14} {words}")
    print(result["failure"], end="", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
