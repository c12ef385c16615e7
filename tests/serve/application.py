"""What the applications of all systems need to run in this process, without Ray."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import httpx
from fastapi import FastAPI

from lib.access import add_key, new_key
from lib.registry import Registry
from serve.framework import Metric
from serve.framework.service import ServiceStart
from tests.records.migrated_databases import migrated_file
from tests.serve.prometheus_metrics import PrometheusMetrics


@dataclass
class SetClock:
    """The time that an application goes by, microseconds since 1970 UTC."""

    us: int

    def __call__(self) -> int:
        return self.us


def publish_champion(folder: Path, system: str, artifact: Path, created_at: int) -> Path:
    """A registry in a folder whose champion is this model."""
    registry = Registry(folder / "registry")
    version = registry.publish(artifact, system)
    registry.set_alias(system, "champion", version, at=created_at, by="test")
    return folder / "registry"


def add_token(folder: Path, scopes: Iterable[str], **options: Any) -> str:
    """A new key of the applications in a folder."""
    folder.mkdir(exist_ok=True)
    token, record = new_key(tuple(scopes), time.time_ns() // 1000, **options)
    add_key(folder / "keys.json", record)
    return token


def settings_in(folder: Path, **changes: Any) -> dict[str, Any]:
    """Settings of an application that lives in a folder and waits for little, but for its store.

    Its records have their tables already, unless `changes` say where others are.
    """
    records = folder / "records.sqlite"
    if "records" not in changes and not records.exists():
        migrated_file(records)
    return {
        "registry": str(folder / "registry"),
        "records": f"sqlite:///{records}",
        "journal": folder / "journal",
        "models": folder / "models",
        "api_keys": folder / "keys.json",
        "log": folder / "log.jsonl",
        "deadline_ms": 30_000.0,
        "store_timeout_ms": 5_000.0,
        "drain_seconds": 0.05,
        "rescore_seconds": 0.05,
        "follow_seconds": 0.05,
        **changes,
    }


@asynccontextmanager
async def serving(service: Any, gateway: FastAPI, token: str) -> AsyncIterator[httpx.AsyncClient]:
    """A caller with this key, while the application runs."""
    transport = httpx.ASGITransport(gateway)
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        service.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://here", headers=headers) as client,
    ):
        await service.reconfigure({})
        yield client


def iso(time_us: int) -> str:
    """A time as callers write it."""
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat()


class Parts(NamedTuple):
    """What a system's application is made of: classes, its metrics, and its routes."""

    settings: Callable[..., Any]
    service: Callable[..., Any]
    instruments: Iterable[Metric]
    gateway: Callable[[Any], FastAPI]


@dataclass(frozen=True)
class Application:
    """An application that runs, and a caller with every scope."""

    system: ClassVar[str]
    parts: ClassVar[Parts]

    service: Any
    client: httpx.AsyncClient
    folder: Path
    meter: PrometheusMetrics

    @classmethod
    @asynccontextmanager
    async def started(
        cls, folder: Path, token: str, now_us: int | None, **settings: Any
    ) -> AsyncIterator[Self]:
        """The application in a folder, with a caller's key; its clock stands unless None."""
        args = cls.parts.settings(**settings_in(folder, **settings))
        meter = PrometheusMetrics(cls.parts.instruments)
        clock = None if now_us is None else lambda: now_us
        service = cls.parts.service(ServiceStart(args, meter, clock))
        async with serving(service, cls.parts.gateway(service), token) as client:
            yield cls(service, client, folder, meter)

    async def post(self, path: str, body: Any, status: int = 200) -> dict[str, Any]:
        """An answer, which must have this status."""
        content = body if isinstance(body, str | bytes) else json.dumps(body)
        answer = await self.client.post(f"/{self.system}/{path}", content=content)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def get(self, path: str, status: int = 200) -> dict[str, Any]:
        """The same for a look."""
        answer = await self.client.get(f"/{self.system}/{path}")
        assert answer.status_code == status, answer.text
        return answer.json()
