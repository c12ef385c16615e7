"""The churn application in this process, with a model and keys, without Ray."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from serve.churn.metrics import INSTRUMENTS
from serve.churn.routes import build_gateway
from serve.churn.service import ChurnService
from serve.churn.settings import ChurnSettings
from tests.churn.small_model import save, trained
from tests.churn.tables import day, world
from tests.serve.application import Application, Parts, add_token, publish_champion

SCOPES = ("churn:label", "churn:score", "churn:review", "churn:read", "admin")
CREATED_AT = 1_795_428_900_000_000
NOW = day(420)
PER_REQUEST = 15_000


@dataclass(frozen=True)
class Running(Application):
    """The churn application that runs."""

    system = "churn"
    parts = Parts(ChurnSettings, ChurnService, INSTRUMENTS, build_gateway)

    async def tell(self, names: Iterable[str], until: int = NOW) -> None:
        """What the simulation knows of customers before a moment, as a caller tells it."""
        for part in parts(news(names, until)):
            await self.post("events", part)


def published(folder: Path) -> Path:
    """A registry whose champion is the model of the simulated accounts."""
    artifact = save(trained(), folder / "model")
    return publish_champion(folder, "churn", artifact, CREATED_AT)


@asynccontextmanager
async def churn(
    folder: Path,
    now_us: int | None = NOW,
    reviewers: tuple[str, ...] | None = None,
    **changes: Any,
) -> AsyncIterator[Running]:
    """The application in a folder."""
    token = add_token(folder, SCOPES, reviewers=reviewers)
    if "registry" not in changes and not (folder / "registry").exists():
        published(folder)
    settings = {"profile_store": f"sqlite:///{folder}/profiles.sqlite", **changes}
    async with Running.started(folder, token, now_us, **settings) as running:
        yield running


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
