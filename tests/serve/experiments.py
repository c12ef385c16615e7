"""Experiments of the fraud application in this process, with real processes of challengers."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import psutil

from lib.experiment.declaration import Experiment
from lib.experiment.models import ExperimentDecision, StoredExperiment
from lib.experiment.repository import ExperimentRepository
from serve.framework.service import ServiceStart
from serve.framework.trial import ChallengerKind
from serve.fraud.metrics import INSTRUMENTS
from serve.fraud.routes import build_gateway
from serve.fraud.service import FraudService
from tests.serve.application import serving
from tests.serve.conftest import Running, Workspace
from tests.serve.factories import SCORE, eventually, payment
from tests.serve.prometheus_metrics import PrometheusMetrics

_BOUNDS = ("p99_ms", "p99_increase_ms", "fault_share", "blocked_increase", "reviewed_increase")
UNWATCHED: dict[str, Any] = dict.fromkeys(_BOUNDS)
"""Guardrails that end nothing."""


class PlantedService(FraudService):
    """The fraud application with another loader of challengers."""

    loader: str = ""

    def challenger_kind(self) -> ChallengerKind:
        kind = super().challenger_kind()
        return replace(kind, loader=self.loader or kind.loader)


def separate(number: int) -> dict[str, Any]:
    """A payment that shares nothing with others, so that no rule of velocity decides."""
    names = ("user_id", "device_id", "merchant_id")
    return payment(**{name: f"{name}-{number}" for name in names})


@dataclass(frozen=True)
class Trials(Running):
    """An application under an experiment."""

    records: str
    workspace: Workspace

    @contextmanager
    def repository(self) -> Iterator[ExperimentRepository]:
        with ExperimentRepository(self.records) as repository:
            repository.migrate()
            yield repository

    def start(self, **changes: Any) -> StoredExperiment:
        """Starts an experiment in the records, between the two versions."""
        first, second = self.workspace.versions
        fields = {
            "name": "second",
            "system": "fraud",
            "champion": first,
            "challenger": second,
            "timeout_ms": 5_000.0,
            "guardrails": UNWATCHED,
            **changes,
        }
        with self.repository() as repository:
            return repository.start(Experiment(**fields), by="test", at=now_us())

    async def applied(self, share: float | None = None) -> None:
        """Waits until the challenger answers, with this share."""

        async def happens() -> bool:
            active = self.service.experiments.active
            ready = active is not None and active.queue.ready
            return ready and share in (None, active.stored.share)

        await eventually(happens, within=120.0)

    async def left(self) -> None:
        """Waits until no experiment is applied."""

        async def happens() -> bool:
            return self.service.experiments.active is None

        await eventually(happens, within=120.0)

    async def ended(self, stored: StoredExperiment) -> StoredExperiment:
        """The experiment once the records say that it has ended."""
        over = stored

        async def happens() -> bool:
            nonlocal over
            with self.repository() as repository:
                over = repository.find(stored.id)
            return over.ended_at is not None

        await eventually(happens, within=60.0)
        return over

    async def pays_until_it_ends(self, stored: StoredExperiment) -> None:
        """Sends payments, which share nothing, until the replica has left the experiment."""
        numbers = itertools.count()

        async def happens() -> bool:
            await self.pay(separate(next(numbers)))
            active = self.service.experiments.active
            return active is None or active.stored.id != stored.id

        await eventually(happens, within=60.0)

    async def pay(self, body: dict[str, Any]) -> httpx.Response:
        answer = await self.client.post(SCORE, json=body)
        assert answer.status_code == 200, answer.text
        return answer

    async def rows(self, number: int, within: float = 30.0) -> list[ExperimentDecision]:
        """What both models said, once so many rows are stored."""

        async def happens() -> bool:
            return len(self.stored()) >= number

        await eventually(happens, within=within, pause=0.1)
        return self.stored()

    def stored(self) -> list[ExperimentDecision]:
        with self.repository() as repository:
            return list(repository.decisions("fraud/second"))

    async def status(self) -> dict[str, Any]:
        self.service.readiness.expire()
        body = (await self.client.get("/fraud/status")).json()
        return dict(body["parts"]["experiment"])


@asynccontextmanager
async def trials(workspace: Workspace, loader: str = "", **changes: Any) -> AsyncIterator[Trials]:
    """The application in a workspace, with a loader of challengers."""
    meter = PrometheusMetrics(INSTRUMENTS)
    settings = {"experiment_seconds": 0.1, "challenger_batch_ms": 1_000.0, **changes}
    args = workspace.args(**settings)
    planted = type("Planted", (PlantedService,), {"loader": loader})
    service = planted(ServiceStart(args, meter))
    async with serving(service, build_gateway(service), workspace.tokens["all"]) as client:
        yield Trials(service, client, meter, args.records, workspace)


def child() -> int:
    """The process of a challenger of this process; 0 where there is none."""
    children = psutil.Process().children()
    return next((each.pid for each in children if _is_challenger(each)), 0)


def _is_challenger(process: psutil.Process) -> bool:
    try:
        return any("challenger_worker" in part for part in process.cmdline())
    except psutil.Error:
        return False


def now_us() -> int:
    return time.time_ns() // 1000
