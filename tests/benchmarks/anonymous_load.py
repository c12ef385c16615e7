"""Callers without a key beside one with a key: `python -m tests.benchmarks.anonymous_load`.

A real server (uvicorn, the fraud application without Ray) on a loopback port; in another process a
client with a key sends payments at a fixed rate. First alone, then beside strangers: `idle` ones
that announce a body and never send it, opened anew when they are closed, and `busy` ones that ask
for public pages. Load generator and server share this machine, so the strangers' rate is bounded
(`stranger_rate` in all). Prints one JSON line: errors of the keyed client and its p99 in both
phases. Ends by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import tyro
import uvicorn

from serve.fraud.face import fraud_face
from serve.fraud.numbers import INSTRUMENTS
from serve.fraud.service import FraudService
from serve.gateway import PrometheusMeter
from serve.gateway.interpreter import prepare_interpreter
from tests.benchmarks.http_fuzz import fraud_models
from tests.benchmarks.result import print_result
from tests.serve.conftest import new_place
from tests.serve.made_up import SCORE, payment

PAGES = ("/fraud/healthz", "/fraud/readyz", "/fraud/docs", "/fraud/openapi.json")
HOST = "127.0.0.1"
_HEAD = (
    b"GET /fraud/healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nX-Deadline-Ms: 3000\r\n\r\n"
)


@dataclass(frozen=True)
class Config:
    """Strangers beside a caller with a key."""

    seconds: float = 20.0
    """Of each of the two phases."""
    rate: float = 100.0
    """Payments of the caller with a key, a second."""
    idle: int = 200
    """Strangers who announce a body and never send it."""
    busy: int = 1000
    """Strangers who ask for public pages."""
    stranger_rate: float = 200.0
    """Requests of all busy strangers together, a second: this machine makes them, too."""
    server: str = ""
    """Folder of the server's process; set by the benchmark itself."""


@dataclass
class Phase:
    """What the caller with a key met."""

    latencies: list[float]
    errors: int = 0
    strangers: int = 0

    @property
    def p99_ms(self) -> float:
        """The 99th percentile, milliseconds."""
        ordered = sorted(self.latencies)
        return 1000.0 * ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]


async def measure(config: Config, port: int, token: str, strangers: bool) -> Phase:
    """One phase."""
    phase, until = Phase([]), time.perf_counter() + config.seconds
    work = [_keyed(config, port, token, until, phase)]
    if strangers:
        work += [_idle(port, until) for _ in range(config.idle)]
        work.append(_busy(config, port, until, phase))
    await asyncio.gather(*work)
    return phase


async def _keyed(config: Config, port: int, token: str, until: float, phase: Phase) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", headers=headers) as client:

        async def pay() -> None:
            started = time.perf_counter()
            try:
                answer = await client.post(SCORE, json=payment(), timeout=10)
                phase.errors += answer.status_code != 200
            except httpx.HTTPError:
                phase.errors += 1
            phase.latencies.append(time.perf_counter() - started)

        async with asyncio.TaskGroup() as group:
            start = time.perf_counter()
            for number in itertools.count():
                await asyncio.sleep(max(0.0, start + number / config.rate - time.perf_counter()))
                if time.perf_counter() >= until:
                    return
                group.create_task(pay())


async def _idle(port: int, until: float) -> None:
    while (left := until - time.perf_counter()) > 0:
        with contextlib.suppress(OSError, TimeoutError):
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(_HEAD)
            async with asyncio.timeout(left):
                await reader.read()  # until the server closes
            writer.close()
        await asyncio.sleep(1.0)


async def _busy(config: Config, port: int, until: float, phase: Phase) -> None:
    limits = httpx.Limits(max_connections=config.busy, max_keepalive_connections=config.busy)
    base = f"http://{HOST}:{port}"
    async with httpx.AsyncClient(base_url=base, limits=limits) as client:

        async def look(page: str) -> None:
            with contextlib.suppress(httpx.HTTPError):
                await client.get(page, timeout=10)
            phase.strangers += 1

        async with asyncio.TaskGroup() as group:
            for number in itertools.count():
                if time.perf_counter() >= until:
                    return
                group.create_task(look(PAGES[number % len(PAGES)]))
                await asyncio.sleep(1.0 / config.stranger_rate)


def main(config: Config) -> None:
    """Starts the server, measures both phases, prints the result."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.benchmarks.anonymous_load", "--server", folder]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdout is not None
            assert server.stdin is not None
            try:
                port, token = server.stdout.readline().split()
                asyncio.run(_both(config, int(port), token))
            finally:
                server.stdin.close()
                server.wait(timeout=60)


async def _both(config: Config, port: int, token: str) -> None:
    started = time.perf_counter()
    await measure(Config(seconds=3.0, rate=config.rate), port, token, strangers=False)
    alone = await measure(config, port, token, strangers=False)
    beside = await measure(config, port, token, strangers=True)
    print_result(
        len(alone.latencies) + len(beside.latencies),
        time.perf_counter() - started,
        benchmark="anonymous_load",
        idle_strangers=config.idle,
        busy_strangers=config.busy,
        stranger_requests=beside.strangers,
        stranger_requests_a_second=round(beside.strangers / config.seconds, 1),
        bounded="strangers, caller and server share this machine's cores",
        keyed_errors_alone=alone.errors,
        keyed_errors=beside.errors,
        keyed_p99_ms_alone=round(alone.p99_ms, 2),
        keyed_p99_ms=round(beside.p99_ms, 2),
        ratio=round(beside.p99_ms / alone.p99_ms, 2),
    )


async def _serve(folder: Path) -> None:
    """The server's process: prints port and key, ends when its input does."""
    setup = new_place(folder / "place", fraud_models(folder / "models"))
    service = FraudService(setup.args(deadline_ms=2000.0), PrometheusMeter(INSTRUMENTS))
    await service.reconfigure({})
    config = uvicorn.Config(
        fraud_face(service), host=HOST, port=0, log_level="warning", access_log=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    print(port, setup.tokens["all"], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    chosen = tyro.cli(Config, description=__doc__)
    if chosen.server:
        prepare_interpreter()
        asyncio.run(_serve(Path(chosen.server)))
    else:
        main(chosen)
