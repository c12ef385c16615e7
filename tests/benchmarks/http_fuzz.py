"""Sends odd requests to every route of every system: `python -m tests.benchmarks.http_fuzz`.

Each application runs in this process, without Ray. Prints one JSON line per system and store with
the requests, the routes, the answers by status and the answers that are faults (anything but 2xx,
4xx and 503), and ends with status 1 if there are any.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from lib.registry import Registry
from tests.benchmarks.result import print_result
from tests.records.server import installed, new_database, running
from tests.serve.conftest import Models
from tests.serve.fuzzed_places import SYSTEMS, fuzzed_place
from tests.serve.fuzzing import Outcome, fuzzed
from tests.serve.small_model import CREATED_AT, publish, small


@dataclass(frozen=True)
class Config:
    """Send odd requests to every route of every system."""

    examples: int = 50
    """Requests of each kind to each route; there are three kinds."""
    seed: int = 0
    """Chooses the requests."""
    systems: tuple[str, ...] = SYSTEMS
    """Which systems."""
    stores: tuple[Literal["sqlite", "postgresql"], ...] = ("sqlite", "postgresql")
    """Which databases; PostgreSQL is started for this run."""


def main(config: Config) -> int:
    """Runs it; returns the exit status."""
    faults = 0
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        models = fraud_models(Path(folder) / "models")
        server = stack.enter_context(running()) if installed() else None
        for store in config.stores:
            for system in config.systems:
                system_folder = Path(folder) / f"{system}-{store}"
                system_folder.mkdir()
                records = f"sqlite:///{system_folder}/records.sqlite"
                if store == "postgresql":
                    if server is None:
                        print("PostgreSQL is not installed: left out", file=sys.stderr)
                        continue
                    records = new_database(server)
                faults += _fuzz(config, system, store, system_folder, records, models)
    return 1 if faults else 0


def _fuzz(
    config: Config, system: str, store: str, place: Path, records: str, models: Models
) -> int:
    started = time.perf_counter()
    with fuzzed_place(system, place / "a", records, models) as here:
        routes = sum(len(methods) for methods in here.document["paths"].values())
        outcome: Outcome = fuzzed(here, config.examples, config.seed)
    for fault in outcome.faults[:20]:
        print(fault, file=sys.stderr)
    print_result(
        0,
        time.perf_counter() - started,
        benchmark="http_fuzz",
        system=system,
        store=store,
        requests=outcome.requests,
        routes=routes,
        statuses={str(status): outcome.statuses[status] for status in sorted(outcome.statuses)},
        faults=len(outcome.faults),
    )
    return len(outcome.faults)


def fraud_models(folder: Path) -> Models:
    folder.mkdir()
    ensemble = small()
    first, second = (publish(ensemble, folder / "registry", folder, n) for n in range(2))
    Registry(folder / "registry").set_alias("fraud", "champion", first, at=CREATED_AT, by="test")
    return Models(folder / "registry", (first, second))


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Config, description=__doc__)))
