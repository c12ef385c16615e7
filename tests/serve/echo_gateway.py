"""A gateway with routes that echo, wait and fail."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import httpx

from lib.access import ApiKeys, add_key, new_key
from lib.concurrency.bounded_executor import BoundedExecutor
from lib.durable import RotatingFile
from serve.framework import (
    Health,
    HealthChecks,
    JsonLog,
    Problem,
    RequestContext,
    RequestLimits,
    Router,
    new_gateway,
)
from serve.framework.metrics import REQUEST_MS, REQUESTS
from serve.framework.reloadable import ActiveRules
from serve.framework.rule_service import RuleService, RuleSource
from serve.framework.validation import system_clock
from tests.serve.prometheus_metrics import PrometheusMetrics

COMPUTING_SECONDS = 0.1


@asynccontextmanager
async def nothing_to_start() -> AsyncIterator[None]:
    yield


async def well() -> Health:
    return Health(True)


class World:
    """A gateway with routes that echo, dawdle and fail."""

    def __init__(self, folder: Path) -> None:
        self.token, record = new_key(["fraud:score"], time.time_ns() // 1000)
        add_key(folder / "keys.json", record)
        self.log_file = folder / "log.jsonl"
        self.log = JsonLog("test", RotatingFile(self.log_file))
        self.meter = PrometheusMetrics((REQUESTS, REQUEST_MS))
        self.release = asyncio.Event()
        self.error: str | None = None
        self.request_count = 0
        router = Router("test", "fraud")
        for path, handler in {
            "/echo": self._echo,
            "/slow": self._slow,
            "/computing": self._computing,
            "/broken": self._broken,
            "/refused": self._refused,
        }.items():
            router.direct(path, "score", "Score", dict, dict)(handler)
        router.direct("/labels", "label", "Send labels", dict, dict)(self._echo)
        router.get("/failing/{name}", "score", "Fail")(self._failing)
        (folder / "rules.yaml").write_text("version: 1\nrules: []\n")
        active = ActiveRules({"amount": float}, folder / "rules.yaml", ("APPROVE", "DECLINE"), ())
        source = RuleSource("fraud", f"sqlite:///{folder}/records.sqlite", None)
        service = SimpleNamespace(
            rules=RuleService(
                source, active, BoundedExecutor("loading", 1), system_clock, lambda *_: None
            ),
            readiness=HealthChecks({"engine": self._engine}),
            lifespan=nothing_to_start,
            keys=ApiKeys(folder / "keys.json"),
            log=self.log,
            meter=self.meter,
            limits=RequestLimits(body_bytes=100, deadline_ms=5_000, in_flight=2),
        )
        self.gateway = new_gateway("system", "a test", service, router.routes)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.gateway), base_url="http://test/system"
        )

    @property
    def key(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def lines(self) -> list[dict[str, object]]:
        self.log.flush()
        return [json.loads(line) for line in self.log_file.read_text().splitlines()]

    async def _engine(self) -> Health:
        self.request_count += 1
        await asyncio.sleep(0.01)
        return Health(self.error is None, {"error": self.error})

    async def _echo(self, body: bytes, context: RequestContext) -> bytes:
        return json.dumps({"request_id": context.request_id, "bytes": len(body)}).encode()

    async def _slow(self, body: bytes, context: RequestContext) -> bytes:
        await self.release.wait()
        return b"{}"

    async def _computing(self, body: bytes, context: RequestContext) -> bytes:
        end = time.thread_time() + COMPUTING_SECONDS
        while time.thread_time() < end:
            pass
        return b"{}"

    async def _broken(self, body: bytes, context: RequestContext) -> bytes:
        raise KeyError("user-4711 lives in Paris")

    async def _failing(self, name: str) -> str:
        raise KeyError("user-4711 lives in Paris")

    async def _refused(self, body: bytes, context: RequestContext) -> bytes:
        raise Problem.of_field("amount", "expected more")
