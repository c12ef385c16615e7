"""The console in a process of its own, as it is deployed: behind all who decide (nice 19).

`python -m tests.benchmarks.console_target --folder FOLDER --urls JSON`: prints its port, and ends
when its input does.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro
import uvicorn
import uvloop

from serve.console.metrics import INSTRUMENTS
from serve.console.routes import build_gateway
from serve.console.service import ConsoleService
from serve.console.settings import ConsoleSettings
from serve.framework.runtime_tuning import freeze_heap, tune_interpreter, yield_to_decisions
from tests.benchmarks.visits import HOST
from tests.serve.prometheus_metrics import PrometheusMetrics


@dataclass(frozen=True)
class Config:
    """A console over the records of some systems."""

    folder: Path
    """Of its keys, sessions and log; the registry is in it."""
    urls: str
    """URL of each system's records by name, JSON."""


async def serve(config: Config) -> None:
    """Answer until the input ends."""
    folder = config.folder
    systems = {
        name: {"records": url, "registry": str(folder / "registry")}
        for name, url in json.loads(config.urls).items()
    }
    settings = ConsoleSettings.model_validate({
        "systems": systems,
        "records": f"sqlite:///{folder}/console.sqlite",
        "api_keys": folder / "keys.json",
        "log": folder / "console.jsonl",
    })  # fmt: skip
    service = ConsoleService(settings, PrometheusMetrics(INSTRUMENTS))
    gateway = build_gateway(service)
    freeze_heap()
    server = uvicorn.Server(
        uvicorn.Config(gateway, host=HOST, port=0, log_level="warning", access_log=False)
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.05)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    yield_to_decisions()
    tune_interpreter()
    uvloop.run(serve(tyro.cli(Config, description=__doc__)))
