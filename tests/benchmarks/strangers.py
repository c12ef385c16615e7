"""Callers without a key beside one with a key: `python -m tests.benchmarks.strangers`.

A real server (uvicorn, the fraud application without Ray) behind HAProxy with the configuration of
Ray Serve and its guard, as it is deployed (`--no-proxy`: without); a client with a key sends
payments at a fixed rate. First alone, then beside strangers in a process of their own: `idle`
ones that announce a body and never send it, opened anew when they are closed, and `busy` ones that
keep connections and ask for public pages. All of them share this machine, so the strangers' rate is
bounded (`stranger_rate` in all) and their process yields to the others (nice 10), as strangers
elsewhere would.

Three phases alternate: without strangers; beside strangers who visit another, trivial server of
this machine; beside strangers who visit ours. The second takes as much of the machine as the
third, so `client_p99_ratio` compares these two, and `client_p99_ratio_to_quiet` the third with
the first. Latencies count from when a payment was due. The intervals of both ratios (95%) draw
seconds of payments anew, as payments of one second wait for one another. Prints one JSON line.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import numpy as np
import tyro
import uvicorn
import uvloop
from numpy.typing import NDArray

from serve.framework.runtime_tuning import freeze_heap, tune_interpreter
from serve.framework.service import ServiceStart
from serve.fraud.metrics import INSTRUMENTS
from serve.fraud.routes import build_gateway
from serve.fraud.service import FraudService
from tests.benchmarks.fuzz import fraud_models
from tests.benchmarks.phases import Phases
from tests.benchmarks.result import print_result
from tests.benchmarks.visits import ELSEWHERE, HOST, Visits
from tests.cluster.guarded_proxy import guarded_proxy
from tests.serve.conftest import new_workspace
from tests.serve.factories import SCORE, payment
from tests.serve.prometheus_metrics import PrometheusMetrics

DRAWS = 2_000
AT_A_TIME = 64
"""Requests at a time before HAProxy refuses some: beyond what waits here while cores are short."""


@dataclass(frozen=True)
class Config(Phases):
    """Strangers beside a caller with a key.

    The phases that take turns are the caller alone, strangers elsewhere, and strangers beside it.
    """

    rate: float = 100.0
    """Payments of the caller with a key, a second."""
    idle: int = 200
    """Strangers who announce a body and never send it."""
    busy: int = 1000
    """Strangers who ask for public pages."""
    stranger_rate: float = 200.0
    """Requests of all busy strangers together, a second: this machine makes them, too."""
    proxy: bool = True
    """HAProxy in front of the server, configured as by Ray Serve and the guard."""
    server: str = ""
    """Folder of the server's process; set by the benchmark itself."""


@dataclass
class Phase:
    """What the caller with a key met: latencies in seconds, in the order of answers."""

    latencies: list[float]
    errors: int = 0

    def quantile_ms(self, share: float) -> float:
        """A quantile of the latencies, milliseconds."""
        return 1000.0 * float(np.quantile(self.latencies, share, method="higher"))

    def drawn_p99(self, payments: int, random: np.random.Generator) -> NDArray[np.float64]:
        """The 99% quantile, seconds, of `DRAWS` draws of blocks of `payments`, shape `(DRAWS,)`."""
        blocks = len(self.latencies) // payments
        latencies = np.array(self.latencies[: blocks * payments]).reshape(blocks, payments)
        drawn = latencies[random.integers(0, blocks, (DRAWS, blocks))].reshape(DRAWS, -1)
        return np.quantile(drawn, 0.99, axis=1)


def ratio_interval(phase: Phase, baseline: Phase, payments: int) -> list[float]:
    """95% interval of the ratio of two phases' 99% quantiles, by blocks of `payments`."""
    random = np.random.default_rng(7)
    ratios = phase.drawn_p99(payments, random) / baseline.drawn_p99(payments, random)
    return [round(float(value), 2) for value in np.quantile(ratios, (0.025, 0.975))]


