"""What is lost, doubled and refused while a disk, a database or Redis is out, and after it.

`python -m tests.benchmarks.outages`. The fraud application in this process, without a model, on
SQLite and on a PostgreSQL of its own behind a proxy on loopback; a full disk is a tmpfs, for which
it has to be root. Each fault begins under payments, lasts, and ends; nobody helps afterwards. One
JSON object a scenario and store: payments `acknowledged` with 200, those `stored`, `lost` and
`doubled` among them, those whose stored answer `differs`, the 503s, other errors, and the seconds
until everything was stored after the fault ended (null: not within a minute).
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import httpx
import tyro
from sqlalchemy.engine import make_url

from lib.access import add_key, new_key
from lib.records.decision_buffer import DecisionBuffer
from serve.framework.service import ServiceStart
from serve.fraud.metrics import INSTRUMENTS
from serve.fraud.routes import build_gateway
from serve.fraud.service import FraudService
from serve.fraud.settings import FraudSettings
from tests.benchmarks.result import print_result
from tests.records.server import installed, new_database, running
from tests.serve.factories import SCORE, payment
from tests.serve.prometheus_metrics import PrometheusMetrics
from tests.serve.redis_process import RedisProcess
from tests.serve.switched_proxy import SwitchedProxy

SCENARIOS = ("disk full", "journal at its limit", "database away", "database hung", "redis away")
_SMALL = 192 << 10
_RECOVERY_SECONDS = 60.0


@dataclass(frozen=True)
class Options:
    """What is measured."""

    seconds: float = 3.0
    """That each fault lasts."""
    stores: tuple[str, ...] = ("sqlite", "postgresql")
    """Databases."""
    scenarios: tuple[str, ...] = SCENARIOS
    """Faults."""


class Database:
    """Takes a database away, or lets it hang, and gives it back."""

    def __init__(self, url: str, proxy: SwitchedProxy | None) -> None:
        self.url, self._proxy = url, proxy
        self._lock: sqlite3.Connection | None = None

    def begin(self, mode: str) -> None:
        """PostgreSQL hangs up or hangs; SQLite is locked by another for as long."""
        if self._proxy is not None:
            self._proxy.switch(mode)
            return
        self._lock = sqlite3.connect(self.url.removeprefix("sqlite:///"), isolation_level=None)
        self._lock.execute("BEGIN IMMEDIATE")

    def end(self) -> None:
        """It is as before."""
        if self._proxy is not None:
            self._proxy.switch("open")
        elif self._lock is not None:
            self._lock.close()


class Payments:
    """Sends payments and keeps what was answered."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.statuses: Counter[int] = Counter()
        self.answers: dict[str, bytes] = {}

    async def send(self, seconds: float) -> None:
        """Eight at a time, for so long."""
        end = time.monotonic() + seconds

        async def caller() -> None:
            while time.monotonic() < end:
                sent = payment()
                answer = await self._client.post(SCORE, json=sent)
                self.statuses[answer.status_code] += 1
                if answer.status_code == 200:
                    self.answers[sent["transaction_id"]] = answer.content
                await asyncio.sleep(0)

        await asyncio.gather(*(caller() for _ in range(8)))


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of its own that holds 192 KiB."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={_SMALL}", "tmpfs"]
    subprocess.run(["mount", *options, str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@asynccontextmanager
async def application(
    folder: Path, database: str, store: str
) -> AsyncIterator[tuple[FraudService, httpx.AsyncClient]]:
    """The fraud application in a folder, with 192 KiB of memory for what the disk refuses."""
    token, record = new_key(("fraud:score",), time.time_ns() // 1000)
    add_key(folder / "keys.json", record)
    args = FraudSettings(
        registry=str(folder / "registry"),
        profile_store=store,
        records=database,
        journal=folder / "journal",
        models=folder / "models",
        api_keys=folder / "keys.json",
        log=folder / "log.jsonl",
        deadline_ms=10_000.0,
        drain_seconds=0.2,
    )
    service = FraudService(ServiceStart(args, PrometheusMetrics(INSTRUMENTS)))
    service.decision_store._buffer = DecisionBuffer(_SMALL)
    headers = {"Authorization": f"Bearer {token}"}
    transport = httpx.ASGITransport(build_gateway(service))
    async with (
        service.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://fraud", headers=headers) as client,
    ):
        await service.reconfigure({})
        yield service, client


@asynccontextmanager
async def database_of(kind: str, folder: Path, server: str) -> AsyncIterator[Database]:
    """An empty database of a kind, behind a proxy where it has a server."""
    if kind == "sqlite":
        yield Database(f"sqlite:///{folder}/records.sqlite", None)
        return
    url = make_url(new_database(server))
    proxy = SwitchedProxy(Path(str(url.query["host"])) / ".s.PGSQL.5432")
    await proxy.start()
    yield Database(f"postgresql+psycopg://postgres@127.0.0.1:{proxy.port}/{url.database}", proxy)
    await proxy.close()


async def measured(scenario: str, kind: str, server: str, seconds: float) -> dict[str, object]:
    """One fault on one kind of database."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        redis = RedisProcess(folder)
        redis.start()
        disk = small_disk(folder / "journal") if scenario == "disk full" else nullcontext()
        try:
            with disk:
                async with (
                    database_of(kind, folder, server) as database,
                    application(folder, database.url, redis.url) as (service, client),
                ):
                    begin, end = _fault(scenario, service, database, redis)
                    sent = Payments(client)
                    await sent.send(1.0)
                    begin()
                    await sent.send(seconds)
                    end()
                    recovered = await _recovered(service)
                    await sent.send(0.5)
                    await _recovered(service)
                    return {
                        "scenario": scenario,
                        "store": kind,
                        **await asyncio.to_thread(_counted, service, sent),
                        "recovered_s": recovered,
                    }
        finally:
            redis.stop()


def _fault(
    scenario: str, service: FraudService, database: Database, redis: RedisProcess
) -> tuple[Callable[[], None], Callable[[], None]]:
    if scenario == "redis away":
        return redis.stop, redis.start
    mode = "hung" if scenario == "database hung" else "away"
    if scenario == "journal at its limit":
        service.decision_store.journal._max_bytes = _SMALL
    return lambda: database.begin(mode), database.end


async def _recovered(service: FraudService) -> float | None:
    """Seconds until nothing waits any more."""
    start = time.monotonic()
    while time.monotonic() - start < _RECOVERY_SECONDS:
        archive = service.decision_store
        if archive.error is None and not archive.buffered_bytes:
            archive.journal.measure()
            if not archive.journal.pending_bytes:
                return round(time.monotonic() - start, 2)
        await asyncio.sleep(0.1)
    return None


def _counted(service: FraudService, sent: Payments) -> dict[str, int]:
    stored = Counter[str]()
    differs = 0
    for decision in service.decision_store.records.decisions("fraud", 0, 2**60):
        stored[decision.subject_id] += 1
        answer = sent.answers.get(decision.subject_id)
        differs += answer is not None and json.loads(answer) != dict(decision.answer)
    return {
        "acknowledged": len(sent.answers),
        "stored": len(stored),
        "lost": len(sent.answers.keys() - stored.keys()),
        "doubled": sum(count > 1 for count in stored.values()),
        "differs": differs,
        "refused_503": sent.statuses[503],
        "other_errors": sum(n for status, n in sent.statuses.items() if status not in (200, 503)),
    }


async def every(options: Options, server: str) -> list[dict[str, object]]:
    """All scenarios on all stores, each printed as it ends."""
    results = []
    for scenario in options.scenarios:
        if scenario == "disk full" and os.geteuid() != 0:
            print("disk full: left out, only root may mount a tmpfs", flush=True)
            continue
        for kind in options.stores:
            result = await measured(scenario, kind, server, options.seconds)
            print(json.dumps(result), flush=True)
            results.append(result)
    return results


def main(options: Options) -> None:
    """Measure and print."""
    started = time.perf_counter()
    if "postgresql" in options.stores and installed():
        with running() as server:
            results = asyncio.run(every(options, server))
    else:
        results = asyncio.run(every(Options(options.seconds, ("sqlite",), options.scenarios), ""))
    totals = {
        name: sum(int(str(result[name])) for result in results)
        for name in ("acknowledged", "lost", "doubled", "differs", "refused_503", "other_errors")
    }
    print_result(int(totals["acknowledged"]), time.perf_counter() - started, **totals)


if __name__ == "__main__":
    main(tyro.cli(Options))
