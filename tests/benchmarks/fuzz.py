"""Odd requests to every route of every system: `python -m tests.benchmarks.fuzz --store sqlite`.

Each application runs in this process, without Ray; its records are SQLite, or a PostgreSQL that is
started for this run. The last line is one JSON object: requests, routes, answers by status,
`server_errors` (status 500) and `unexpected` (anything but 2xx, 4xx and 503). Ends with status 1 if
there are any.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from lib.records.systems import SYSTEMS
from lib.registry import Registry
from tests.benchmarks.result import print_result
from tests.records.server import new_database, running
from tests.serve.conftest import Models
from tests.serve.fuzz_targets import fuzz_target
from tests.serve.fuzzing import Outcome, fuzzed
from tests.serve.small_fraud_model import CREATED_AT, publish, small


@dataclass(frozen=True)
class Config:
    """Send odd requests to every route of every system."""

    store: Literal["sqlite", "postgresql"] = "sqlite"
    """Database of the records."""
    examples: int = 50
    """Requests of each kind to each route; there are three kinds."""
    seed: int = 0
    """Chooses the requests."""
    systems: tuple[str, ...] = tuple(SYSTEMS)
    """Which systems."""


@dataclass(frozen=True)
class SystemOutcome:
    """The answers of one system."""

    routes: int
    outcome: Outcome


def main(config: Config) -> int:
    """Runs it; returns the exit status."""
    started = time.perf_counter()
    outcomes: dict[str, SystemOutcome] = {}
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        models = fraud_models(folder / "models")
        server = stack.enter_context(running()) if config.store == "postgresql" else None
        for system in config.systems:
            records = f"sqlite:///{folder}/{system}.sqlite"
            if server is not None:
                records = new_database(server)
            outcomes[system] = _fuzz(config, system, folder / system, records, models)
    statuses = sum((each.outcome.statuses for each in outcomes.values()), Counter[int]())
    unexpected = [fault for each in outcomes.values() for fault in each.outcome.faults]
    for fault in unexpected[:20]:
        print(fault, file=sys.stderr)
    print_result(
        0,
        time.perf_counter() - started,
        benchmark="fuzz",
        store=config.store,
        requests=sum(statuses.values()),
        routes=sum(each.routes for each in outcomes.values()),
        server_errors=sum(number for status, number in statuses.items() if status == 500),
        unexpected=len(unexpected),
        statuses=_by_status(statuses),
        systems={system: _figures(each) for system, each in outcomes.items()},
    )
    return 1 if unexpected else 0


def _fuzz(config: Config, system: str, folder: Path, records: str, models: Models) -> SystemOutcome:
    with fuzz_target(system, folder, records, models) as application:
        routes = sum(len(methods) for methods in application.document["paths"].values())
        return SystemOutcome(routes, fuzzed(application, config.examples, config.seed))


def _figures(each: SystemOutcome) -> dict[str, Any]:
    return {
        "requests": each.outcome.requests,
        "routes": each.routes,
        "statuses": _by_status(each.outcome.statuses),
        "unexpected": len(each.outcome.faults),
    }


def _by_status(statuses: Counter[int]) -> dict[str, int]:
    return {str(status): statuses[status] for status in sorted(statuses)}


def fraud_models(folder: Path) -> Models:
    """A registry in `folder` with two versions of a small fraud model, the first as champion."""
    folder.mkdir()
    ensemble = small()
    first, second = (publish(ensemble, folder / "registry", folder, n) for n in range(2))
    Registry(folder / "registry").set_alias("fraud", "champion", first, at=CREATED_AT, by="test")
    return Models(folder / "registry", (first, second))


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Config, description=__doc__)))
