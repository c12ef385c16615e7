"""One version of the model without the models of modalities: fusion, and how posts are prepared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.calibration import sigmoid
from lib.moderation.model import SYSTEM
from lib.moderation.model.fitting import Runtime
from lib.moderation.model.fusion import Fusion
from lib.moderation.model.inputs import PostInputs, batch_of
from lib.moderation.model.model import load_fusion
from lib.moderation.model.outputs import Floats, ModalityAnswer, Pixels, Presence
from lib.moderation.model.preprocessing import Preprocessing, views_in
from lib.moderation.post import MODALITIES
from lib.registry import ArtifactError, verify_artifact

Payload = str | Pixels
"""What a model of a modality is given: a text, images of one post, or frames of its clip."""


@dataclass(frozen=True)
class FusionModelVersion:
    """One version.

    Attributes:
        fusion: puts answers together, calibrated.
        views: how posts are prepared for the modalities.
        version: of the artifact.
        previous: the version that was in force before, which answers where this one still loads.
    """

    fusion: Fusion
    views: Preprocessing
    version: str
    previous: FusionModelVersion | None = None

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
        probabilities: (policies,) calibrated probabilities.
        payloads: what was asked of each modality.
        answers: what each answered, one row.
    """

    probabilities: Floats
    payloads: Mapping[str, Payload]
    answers: Mapping[str, ModalityAnswer]


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
