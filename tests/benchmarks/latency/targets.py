"""What is measured, each in processes of its own: `python -m tests.benchmarks.latency.targets`.

`composed` and `colocated` are the product on Ray Serve; `bare` is the same application, the same
code to the last line, under uvicorn alone, on the same event loop and with the same settings of
the interpreter as a replica has. `peer` is another service, which `peer.py` describes.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import ray
import tyro
import uvicorn
import uvloop
from ray.serve import Application, run, shutdown, start

from serve.framework import DeploymentSettings
from serve.framework.runtime_tuning import freeze_heap, tune_interpreter
from serve.framework.service import ServiceStart
from serve.fraud.app import build
from serve.fraud.metrics import INSTRUMENTS
from serve.fraud.routes import build_gateway
from serve.fraud.service import FraudService
from serve.fraud.settings import FraudSettings
from tests.benchmarks.latency.peer import new_server
from tests.serve.prometheus_metrics import PrometheusMetrics


@dataclass(frozen=True)
class Target:
    """Serve the fraud application until standard input ends."""

    kind: Literal["composed", "colocated", "bare", "peer"]
    """composed: front node and ensemble; colocated: both in one replica; bare: no Ray; peer: of
    another service, see `peer.py`."""
    port: int
    """where it listens on 127.0.0.1"""
    store: str
    """profile store, redis://..."""
    registry: Path
    """registry with a champion"""
    keys: Path
    """file of API keys"""
    folder: Path
    """for everything it writes"""


def main(target: Target) -> None:
    """Serves; prints `ready` once it does."""
    if target.kind == "peer":
        uvloop.run(
            _serve_until_input_ends(
                new_server(target.store, target.folder / "log.jsonl", target.port)
            )
        )
        return
    # a second replica on two shared cores would only wait for the first
    args = target_settings(
        target,
        colocated=target.kind == "colocated",
        ensemble=DeploymentSettings(min=1, cpus=0.5),
    )
    if target.kind == "bare":
        serve_bare(
            lambda: FraudService(ServiceStart(args, PrometheusMetrics(INSTRUMENTS))), target.port
        )
    else:
        serve_on_ray(build(args), target.port)


def target_settings(target: Any, **options: Any) -> FraudSettings:
    """Settings of one replica on two shared cores, whose files lie in the folder of a target."""
    return FraudSettings(
        registry=str(target.registry),
        profile_store=target.store,
        records=f"sqlite:///{target.folder}/records.sqlite",
        journal=target.folder / "journal",
        models=target.folder / "models",
        api_keys=target.keys,
        log=target.folder / "log.jsonl",
        front=DeploymentSettings(min=1, cpus=0.5),
        **options,
    )


def serve_on_ray(application: Application, port: int) -> None:
    """Serves an application of fraud on a Ray of its own until standard input ends."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    start(http_options={"host": "127.0.0.1", "port": port})
    run(application, name="fraud", route_prefix="/fraud")
    print("ready", flush=True)
    sys.stdin.read()
    shutdown()
    ray.shutdown()


def serve_bare(new_service: Callable[[], FraudService], port: int) -> None:
    """Serves a service by uvicorn alone until standard input ends."""

    async def serve() -> None:
        service = new_service()
        await service.reconfigure({})
        freeze_heap()
        config = uvicorn.Config(
            build_gateway(service), port=port, log_level="warning", access_log=False
        )
        await _serve_until_input_ends(uvicorn.Server(config))

    tune_interpreter()
    uvloop.run(serve())


async def _serve_until_input_ends(server: uvicorn.Server) -> None:
    threading.Thread(target=_stop_with_input, args=(server,), daemon=True).start()
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.05)
    print("ready", flush=True)
    await serving


def _stop_with_input(server: uvicorn.Server) -> None:
    sys.stdin.read()
    server.should_exit = True


if __name__ == "__main__":
    main(tyro.cli(Target, description=__doc__))
