"""Three times what the service can take: `python -m tests.benchmarks.on_cluster.overload`.

Constant arrivals, so nothing waits for the service to be ready. What is taken must stay fast, what
is not must be told so at once, memory must not grow, and afterwards all must be as before.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from tests.benchmarks.fraud_latency import HOST, payments, requests
from tests.benchmarks.latency.load import Load, Tally, quantile
from tests.benchmarks.on_cluster.served import USERS, ModelChoice, Served, served

_SAMPLE_SECONDS = 5.0
_SETTLE_SECONDS = 3.0


@dataclass(frozen=True)
class Config(ModelChoice):
    """Measure the service under three times its capacity."""

    seconds: float = 60.0
    """How long it is overloaded."""
    quiet_seconds: float = 15.0
    """How long each other measurement takes."""
    quiet_rate: float = 50.0
    """Payments per second that count as unloaded."""
    times: float = 3.0
    """Arrivals as a multiple of the capacity."""
    colocated: bool = True
    """Model and front node in one replica."""
    replicas: int = 1
    """Replicas of each deployment."""
    requests_per_replica: int = 16
    """Requests at a time that the proxy lets through to each replica."""


def measure(config: Config) -> dict[str, Any]:
    """The figures; see the keys."""
    sent = payments(USERS)
    copies = {"min": config.replicas, "cpus": 0.1}
    args = {"colocated": config.colocated, "front": copies, "ensemble": copies}
    limit = {"FOREWARN_REQUESTS_PER_REPLICA": str(config.requests_per_replica)}
    with tempfile.TemporaryDirectory() as temporary:
        registry = config.registry(Path(temporary))
        with served(registry, args, limit) as app:
            load = Load(HOST, app.server.port, requests(sent, app.token, "overload"))
            return asyncio.run(_measured(load, app, config))


async def _measured(load: Load, app: Served, config: Config) -> dict[str, Any]:
    # more at a time is a standing queue, which the proxy does not let stand
    connections = config.replicas * max(1, config.requests_per_replica // 4)
    await load.closed(connections, 5.0)
    before = await load.open(config.quiet_rate, config.quiet_seconds)
    capacity = (await load.closed(connections, config.quiet_seconds)).summary()["rps"]
    await asyncio.sleep(_SETTLE_SECONDS)
    memory: list[float] = []
    watching = asyncio.create_task(_watch(app, memory))
    over = await load.open(capacity * config.times, config.seconds)
    watching.cancel()
    await asyncio.sleep(_SETTLE_SECONDS)
    after = await load.open(config.quiet_rate, config.quiet_seconds)
    return {
        "capacity_rps": capacity,
        "offered_rps": round(capacity * config.times, 1),
        "unloaded": before.summary(),
        "overloaded": over.summary(),
        "recovered": after.summary(),
        **_verdict(before, over, after),
        "memory_mib": [round(mib, 1) for mib in _ends(memory)],
    }


def _verdict(before: Tally, over: Tally, after: Tally) -> dict[str, float]:
    calm, busy = (quantile(sorted(tally.latencies), 0.99) for tally in (before, over))
    refused = sorted(over.refused)
    return {
        "overload_p99_ratio": round(busy / calm, 2),
        "refused_p99_ms": round(quantile(refused, 0.99) * 1e3, 1),
        "refused_max_ms": round(quantile(refused, 1.0) * 1e3, 1),
        "refused_within_100_ms": round(sum(latency < 0.1 for latency in refused) / len(refused), 5),
        "overload_errors": over.errors,
        "recovered_errors": after.errors + len(after.refused),
    }


async def _watch(app: Served, memory: list[float]) -> None:
    while True:
        memory.append(sum((await asyncio.to_thread(app.memory)).values()))
        await asyncio.sleep(_SAMPLE_SECONDS)


def _ends(memory: list[float]) -> Iterator[float]:
    """The first, the middle, the last and the largest."""
    yield from (memory[0], memory[len(memory) // 2], memory[-1], max(memory))


if __name__ == "__main__":
    print(json.dumps(measure(tyro.cli(Config, description=__doc__))))
