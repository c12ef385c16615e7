"""A trained model, keys, and the fraud application in this process, without Ray."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from lib.registry import Registry
from serve.framework.service import ServiceStart
from serve.fraud.metrics import INSTRUMENTS
from serve.fraud.routes import build_gateway
from serve.fraud.service import FraudService
from serve.fraud.settings import FraudSettings
from tests.serve.application import add_token, serving, settings_in
from tests.serve.echo_gateway import World
from tests.serve.prometheus_metrics import PrometheusMetrics
from tests.serve.redis_process import RedisProcess
from tests.serve.small_fraud_model import CREATED_AT, publish, small

SCOPES = ("fraud:score", "fraud:label", "fraud:read", "fraud:review", "admin")


@pytest.fixture
def at(small_fleet: Path) -> int:
    """A minute after the newest reading of the small fleet, microseconds since 1970 UTC."""
    # tests of other systems need no fleet
    from tests.serve.maintenance_app import end_of  # noqa: PLC0415

    return end_of(small_fleet) + 60_000_000


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True)
class Models:
    """A registry with two versions of one model; the first is champion."""

    registry: Path
    versions: tuple[str, str]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    folder = tmp_path_factory.mktemp("models")
    ensemble = small()
    first, second = (publish(ensemble, folder / "registry", folder, n) for n in range(2))
    Registry(folder / "registry").set_alias("fraud", "champion", first, at=CREATED_AT, by="test")
    return Models(folder / "registry", (first, second))


@dataclass(frozen=True)
class Workspace:
    """A directory of its own for one application, with keys and a registry to break."""

    folder: Path
    registry: Path
    versions: tuple[str, str]
    tokens: dict[str, str]

    def args(self, **changes: Any) -> FraudSettings:
        """Arguments of an application that lives here."""
        settings = {
            "registry": str(self.registry),
            "profile_store": f"sqlite:///{self.folder}/profiles.sqlite",
            "deadline_ms": 20_000.0,
            **changes,
        }
        return FraudSettings(**settings_in(self.folder, **settings))


def new_workspace(folder: Path, models: Models) -> Workspace:
    registry = folder / "registry"
    shutil.copytree(models.registry, registry)
    scopes_by_name = {"all": SCOPES, "score": SCOPES[:1], "label": SCOPES[1:2]}
    tokens = {name: add_token(folder, scopes) for name, scopes in scopes_by_name.items()}
    return Workspace(folder, registry, models.versions, tokens)


@pytest.fixture
def workspace(tmp_path: Path, models: Models) -> Workspace:
    return new_workspace(tmp_path, models)


@dataclass(frozen=True)
class Running:
    """An application that runs, and a caller with every scope."""

    service: FraudService
    client: httpx.AsyncClient
    meter: PrometheusMetrics


Start = Callable[..., AbstractAsyncContextManager[Running]]


@asynccontextmanager
async def starting(
    workspace: Workspace, now: Callable[[], int] | None = None, **changes: Any
) -> AsyncIterator[Running]:
    """The application at a place, with changed arguments; `now` is its clock."""
    meter = PrometheusMetrics(INSTRUMENTS)
    service = FraudService(ServiceStart(workspace.args(**changes), meter, now))
    async with serving(service, build_gateway(service), workspace.tokens["all"]) as client:
        yield Running(service, client, meter)


@pytest.fixture
def start(workspace: Workspace) -> Start:
    """Starts the application here; it can be started again."""
    return partial(starting, workspace)


@pytest.fixture
async def fraud(start: Start) -> AsyncIterator[Running]:
    async with start() as running:
        yield running


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    async with world.client:
        yield world
    world.log.close()


@pytest.fixture
def redis_process(tmp_path: Path) -> Iterator[RedisProcess]:
    process = RedisProcess(tmp_path)
    process.start()
    yield process
    process.stop()
