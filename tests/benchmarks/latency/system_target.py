"""One system's application under uvicorn alone: `python -m tests.benchmarks.latency.system_target`.

The same application, the same code to the last line, on the same event loop and with the same
settings of the interpreter as a replica of Ray Serve has, its models in the same process. For each
line of its input it prints how long its event loop was held at most since the last line, and its
processor time, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro
import uvicorn
import uvloop

from serve.churn.settings import ChurnSettings
from serve.framework.runtime_tuning import freeze_heap, tune_interpreter
from serve.framework.service import ServiceStart
from serve.maintenance.settings import MaintenanceSettings
from serve.moderation.metrics import INSTRUMENTS as MODERATION_INSTRUMENTS
from serve.moderation.routes import build_gateway as build_moderation_gateway
from serve.moderation.service import ModerationService
from serve.moderation.settings import ModerationSettings
from tests.serve.application import Parts
from tests.serve.churn_app import Running as Churn
from tests.serve.loop_lag import LoopProbe
from tests.serve.maintenance_app import Running as Maintenance
from tests.serve.moderation_app import LISTS, POLICIES
from tests.serve.prometheus_metrics import PrometheusMetrics

System = Literal["maintenance", "churn", "moderation"]
_DEADLINE_MS = 60_000.0
_PARTS: dict[str, Parts] = {
    "maintenance": Maintenance.parts,
    "churn": Churn.parts,
    "moderation": Parts(
        ModerationSettings, ModerationService, MODERATION_INSTRUMENTS, build_moderation_gateway
    ),
}


@dataclass(frozen=True)
class Target:
    """Serve a system until standard input ends."""

    system: System
    """Which."""
    port: int
    """Where it listens on 127.0.0.1."""
    store: str
    """Store of profiles or machines, redis://..."""
    folder: Path
    """With `registry` and `keys.json`; for everything that it writes."""


def settings_of(target: Target) -> MaintenanceSettings | ChurnSettings | ModerationSettings:
    """What a replica is started with; files lie in the folder of the target."""
    folder = target.folder
    common: dict[str, Any] = {
        "registry": str(folder / "registry"),
        "records": f"sqlite:///{folder}/records.sqlite",
        "journal": folder / "journal",
        "models": folder / "models",
        "api_keys": folder / "keys.json",
        "log": folder / "log.jsonl",
        "deadline_ms": _DEADLINE_MS,
        "longest_deadline_ms": _DEADLINE_MS,
    }
    if target.system == "maintenance":
        return MaintenanceSettings(**common, machine_store=target.store)
    if target.system == "churn":
        return ChurnSettings(**common, profile_store=target.store)
    return ModerationSettings(
        **common,
        profile_store=target.store,
        media=str(folder / "media"),
        policies=POLICIES,
        lists=LISTS,
        device="cpu",
        video_at_once=True,
        model_timeout_ms=_DEADLINE_MS,
    )


async def serve(target: Target) -> None:
    """Serves; prints `ready` once it does."""
    parts = _PARTS[target.system]
    meter = PrometheusMetrics(parts.instruments)
    service = parts.service(ServiceStart(settings_of(target), meter))
    await service.reconfigure({})
    freeze_heap()
    config = uvicorn.Config(
        parts.gateway(service), port=target.port, log_level="warning", access_log=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.05)
    print("ready", flush=True)
    async with LoopProbe() as probe:
        while await asyncio.to_thread(sys.stdin.readline):
            held_ms = await probe.take_longest_ms()
            print(json.dumps({"held_ms": held_ms, "cpu_s": time.process_time()}), flush=True)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    tune_interpreter()
    uvloop.run(serve(tyro.cli(Target, description=__doc__)))
