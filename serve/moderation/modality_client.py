"""The models of text, image and video: each in a deployment of its own, or all in this process.

Fusion needs the answers of the very version that it was trained with, so whoever asks names the
version. A member keeps the two that were asked for last, and never makes a post wait for one to
load: it says that it does not have it, and loads it beside what it answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from lib.concurrency.bounded_executor import BoundedExecutor
from lib.concurrency.micro_batcher import MicroBatcher
from lib.moderation.model.outputs import ModalityAnswer

from ..framework import Metrics, RayMetrics
from ..framework.runtime_tuning import freeze_heap, tune_interpreter
from .metrics import BATCH, BATCH_POSTS
from .modality_model import LOADERS, Asked, ModalityModel, Payload
from .settings import ModerationSettings

_LOG = logging.getLogger("ray.serve")


class MissingVersionError(RuntimeError):
    """A member does not have a version; it is loading it."""


class ModalityBatcher:
    """A member in this process: what comes while its model is busy is answered by one call.

    Args:
        modality: which.
        args: what the application was started with.
        meter: observes how many are answered by one call.
    """

    def __init__(self, modality: str, args: ModerationSettings, meter: Metrics) -> None:
        self._modality, self._meter = modality, meter
        self._model = ModalityModel(modality, args)
        self._batcher: MicroBatcher[Asked, ModalityAnswer | None] = MicroBatcher(
            self._all, max_batch_size=args.batching.size
        )
        self._answering = BoundedExecutor(f"{modality}-answers", 1)
        self._explaining = BoundedExecutor(f"{modality}-explanations", 1)
        self._preparing = BoundedExecutor(f"{modality}-loading", 1)
        self._loading: dict[str, asyncio.Task[None]] = {}
        self.sizes: dict[int, int] = {}

    async def answer(self, version: str, payload: Payload) -> ModalityAnswer | None:
        """One row; None where the version is not here, which then loads beside other answers."""
        answer = await self._batcher.submit((version, payload))
        if answer is None:
            self._load(version)
        return answer

    async def prepare(self, version_or_alias: str) -> None:
        """See `Member.prepare`."""
        await self._preparing.run(self._model.prepare, version_or_alias)

    async def explain(self, version: str, payload: Payload, policy: str) -> dict[str, Any]:
        """See `Member.explain`; one at a time, beside answers, however many callers gave up."""
        return await self._explaining.run(self._model.explain, version, payload, policy)

    async def _all(self, requests: Sequence[Asked]) -> list[ModalityAnswer | None]:
        self.sizes[len(requests)] = self.sizes.get(len(requests), 0) + 1
        self._meter.observe(BATCH_POSTS, len(requests), self._modality)
        return await self._answering.run(self._model.answers, requests)

    def _load(self, version: str) -> None:
        if version not in self._loading:
            task = asyncio.get_running_loop().create_task(self.prepare(version))
            self._loading[version] = task
            task.add_done_callback(lambda done: self._loaded(version, done))

    def _loaded(self, version: str, done: asyncio.Task[None]) -> None:
        del self._loading[version]
        if not done.cancelled() and (error := done.exception()) is not None:
            _LOG.warning("%s cannot be loaded: %r", version, error)


class ModalityClient(Protocol):
    """Where modalities are answered: here, or in other deployments."""

    async def answer(self, modality: str, version: str, payload: Payload) -> ModalityAnswer:
        """One row of a modality; see `Member.answers`.

        Raises:
            MissingVersionError: the version is not there.
        """
        ...

    async def explain(
        self, modality: str, version: str, payload: Payload, policy: str
    ) -> dict[str, Any]:
        """See `Member.explain`."""
        ...

    async def prepare(self, modalities: Sequence[str], version: str) -> None:
        """Returns once a version is loaded wherever it will be asked for; raises if it cannot."""
        ...


class LocalModalities:
    """All of them in threads of this process.

    Args:
        args: what the application was started with.
        meter: as of `ModalityBatcher`.
    """

    def __init__(self, args: ModerationSettings, meter: Metrics) -> None:
        self._batchers = {name: ModalityBatcher(name, args, meter) for name in LOADERS}

    async def answer(self, modality: str, version: str, payload: Payload) -> ModalityAnswer:
        """See `ModalityClient`."""
        return _present(await self._batchers[modality].answer(version, payload), modality, version)

    async def explain(
        self, modality: str, version: str, payload: Payload, policy: str
    ) -> dict[str, Any]:
        """See `ModalityClient`."""
        return await self._batchers[modality].explain(version, payload, policy)

    async def prepare(self, modalities: Sequence[str], version: str) -> None:
        """See `ModalityClient`."""
        for name in modalities:
            await self._batchers[name].prepare(version)


class ModalityDeployment:
    """One replica of the deployment of a modality.

    Args:
        modality: which.
        args: what the application was started with.
    """

    def __init__(self, modality: str, args: ModerationSettings) -> None:
        tune_interpreter()
        self._modality, self._model = modality, args.model
        self._batcher = ModalityBatcher(modality, args, RayMetrics((BATCH,)))

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """Loads the model before the first post comes; one that cannot be had is asked for later.

        Args:
            config: `model`, alias or version.
        """
        try:
            await self._batcher.prepare(str(config.get("model", self._model)))
        except Exception as error:  # the replica must come up: the front node says what is out
            _LOG.warning("no model of %s yet: %r", self._modality, error)
        freeze_heap()

    async def answer(self, version: str, payload: Payload) -> ModalityAnswer | None:
        """See `Seat.answer`."""
        return await self._batcher.answer(version, payload)

    async def explain(self, version: str, payload: Payload, policy: str) -> dict[str, Any]:
        """See `Member.explain`."""
        return await self._batcher.explain(version, payload, policy)

    async def prepare(self, version: str) -> None:
        """See `Member.prepare`."""
        await self._batcher.prepare(version)

    async def sizes(self) -> dict[int, int]:
        """How often batches of each size came since the replica started."""
        return self._batcher.sizes


class RemoteModalities:
    """The deployments, asked through Ray.

    Args:
        handles: by modality, of `ModalityDeployment`.
    """

    def __init__(self, handles: Mapping[str, Any]) -> None:
        self._handles = handles

    async def answer(self, modality: str, version: str, payload: Payload) -> ModalityAnswer:
        """See `ModalityClient`."""
        answer = await self._handles[modality].answer.remote(version, payload)
        return _present(answer, modality, version)

    async def explain(
        self, modality: str, version: str, payload: Payload, policy: str
    ) -> dict[str, Any]:
        """See `ModalityClient`."""
        explanation: dict[str, Any] = await self._handles[modality].explain.remote(
            version, payload, policy
        )
        return explanation

    async def prepare(self, modalities: Sequence[str], version: str) -> None:
        """See `ModalityClient`."""
        await asyncio.gather(*(self._prepare(self._handles[name], version) for name in modalities))

    async def _prepare(self, handle: Any, version: str) -> None:
        await handle.prepare.remote(version)  # waits until there is a replica at all
        await handle.broadcast("prepare", version).results_async()


def _present(answer: ModalityAnswer | None, modality: str, version: str) -> ModalityAnswer:
    if answer is None:
        raise MissingVersionError(f"{modality}: {version} is loading")
    return answer
