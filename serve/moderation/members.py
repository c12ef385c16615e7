"""The models of text, image and video: each in a deployment of its own, or all in this process.

Fusion needs the answers of the very version that it was trained with, so whoever asks names the
version, and a member keeps the two that were asked for last. Posts are put together into batches.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from ray import serve

from lib.moderation.model import SYSTEM
from lib.moderation.model.answers import ModalityAnswer, Pixels
from lib.moderation.model.fitting import Runtime
from lib.moderation.model.moderation_model import load_image, load_text, load_video
from lib.registry import Registry

from ..gateway.interpreter import prepare_interpreter
from .config import ModerationArgs
from .explaining import TOLD

Payload = str | Pixels
Asked = tuple[str, Payload]
Model = TypeVar("Model")
_LOADERS: Mapping[str, Callable[[Path, Runtime], Any]] = {
    "text": load_text,
    "image": load_image,
    "video": load_video,
}
_KEPT = 2


class Versions(Generic[Model]):
    """Models by version: the newest asked for stay, the others are forgotten.

    Args:
        registry: directory or URI.
        folder: where local copies are kept.
        load: reads an artifact's directory.
    """

    def __init__(self, registry: str, folder: Path, load: Callable[[Path], Model]) -> None:
        self._registry, self._folder, self._load = registry, folder, load
        self._lock = threading.Lock()
        self._held: OrderedDict[str, Model] = OrderedDict()

    def get(self, version: str) -> Model:
        """A model, loaded if it is not here; blocks.

        Raises:
            RegistryError, ArtifactError, OSError: it cannot be had.
        """
        with self._lock:
            if version not in self._held:
                registry = Registry(self._registry)
                self._held[version] = self._load(registry.fetch(SYSTEM, version, self._folder))
            self._held.move_to_end(version)
            while len(self._held) > _KEPT:
                self._held.popitem(last=False)
            return self._held[version]


class Member:
    """One modality.

    Args:
        modality: `text`, `image` or `video`.
        args: what the application was started with.
    """

    def __init__(self, modality: str, args: ModerationArgs) -> None:
        self.modality = modality
        runtime = Runtime(device=device_of(args.device), threads=args.threads)
        loader = _LOADERS[modality]
        self._versions: Versions[Any] = Versions(
            args.registry, args.models, lambda folder: loader(folder, runtime)
        )

    def answers(self, asked: Sequence[Asked]) -> list[ModalityAnswer]:
        """An answer of one row for each, in their order; blocks.

        Args:
            asked: version and payload: a text; images (k, S, S, 3) of one post; frames
                (T, S, S, 3) of its clip, as `Views` prepares them.
        """
        found: dict[int, ModalityAnswer] = {}
        for version in dict.fromkeys(version for version, _ in asked):
            places = [place for place, one in enumerate(asked) if one[0] == version]
            whole = self._answer(version, [asked[place][1] for place in places])
            rows = np.arange(len(places))
            found |= {place: whole.take(rows[[k]]) for k, place in enumerate(places)}
        return [found[place] for place in range(len(asked))]

    def explain(self, version: str, payload: Payload, policy: str) -> dict[str, Any]:
        """What of a payload speaks for a policy, as JSON; blocks."""
        model = self._versions.get(version)
        return TOLD[self.modality](model, payload, policy)

    def _answer(self, version: str, payloads: Sequence[Any]) -> ModalityAnswer:
        model = self._versions.get(version)
        if self.modality == "text":
            answer: ModalityAnswer = model.answer(payloads)
        elif self.modality == "video":
            answer = model.answer_frames(payloads)
        else:
            owners = np.repeat(np.arange(len(payloads)), [len(one) for one in payloads])
            squares = model.answer_squares(np.concatenate(payloads))
            answer = squares.pooled(owners, len(payloads))
        return answer


def device_of(wanted: str) -> str:
    """`cpu` or `cuda`, as asked for or as there is."""
    import torch  # noqa: PLC0415 - a second that only replicas with models spend

    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"


class Members(Protocol):
    """Where modalities are answered: here, or in other deployments."""

    async def answer(self, modality: str, version: str, payload: Payload) -> ModalityAnswer:
        """One row of a modality; see `Member.answers`."""
        ...

    async def explain(
        self, modality: str, version: str, payload: Payload, policy: str
    ) -> dict[str, Any]:
        """See `Member.explain`."""
        ...


class MembersHere:
    """All of them in threads of this process, one post at a time each.

    Args:
        args: what the application was started with.
    """

    def __init__(self, args: ModerationArgs) -> None:
        self._members = {name: Member(name, args) for name in _LOADERS}
        self._turns = {name: asyncio.Semaphore(1) for name in _LOADERS}

    async def answer(self, modality: str, version: str, payload: Payload) -> ModalityAnswer:
        """See `Members`."""
        async with self._turns[modality]:
            asked = [(version, payload)]
            return (await asyncio.to_thread(self._members[modality].answers, asked))[0]

    async def explain(
        self, modality: str, version: str, payload: Payload, policy: str
    ) -> dict[str, Any]:
        """See `Members`."""
        async with self._turns[modality]:
            member = self._members[modality]
            return await asyncio.to_thread(member.explain, version, payload, policy)


class Batched:
    """One replica of the deployment of a modality.

    Args:
        modality: which.
        args: what the application was started with.
    """

    def __init__(self, modality: str, args: ModerationArgs) -> None:
        prepare_interpreter()
        self._member = Member(modality, args)
        self._turn = asyncio.Semaphore(1)
        self._sizes: dict[int, int] = {}
        self.answer.set_max_batch_size(args.batching.size)
        self.answer.set_batch_wait_timeout_s(args.batching.wait_ms / 1000.0)

    @serve.batch(max_batch_size=16, batch_wait_timeout_s=0.004)
    async def answer(self, asked: list[Asked]) -> list[ModalityAnswer]:
        """Answers of a batch; see `Member.answers`."""
        async with self._turn:
            self._sizes[len(asked)] = self._sizes.get(len(asked), 0) + 1
            return await asyncio.to_thread(self._member.answers, asked)

    async def explain(self, version: str, payload: Payload, policy: str) -> dict[str, Any]:
        """See `Member.explain`."""
        async with self._turn:
            return await asyncio.to_thread(self._member.explain, version, payload, policy)

    async def sizes(self) -> dict[int, int]:
        """How often batches of each size came since the replica started."""
        return self._sizes


class MembersElsewhere:
    """The deployments, asked through Ray.

    Args:
        handles: by modality, of `Batched`.
    """

    def __init__(self, handles: Mapping[str, Any]) -> None:
        self._handles = handles

    async def answer(self, modality: str, version: str, payload: Payload) -> ModalityAnswer:
        """See `Members`."""
        found: ModalityAnswer = await self._handles[modality].answer.remote((version, payload))
        return found

    async def explain(
        self, modality: str, version: str, payload: Payload, policy: str
    ) -> dict[str, Any]:
        """See `Members`."""
        found: dict[str, Any] = await self._handles[modality].explain.remote(
            version, payload, policy
        )
        return found
