"""One version of the model without the models of modalities: fusion, and how posts are prepared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.calibration import sigmoid
from lib.moderation.model.fitting import Runtime
from lib.moderation.model.fusion import Fusion
from lib.moderation.model.inputs import PostInputs, batch_of
from lib.moderation.model.model import modalities_of, open_artifact, read_part, require_policies
from lib.moderation.model.outputs import Floats, ModalityAnswer, ModelError, Pixels, Presence
from lib.moderation.model.pixels import evenly_spaced, squares
from lib.moderation.post import MODALITIES
from lib.registry import Artifact, ArtifactError

Payload = str | Pixels
"""What a model of a modality is given: a text, images of one post, or frames of its clip."""


@dataclass(frozen=True)
class Preprocessing:
    """How posts are prepared: the same arrays that the models' own `answer` makes.

    Attributes:
        modalities: of which there are models.
        image_side: pixels of a side of images.
        frames: of a clip.
        video_side: pixels of a side of frames.
    """

    modalities: tuple[str, ...]
    image_side: int
    frames: int
    video_side: int

    def of(self, modality: str, post: PostInputs) -> str | Pixels:
        """What the model of a modality is given of a post that has it.

        Returns:
            the text; images (k, S, S, 3); frames (T, S, S, 3), uint8.

        Raises:
            ModelError: the post lacks that modality.
        """
        if modality == "text" and post.text is not None:
            return post.text
        if modality == "image" and post.images:
            return squares(post.images, self.image_side)
        if modality == "video" and post.clip is not None:
            return evenly_spaced(post.clip, self.frames, self.video_side)
        raise ModelError(f"{modality}: the post has none")


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
        presence, features = batch_of([post]).presence, self.fusion.encoded([post.attributes])
        log_odds = self.fusion.answer(answers, presence, features)
        return np.asarray(sigmoid(log_odds)[0], dtype=np.float64)


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
    artifact = open_artifact(directory)
    fusion = read_part(artifact, Fusion.read, Runtime(threads=1))
    require_policies(artifact, policies)
    presence = np.full((1, len(MODALITIES)), Presence.FAILED, dtype=np.int8)
    tried = sigmoid(fusion.answer({}, presence, fusion.encoded([{}])))
    if not (np.isfinite(tried) & (tried >= 0.0) & (tried <= 1.0)).all():
        raise ArtifactError(f"{directory}: the model answers {tried}; expected probabilities")
    return FusionModelVersion(fusion, _preprocessing(artifact), artifact.manifest.version)


def _preprocessing(artifact: Artifact) -> Preprocessing:
    try:
        modalities = modalities_of(artifact)
        image, clip = (
            json.loads(artifact.path(f"{name}.json").read_bytes())["size"]
            if name in modalities
            else {"frames": 1, "side": 1}
            for name in ("image", "video")
        )
        return Preprocessing(modalities, int(image["side"]), int(clip["frames"]), int(clip["side"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{artifact.directory}: {type(error).__name__}: {error}") from error
