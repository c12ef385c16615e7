"""The model in force, as the front node holds it: fusion, calibration, and what members look at."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lib.calibration import sigmoid
from lib.concurrency.bounded_executor import BoundedExecutor
from lib.moderation.explanation.modality import explain_modalities
from lib.moderation.model import SYSTEM
from lib.moderation.model.fitting import Runtime
from lib.moderation.model.fusion import Fusion
from lib.moderation.model.inputs import PostInputs, batch_of
from lib.moderation.model.model import load_fusion
from lib.moderation.model.outputs import Floats, ModalityAnswer, Pixels, Presence
from lib.moderation.model.preprocessing import Preprocessing, views_in
from lib.moderation.post import MODALITIES
from lib.registry import ArtifactError, verify_artifact
from serve.moderation.modality_client import MissingVersionError, ModalityClient
from serve.moderation.modality_model import Payload

_AT_ONCE = 4


class ModelUnavailableError(RuntimeError):
    """A part of the model does not answer; its message says which."""


class VersionUnavailableError(ModelUnavailableError):
    """A member does not have the version that was asked for, or not yet."""


@dataclass(frozen=True)
class FusionModelVersion:
    """One version.

    Attributes:
        fusion: puts answers together, calibrated.
        views: how posts are prepared for the modalities.
        version: of the artifact.
        previous: the version that was in force before, which answers where this one still loads.
        threads: prepare posts and put answers together.
    """

    fusion: Fusion
    views: Preprocessing
    version: str
    previous: FusionModelVersion | None = None
    threads: BoundedExecutor = field(
        default_factory=lambda: BoundedExecutor("fusion", _AT_ONCE), compare=False
    )

    def payloads(self, post: PostInputs) -> dict[str, Payload]:
        """What is asked of each modality that is present and that a model looks at."""
        payloads: dict[str, Payload] = {}
        marks = dict(zip(MODALITIES, post.presence, strict=True))
        for name in self.views.modalities:
            if marks[name] == Presence.PRESENT:
                payloads[name] = self.views.of(name, post)
        return payloads

    def fused(self, post: PostInputs, answers: Mapping[str, ModalityAnswer]) -> Floats:
        """Calibrated probabilities (policies,) of one post."""
        presence = batch_of([post]).presence
        return np.asarray(sigmoid(self.fusion.answer(answers, presence))[0], dtype=np.float64)


@dataclass(frozen=True)
class ModelOutput:
    """What a version says of one post.

    Attributes:
        chances: (policies,) calibrated probabilities.
        payloads: what was asked of each modality.
        answers: what each answered, one row.
    """

    probabilities: Floats
    payloads: Mapping[str, Payload]
    answers: Mapping[str, ModalityAnswer]


async def run_model(
    model: FusionModelVersion, modalities: ModalityClient, post: PostInputs, timeout_s: float
) -> ModelOutput:
    """What the model says of a post.

    Raises:
        VersionOutError: a member does not have this version.
        ModelOutError: a modality's model did not answer, or not in time.
    """
    payloads = await _prepared(model, post)
    calls = [modalities.answer(name, model.version, payload) for name, payload in payloads.items()]
    try:
        async with asyncio.timeout(timeout_s):
            results = await asyncio.gather(*calls)
    except TimeoutError as error:
        names = ", ".join(payloads)
        raise ModelUnavailableError(f"no answer of {names} within {timeout_s:g} s") from error
    except MissingVersionError as error:
        raise VersionUnavailableError(str(error)) from error
    except Exception as error:  # a member's own fault is ours, never the post's
        raise ModelUnavailableError(f"{type(error).__name__}: {error}") from error
    answers = dict(zip(payloads, results, strict=True))
    return ModelOutput(await model.threads.run(model.fused, post, answers), payloads, answers)


async def _prepared(model: FusionModelVersion, post: PostInputs) -> dict[str, Payload]:
    if post.images or post.clip is not None:
        return await model.threads.run(model.payloads, post)
    return model.payloads(post)  # a text is handed on as it is: no thread for that


async def explained(
    model: FusionModelVersion,
    modalities: ModalityClient,
    post: PostInputs,
    policy: str,
    timeout_s: float,
) -> dict[str, Any]:
    """What of a post speaks for a policy: which modality mattered, and what within each.

    Returns:
        `probability`; `modalities`, what each adds to the log-odds beside the others; and by name
        the explanation of each modality that is present, see `explaining`.

    Raises:
        ModelOutError: as `run_model`.
    """
    prediction = await run_model(model, modalities, post, timeout_s)
    index = model.fusion.policies.index(policy)
    adds = explain_modalities(model.fusion, prediction.answers, batch_of([post]).presence)
    explanation: dict[str, Any] = {
        "probability": float(prediction.probabilities[index]),
        "modalities": {name: float(adds[name][0, index]) for name in prediction.payloads},
    }
    try:
        async with asyncio.timeout(timeout_s):
            for name, payload in prediction.payloads.items():
                model_input, chosen = payload, list[int]()
                if name == "image" and not isinstance(payload, str):
                    chosen = await _worst_frames(model, modalities, post, payload, index)
                    model_input = payload[_rows_of(post, chosen)]
                explanation[name] = await modalities.explain(
                    name, model.version, model_input, policy
                )
                explanation[name] |= {"frame": chosen} if chosen else {}
    except Exception as error:  # as in `run_model`
        raise ModelUnavailableError(f"{type(error).__name__}: {error}") from error
    return explanation


async def _worst_frames(
    model: FusionModelVersion,
    modalities: ModalityClient,
    post: PostInputs,
    frames: Pixels,
    index: int,
) -> list[int]:
    """Of each image, the number of the frame with the highest odds of the policy at a place."""
    counts = post.image_frames or (1,) * len(frames)
    if max(counts) == 1:
        return [0] * len(counts)
    answers = [modalities.answer("image", model.version, frames[[k]]) for k in range(len(frames))]
    odds = np.array([answer.log_odds[0, index] for answer in await asyncio.gather(*answers)])
    return [int(some.argmax()) for some in np.split(odds, np.cumsum(counts)[:-1])]


def _rows_of(post: PostInputs, chosen: list[int]) -> list[int]:
    """Rows of the chosen frames among all."""
    counts = post.image_frames or (1,) * len(chosen)
    return (np.cumsum([0, *counts[:-1]]) + chosen).tolist()


def load_fusion_version(directory: Path, policies: tuple[str, ...]) -> FusionModelVersion:
    """The front node's part of an artifact, tried out.

    Args:
        directory: of the artifact.
        policies: that are enforced; the model must know each.

    Raises:
        ArtifactError: it is damaged, lacks a policy, or does not answer.
    """
    artifact = verify_artifact(directory)
    if artifact.manifest.system != SYSTEM:
        raise ArtifactError(f"{directory}: expected a model of {SYSTEM}")
    fusion = load_fusion(directory, Runtime(threads=1))
    if lacking := [name for name in policies if name not in fusion.policies]:
        raise ArtifactError(
            f"{directory}: no answer for {', '.join(lacking)}; it was trained for "
            f"{', '.join(fusion.policies)}; train it again with the policies that are enforced"
        )
    presence = np.full((1, len(MODALITIES)), Presence.FAILED, dtype=np.int8)
    tried = sigmoid(fusion.answer({}, presence))
    if not all(
        math.isfinite(probability) and 0.0 <= probability <= 1.0
        for probability in tried[0].tolist()
    ):
        raise ArtifactError(f"{directory}: the model answers {tried}; expected probabilities")
    return FusionModelVersion(fusion, views_in(directory), artifact.manifest.version)
