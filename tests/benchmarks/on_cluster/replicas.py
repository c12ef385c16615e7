"""What a second replica brings: `python -m tests.benchmarks.on_cluster.replicas`.

One and two replicas of the front node with the model in it, on one machine with the generator and
Redis: how many payments a second all connections together get answered, and how fast at a steady
rate. Where the cores are as many as the replicas, two gain little; the ratio says how much.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from tests.benchmarks.fraud_latency import HOST, payments, requests
from tests.benchmarks.latency.load import Load
from tests.benchmarks.on_cluster.served import USERS, ModelChoice, served

_UNLIMITED = {"FOREWARN_REQUESTS_PER_REPLICA": "0"}


@dataclass(frozen=True)
class Config(ModelChoice):
    """Measure one and two replicas."""

    seconds: float = 10.0
    """Length of each measurement."""
    connections: int = 32
    """That send as soon as they may."""
    rate: float = 100.0
    """Payments per second of the steady measurement."""


def measure(config: Config) -> dict[str, Any]:
    """`replicas` by number, and `replicas_gain`, the throughput of two over that of one."""
    sent = payments(USERS)
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        registry = config.registry(Path(temporary))
        for count in (1, 2):
            args = {"colocated": True, "front": {"min": count, "cpus": 0.1}}
            with served(registry, args, _UNLIMITED) as app:
                load = Load(HOST, app.server.port, requests(sent, app.token, f"r{count}-"))
                results[str(count)] = asyncio.run(_measured(load, config)) | {
                    "memory_mib": round(sum(app.memory().values()), 1)
                }
    gain = results["2"]["closed"]["rps"] / results["1"]["closed"]["rps"]
    return {"replicas": results, "replicas_gain": round(gain, 2)}


async def _measured(load: Load, config: Config) -> dict[str, Any]:
    await load.closed(8, 5.0)
    steady = await load.open(config.rate, config.seconds)
    closed = await load.closed(config.connections, config.seconds)
    return {"steady": steady.summary(), "closed": closed.summary()}


if __name__ == "__main__":
    print(json.dumps(measure(tyro.cli(Config, description=__doc__))))