async def measure(config: Config, port: int, token: str, phase: Phase) -> None:
    """Payments of the caller with a key, for `seconds`; latencies count from when each was due."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", headers=headers) as client:

        async def pay(due: float) -> None:
            try:
                answer = await client.post(SCORE, json=payment(), timeout=10)
                phase.errors += answer.status_code != 200
            except httpx.HTTPError:
                phase.errors += 1
            phase.latencies.append(time.perf_counter() - due)

        async with asyncio.TaskGroup() as group:
            start = time.perf_counter()
            for number in range(int(config.seconds * config.rate)):
                due = start + number / config.rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(pay(due))


def main(config: Config) -> None:
    """Starts the server, measures both phases, prints the result."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.benchmarks.strangers", "--server", folder]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdout is not None
            assert server.stdin is not None
            try:
                port, token = server.stdout.readline().split()
                with contextlib.ExitStack() as stack:
                    if config.proxy:
                        proxy = guarded_proxy(Path(folder), int(port), AT_A_TIME)
                        port = stack.enter_context(proxy)
                    asyncio.run(_both(config, int(port), token))
            finally:
                server.stdin.close()
                server.wait(timeout=60)


@contextlib.asynccontextmanager
async def _strangers(config: Config, port: int) -> AsyncIterator[list[int]]:
    """A process of strangers, and in the end how many pages they were given."""
    pages: list[int] = []
    visits = Visits(port, config.seconds, config.idle, config.busy, config.stranger_rate)
    process = await asyncio.create_subprocess_exec(
        *("nice", "-n", "10", sys.executable, "-m", "tests.benchmarks.visits"),
        *(f"--{name}={value}" for name, value in asdict(visits).items()),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await process.stdout.readline()  # it has begun
    yield pages
    pages.append(int(await process.stdout.readline()))
    await process.wait()


async def _both(config: Config, port: int, token: str) -> None:
    started, pages = time.perf_counter(), 0
    alone, elsewhere, beside = Phase([]), Phase([]), Phase([])
    await measure(Config(seconds=3.0, rate=config.rate), port, token, Phase([]))
    for _ in range(config.rounds):
        await measure(config, port, token, alone)
        async with _strangers(config, ELSEWHERE):
            await measure(config, port, token, elsewhere)
        async with _strangers(config, port) as page_counts:
            await measure(config, port, token, beside)
        pages += sum(page_counts)
    print_result(
        len(alone.latencies) + len(elsewhere.latencies) + len(beside.latencies),
        time.perf_counter() - started,
        benchmark="strangers",
        idle_strangers=config.idle,
        busy_strangers=config.busy,
        pages_a_second=round(pages / config.seconds / config.rounds, 1),
        proxy=config.proxy,
        bounded="strangers, caller and server share this machine's cores",
        client_rate=config.rate,
        client_errors_alone=alone.errors,
        client_errors=beside.errors,
        client_p50_ms_alone=round(alone.quantile_ms(0.5), 2),
        client_p50_ms_elsewhere=round(elsewhere.quantile_ms(0.5), 2),
        client_p99_ms_elsewhere=round(elsewhere.quantile_ms(0.99), 2),
        client_p50_ms=round(beside.quantile_ms(0.5), 2),
        client_p99_ms_alone=round(alone.quantile_ms(0.99), 2),
        client_p99_ms=round(beside.quantile_ms(0.99), 2),
        client_p99_ratio=round(beside.quantile_ms(0.99) / elsewhere.quantile_ms(0.99), 2),
        client_p99_ratio_interval=ratio_interval(beside, elsewhere, int(config.rate)),
        client_p99_ratio_to_quiet=round(beside.quantile_ms(0.99) / alone.quantile_ms(0.99), 2),
        client_p99_ratio_to_quiet_interval=ratio_interval(beside, alone, int(config.rate)),
    )


async def _serve(folder: Path) -> None:
    """The server's process: prints port and key, ends when its input does."""
    setup = new_workspace(folder / "place", fraud_models(folder / "models"))
    service = FraudService(
        ServiceStart(setup.args(deadline_ms=2000.0), PrometheusMetrics(INSTRUMENTS))
    )
    await service.reconfigure({})
    freeze_heap()
    config = uvicorn.Config(
        build_gateway(service).prepare_documentation(),
        host=HOST,
        port=0,
        log_level="warning",
        access_log=False,
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
        tune_interpreter()
        uvloop.run(_serve(Path(chosen.server)))
    else:
        main(chosen)
