"""A fraud service whose challengers can be planted: one replica on Ray Serve, or uvicorn alone.

`python -m tests.benchmarks.challenger_target`. Which loader an experiment takes stands in the file
`loader` of the folder when the experiment starts; without one it is the product's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import tyro

from serve.framework import RayMetrics
from serve.framework.deployment import new_front
from serve.framework.service import ServiceStart
from serve.framework.trial import ChallengerKind
from serve.fraud.metrics import INSTRUMENTS
from serve.fraud.routes import build_gateway
from serve.fraud.service import FraudService
from serve.fraud.settings import FraudSettings
from tests.benchmarks.latency.targets import serve_bare, serve_on_ray, target_settings
from tests.serve.prometheus_metrics import PrometheusMetrics

LOADER = "loader"


@dataclass(frozen=True)
class Target:
    """Serve the fraud application until standard input ends."""

    kind: Literal["ray", "bare"]
    """ray: one replica on Ray Serve; bare: uvicorn alone."""
    port: int
    """Where it listens on 127.0.0.1."""
    store: str
    """Profile store, redis://..."""
    registry: Path
    """Registry with a champion."""
    keys: Path
    """File of API keys."""
    folder: Path
    """For everything it writes."""


class PlantedService(FraudService):
    """The fraud application, with the loader that the folder names."""

    def challenger_kind(self) -> ChallengerKind:
        kind, file = super().challenger_kind(), self.args.journal.parent / LOADER
        text = file.read_text().strip() if file.exists() else ""
        return replace(kind, loader=text or kind.loader)


def new_planted(args: FraudSettings) -> FraudService:
    """The service of a replica."""
    return PlantedService(ServiceStart(args, RayMetrics(INSTRUMENTS)))


def main(target: Target) -> None:
    """Serves; prints `ready` once it does."""
    args = target_settings(target, colocated=True, follow_seconds=1.0, experiment_seconds=0.5)
    if target.kind == "ray":
        serve_on_ray(new_front(args, new_planted, build_gateway), target.port)
    else:
        serve_bare(
            lambda: PlantedService(ServiceStart(args, PrometheusMetrics(INSTRUMENTS))), target.port
        )


if __name__ == "__main__":
    main(tyro.cli(Target, description=__doc__))
