"""The model as the front node asks it: text, image and video answered apart, then put together.

The models of text, image and video are in deployments of their own, or all in this process.

Fusion needs the answers of the very version that it was trained with, so whoever asks names the
version. A member keeps the two that were asked for last, and never makes a post wait for one to
load: it says that it does not have it, and loads it beside what it answers.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from lib.concurrency.bounded_executor import BoundedExecutor
from lib.concurrency.micro_batcher import MicroBatcher
from lib.moderation.explanation.modality import explain_modalities
from lib.moderation.model.fitting import Runtime, device_of
from lib.moderation.model.fusion_version import FusionModelVersion, ModelOutput, Payload
from lib.moderation.model.inputs import PostInputs, batch_of
from lib.moderation.model.modality_model import LOADERS, ModalityModel, ModalityRequest
from lib.moderation.model.outputs import Floats, ModalityAnswer, Pixels

from ..framework import Metrics
from .metrics import BATCH_POSTS
from .settings import ModerationSettings

_AT_ONCE = 4
_LOG = logging.getLogger("ray.serve")


class ModelUnavailableError(RuntimeError):
    """A part of the model does not answer; its message says which."""


class VersionUnavailableError(ModelUnavailableError):
    """A member does not have the version that was asked for, or not yet."""


class ModalityBatcher:
    """A member in this process: what comes while its model is busy is answered by one call.

    Args:
        modality: which.
        args: what the application was started with.
        meter: observes how many are answered by one call.
    """

    def __init__(self, modality: str, args: ModerationSettings, meter: Metrics) -> None:
        self._modality, self._meter = modality, meter
        runtime = Runtime(device=device_of(args.device), threads=args.threads)
        self._model = ModalityModel(modality, args.registry, args.models, runtime)
        self._batcher: MicroBatcher[ModalityRequest, ModalityAnswer | None] = MicroBatcher(
            self._all, max_batch_size=args.batching.size
        )
        self._answering = BoundedExecutor(f"{modality}-answers", 1)
        self._explaining = BoundedExecutor(f"{modality}-explanations", 1)
        self._preparing = BoundedExecutor(f"{modality}-loading", 1)
        self._loading: dict[str, asyncio.Task[None]] = {}
        self._sizes: dict[int, int] = {}

    async def answer(self, version: str, payload: Payload) -> ModalityAnswer | None:
        """One row; None where the version is not here, which then loads beside other answers."""
        answer = await self._batcher.submit((version, payload))
        if answer is None:
            self._load(version)
        return answer

    async def prepare(self, version_or_alias: str) -> None:
        """Loads a version beside answers; see `ModelVersions.prepare`."""
        await self._preparing.run(self._model.prepare, version_or_alias)

    async def explain(self, version: str, payload: Payload, policy: str) -> dict[str, Any]:
        """See `ModalityModel.explain`; one at a time, however many callers gave up."""
        return await self._explaining.run(self._model.explain, version, payload, policy)

    async def _all(self, requests: Sequence[ModalityRequest]) -> list[ModalityAnswer | None]:
        self._sizes[len(requests)] = self._sizes.get(len(requests), 0) + 1
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
        """One row of a modality; see `ModalityModel.answers`.

        Raises:
            VersionUnavailableError: the version is not there, or not yet.
        """
        ...

    async def explain(
        self, modality: str, version: str, payload: Payload, policy: str
    ) -> dict[str, Any]:
        """See `ModalityModel.explain`."""
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
        raise VersionUnavailableError(f"{modality}: {version} is loading")
    return answer


class ModelRunner:
    """Asks versions of the model about posts.

    Args:
        modalities: where modalities are answered.
        timeout_s: then a model is out.
    """

    def __init__(self, modalities: ModalityClient, timeout_s: float) -> None:
        self._modalities, self._timeout = modalities, timeout_s
        self._threads = BoundedExecutor("fusion", _AT_ONCE)

    async def predict(
        self, model: FusionModelVersion, post: PostInputs, policies: tuple[str, ...]
    ) -> tuple[Floats, str]:
        """Probabilities of policies, in their order, and the version that they are of.

        Where a member still loads the newest version, the one before answers as a whole.

        Raises:
            ModelUnavailableError: as `run`, or the model was not trained for a policy.
        """
        if lacking := [name for name in policies if name not in model.fusion.policies]:
            raise ModelUnavailableError(f"the model was not trained for {', '.join(lacking)}")
        try:
            output = await self.run(model, post)
        except VersionUnavailableError:
            if model.previous is None:
                raise
            return await self.predict(model.previous, post, policies)
        indices = [model.fusion.policies.index(name) for name in policies]
        return np.asarray(output.probabilities[indices], dtype=np.float64), model.version

    async def run(self, model: FusionModelVersion, post: PostInputs) -> ModelOutput:
        """What a version says of a post.

        Raises:
            VersionUnavailableError: a member does not have this version.
            ModelUnavailableError: a modality's model did not answer, or not in time.
        """
        payloads = await self._payloads(model, post)
        calls = [
            self._modalities.answer(name, model.version, payload)
            for name, payload in payloads.items()
        ]
        try:
            async with asyncio.timeout(self._timeout):
                results = await asyncio.gather(*calls)
        except TimeoutError as error:
            text = f"no answer of {', '.join(payloads)} within {self._timeout:g} s"
            raise ModelUnavailableError(text) from error
        except VersionUnavailableError:
            raise
        except Exception as error:  # a member's own fault is ours, never the post's
            raise ModelUnavailableError(f"{type(error).__name__}: {error}") from error
        answers = dict(zip(payloads, results, strict=True))
        fused = await self._threads.run(model.fused, post, answers)
        return ModelOutput(fused, payloads, answers)

    async def explain(
        self, model: FusionModelVersion, post: PostInputs, policy: str
    ) -> dict[str, Any]:
        """What of a post speaks for a policy: which modality mattered, and what within each.

        Returns:
            `probability`; `modalities`, what each adds to the log-odds beside the others, and all
            attributes; by name the explanation of each modality that is present; and `attributes`,
            what each of them adds beside the others.

        Raises:
            ModelUnavailableError: as `run`.
        """
        output = await self.run(model, post)
        index = model.fusion.policies.index(policy)
        explanation = _contributions(model, output, post, index)
        try:
            async with asyncio.timeout(self._timeout):
                for name, payload in output.payloads.items():
                    model_input, chosen = payload, list[int]()
                    if name == "image" and not isinstance(payload, str):
                        chosen = await self._worst_frames(model, post, payload, index)
                        counts = post.image_frames or (1,) * len(chosen)
                        model_input = payload[np.cumsum([0, *counts[:-1]]) + chosen]
                    explanation[name] = await self._modalities.explain(
                        name, model.version, model_input, policy
                    )
                    explanation[name] |= {"frame": chosen} if chosen else {}
        except Exception as error:  # as in `run`
            raise ModelUnavailableError(f"{type(error).__name__}: {error}") from error
        return explanation

    async def _payloads(self, model: FusionModelVersion, post: PostInputs) -> dict[str, Payload]:
        if post.images or post.clip is not None:
            return await self._threads.run(model.payloads, post)
        return model.payloads(post)  # a text is handed on as it is: no thread for that

    async def _worst_frames(
        self, model: FusionModelVersion, post: PostInputs, frames: Pixels, index: int
    ) -> list[int]:
        """Of each image, the number of the frame with the highest odds of the policy."""
        counts = post.image_frames or (1,) * len(frames)
        if max(counts) == 1:
            return [0] * len(counts)
        answers = [
            self._modalities.answer("image", model.version, frames[[k]]) for k in range(len(frames))
        ]
        odds = np.array([answer.log_odds[0, index] for answer in await asyncio.gather(*answers)])
        return [int(some.argmax()) for some in np.split(odds, np.cumsum(counts)[:-1])]


def _contributions(
    model: FusionModelVersion, output: ModelOutput, post: PostInputs, index: int
) -> dict[str, Any]:
    """Probability of a policy, and what modalities and attributes add to its log-odds."""
    fusion, answers = model.fusion, output.answers
    presence, features = batch_of([post]).presence, fusion.encoded([post.attributes])
    adds = explain_modalities(fusion, answers, presence, features)
    explanation: dict[str, Any] = {
        "probability": float(output.probabilities[index]),
        "modalities": {name: float(adds[name][0, index]) for name in output.payloads},
    }
    if fusion.attributes:
        together, single = fusion.attribute_contributions(answers, presence, features)
        explanation["modalities"]["attributes"] = float(together[0, index])
        explanation["attributes"] = {name: float(own[0, index]) for name, own in single.items()}
    return explanation
