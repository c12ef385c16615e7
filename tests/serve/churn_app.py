"""The churn application in this process, with a model and keys, without Ray."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.compute as pc

from lib.access import add_key, new_key
from lib.registry import Registry
from serve.churn.metrics import INSTRUMENTS
from serve.churn.routes import build_gateway
from serve.churn.service import ChurnService
from serve.churn.settings import ChurnSettings
from serve.framework import PrometheusMetrics
from tests.churn.small_model import save, trained
from tests.churn.tables import day, world

SCOPES = ("churn:label", "churn:score", "churn:review", "churn:read")
CREATED_AT = 1_795_428_900_000_000
NOW = day(420)
PER_REQUEST = 15_000


@dataclass(frozen=True)
class Running:
    """An application that runs, and a caller with every scope."""

    service: ChurnService
    client: httpx.AsyncClient
    folder: Path
    meter: PrometheusMetrics

    async def post(self, path: str, body: Any, status: int = 200) -> dict[str, Any]:
        """An answer, which must have this status."""
        answer = await self.client.post(f"/churn/{path}", content=json.dumps(body))
        assert answer.status_code == status, answer.text
        return answer.json()

    async def get(self, path: str, status: int = 200) -> dict[str, Any]:
        """The same for a look."""
        answer = await self.client.get(f"/churn/{path}")
        assert answer.status_code == status, answer.text
        return answer.json()

    async def tell(self, names: Iterable[str], until: int = NOW) -> None:
        """What the simulation knows of customers before a moment, as a caller tells it."""
        for part in parts(news(names, until)):
            await self.post("events", part)


def published(folder: Path) -> Path:
    """A registry whose champion is the model of the simulated accounts."""
    registry = Registry(folder / "registry")
    artifact = folder / "model"
    model = trained()
    save(model, artifact)
    version = registry.publish(artifact, "churn")
    registry.set_alias("churn", "champion", version, at=CREATED_AT, by="test")
    return folder / "registry"


@asynccontextmanager
async def churn(folder: Path, now_us: int | None = NOW, **changes: Any) -> AsyncIterator[Running]:
    """The application in a folder."""
    token, record = new_key(SCOPES, time.time_ns() // 1000)
    folder.mkdir(exist_ok=True)
    add_key(folder / "keys.json", record)
    if "registry" not in changes and not (folder / "registry").exists():
        published(folder)
    args = ChurnSettings(
        **{
            "registry": str(folder / "registry"),
            "profile_store": f"sqlite:///{folder}/profiles.sqlite",
            "records": f"sqlite:///{folder}/records.sqlite",
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
    )
    meter = PrometheusMetrics(INSTRUMENTS)
    clock = None if now_us is None else lambda: now_us
    service = ChurnService(args, meter, now=clock)
    transport = httpx.ASGITransport(build_gateway(service))
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        service.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://here", headers=headers) as client,
    ):
        await service.reconfigure({})
        yield Running(service, client, folder, meter)


def iso(time_us: int) -> str:
    """A time as callers write it."""
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat()


def stayers(most: int, at: int = NOW) -> list[str]:
    """Customers who signed long before a moment and have not given notice by then."""
    _, tables = world()
    leavers = set(_before(tables["churn"], at)["customer_id"].to_pylist())
    signed = _before(tables["customers"], at - 100 * 86_400_000_000)
    names = sorted(set(signed["customer_id"].to_pylist()) - leavers)
    return names[:most]


def news(names: Iterable[str], until: int = NOW) -> dict[str, list[dict[str, Any]]]:
    """The rows of some customers, of every table, that are known before a moment."""
    _, tables = world()
    customers = pa.array(list(names))
    rows_by_table = {}
    for name, table in tables.items():
        rows = table.filter(pc.is_in(table["customer_id"], value_set=customers))
        known_rows = _before(rows, until).to_pylist()
        rows_by_table[name] = [
            {key: _plain(value) for key, value in row.items() if value is not None}
            for row in known_rows
        ]
    return rows_by_table


def parts(tables: dict[str, list[dict[str, Any]]]) -> Iterable[dict[str, Any]]:
    """The same in requests that are small enough."""
    for name, rows in tables.items():
        for start in range(0, len(rows), PER_REQUEST):
            yield {name: rows[start : start + PER_REQUEST]}


def _before(table: pa.Table, until: int) -> pa.Table:
    known_at = pc.coalesce(table["known_at"], table["event_time"])
    latest = pc.max_element_wise(known_at.cast("int64"), table["event_time"].cast("int64"))
    return table.filter(pc.less(latest, until))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
