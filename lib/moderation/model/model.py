"""The model: text, image and video answered apart, put together, calibrated; one artifact."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from lib.calibration import sigmoid
from lib.feature.attributes import Attribute
from lib.moderation.model import SYSTEM
from lib.moderation.model.attribute_inputs import attributes_in
from lib.moderation.model.attribute_layer import ATTRIBUTES_FILE
from lib.moderation.model.fitting import Runtime
from lib.moderation.model.fusion import Fusion
from lib.moderation.model.image import ImageModel
from lib.moderation.model.inputs import Batch, PostInputs, batch_of
from lib.moderation.model.outputs import Floats, ModalityAnswer, ModelError
from lib.moderation.model.serialization import Files, Reader, json_bytes
from lib.moderation.model.text import TextModel
from lib.moderation.model.video import VideoModel
from lib.registry import (
    Artifact,
    ArtifactError,
    Manifest,
    TrainingRecord,
    verify_artifact,
    write_artifact,
)

_ABOUT = "model.json"
Part = TypeVar("Part")


@dataclass(frozen=True)
class PolicyFeatures:
    """What an artifact is checked against: the policies, in the order of log-odds."""

    names: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the names, in hex."""
        return hashlib.sha256(json.dumps(list(self.names)).encode()).hexdigest()


@dataclass(frozen=True)
class ModerationModel:
    """A fitted model.

    Attributes:
        fusion: puts modalities together, calibrated.
        text, image, video: models of a modality; None where nobody looks at it, and a post that
            has it counts as one that failed to decode.
        thresholds: by policy, the probability from which a post is taken to violate it.
        version: of the artifact that it was loaded from.
    """

    fusion: Fusion
    text: TextModel | None
    image: ImageModel | None
    video: VideoModel | None
    thresholds: Mapping[str, float]
    version: str | None = None

    @property
    def policies(self) -> tuple[str, ...]:
        """Names, in the order of the answer's columns."""
        return self.fusion.policies

    def log_odds(self, posts: Sequence[PostInputs]) -> Floats:
        """Calibrated log-odds (n, policies) that a post violates each policy."""
        batch = batch_of(posts)
        return self.fusion.answer(
            answers_of(batch, self.text, self.image, self.video),
            batch.presence,
            self.fusion.encoded([post.attributes for post in posts]),
        )

    def save(self, directory: Path | str, record: TrainingRecord) -> Manifest:
        """Write the artifact: safetensors and JSON; see `write_artifact`."""
        features = PolicyFeatures(self.policies)
        parts = {"text": self.text, "image": self.image, "video": self.video}
        has = [name for name, part in parts.items() if part is not None]
        files: Files = {_ABOUT: json_bytes({"modalities": has})} | self.fusion.files()
        for model in parts.values():
            files |= model.files() if model is not None else {}
        return write_artifact(
            directory,
            record,
            system=SYSTEM,
            feature_set_digest=features.digest,
            feature_names=features.names,
            files=files,
            thresholds=self.thresholds,
        )


def answers_of(
    batch: Batch, text: TextModel | None, image: ImageModel | None, video: VideoModel | None
) -> dict[str, ModalityAnswer]:
    """What the models say of a batch: by modality, a row for each post."""
    count = len(batch)
    answers: dict[str, ModalityAnswer] = {}
    if text is not None:
        answers["text"] = text.answer(batch.texts).spread(batch.text_rows, count)
    if image is not None:
        answers["image"] = image.answer(batch.images).pooled(batch.image_rows, count)
    if video is not None:
        answers["video"] = video.answer(batch.clips).spread(batch.clip_rows, count)
    return answers


def load_model(
    directory: Path | str,
    policies: Sequence[str] | None = None,
    runtime: Runtime | None = None,
) -> ModerationModel:
    """A verified artifact as a model.

    Args:
        directory: of the artifact.
        policies: that are enforced; None takes those that the model knows. A model may know more
            than are enforced, never fewer.
        runtime: where answers are computed.

    Raises:
        ArtifactError: it is damaged, of another system, or lacks a policy; the message names it.
    """
    artifact = open_artifact(directory)
    require_policies(artifact, policies or ())
    runtime = runtime or Runtime()
    has = modalities_of(artifact)
    return ModerationModel(
        fusion=read_part(artifact, Fusion.read, runtime),
        text=read_part(artifact, TextModel.read, runtime) if "text" in has else None,
        image=read_part(artifact, ImageModel.read, runtime) if "image" in has else None,
        video=read_part(artifact, VideoModel.read, runtime) if "video" in has else None,
        thresholds=dict(artifact.manifest.thresholds),
        version=artifact.manifest.version,
    )


def load_text(directory: Path | str, runtime: Runtime | None = None) -> TextModel:
    """The model of texts alone.

    Raises:
        ArtifactError: the artifact is damaged, or has none.
    """
    return read_part(_having(directory, "text"), TextModel.read, runtime or Runtime())


def load_image(directory: Path | str, runtime: Runtime | None = None) -> ImageModel:
    """The model of images alone; see `load_text`."""
    return read_part(_having(directory, "image"), ImageModel.read, runtime or Runtime())


def load_video(directory: Path | str, runtime: Runtime | None = None) -> VideoModel:
    """The model of clips alone; see `load_text`."""
    return read_part(_having(directory, "video"), VideoModel.read, runtime or Runtime())


def open_artifact(directory: Path | str) -> Artifact:
    """A verified artifact of this system.

    Raises:
        ArtifactError: it is damaged, or of another system.
    """
    artifact = verify_artifact(directory)
    if artifact.manifest.system != SYSTEM:
        raise ArtifactError(
            f"{directory}: expected a model of {SYSTEM}, got one of {artifact.manifest.system}"
        )
    return artifact


def require_policies(artifact: Artifact, policies: Sequence[str]) -> None:
    """Refuse a model that was not trained for all of these policies.

    Raises:
        ArtifactError: it lacks a policy; the message names it.
    """
    known = artifact.manifest.feature_names
    if lacking := [name for name in policies if name not in known]:
        raise ArtifactError(
            f"{artifact.directory}: no answer for {', '.join(lacking)}; it was trained for "
            f"{', '.join(known)}; train it again with the policies that are enforced"
        )


def read_attributes_of(artifact: Artifact) -> tuple[Attribute, ...]:
    """The attributes of posts that a model reads, without reading the model; () for none.

    Raises:
        ArtifactError: what it says of them cannot be read.
    """
    if ATTRIBUTES_FILE not in artifact.manifest.files:
        return ()
    try:
        return attributes_in(artifact.path(ATTRIBUTES_FILE).read_bytes())
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{artifact.directory}: {ATTRIBUTES_FILE}: {error}") from error


def modalities_of(artifact: Artifact) -> tuple[str, ...]:
    """Which modalities an artifact has models of."""
    metadata = json.loads(artifact.path(_ABOUT).read_bytes())
    return tuple(str(name) for name in metadata["modalities"])


def _having(directory: Path | str, modality: str) -> Artifact:
    artifact = open_artifact(directory)
    if modality not in (has := modalities_of(artifact)):
        raise ArtifactError(
            f"{directory}: it has no model of {modality}, only of {', '.join(has) or 'nothing'}"
        )
    return artifact


def read_part(
    artifact: Artifact, read: Callable[[Reader, Runtime], Part], runtime: Runtime
) -> Part:
    """A part of a model, by the function that reads it.

    Raises:
        ArtifactError: it cannot be read.
    """
    try:
        runtime.start()
        return read(lambda name: artifact.path(name).read_bytes(), runtime)
    except (KeyError, TypeError, ValueError, ModelError) as error:
        raise ArtifactError(f"{artifact.directory}: {type(error).__name__}: {error}") from error


def thresholds_of(log_odds: Floats, targets: Floats, policies: Sequence[str]) -> dict[str, float]:
    """By policy, the probability with the best F1 on held-out posts; 0.5 where nothing is known."""
    thresholds = {}
    probabilities = sigmoid(log_odds)
    for p, name in enumerate(policies):
        is_known = ~np.isnan(targets[:, p])
        thresholds[name] = _best_threshold(probabilities[is_known, p], targets[is_known, p] >= 0.5)
    return thresholds


def _best_threshold(probabilities: Floats, flags: Any) -> float:
    if not 0 < flags.sum() < len(flags):
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    hits = np.cumsum(flags[order])
    f1 = 2.0 * hits / (np.arange(1, len(flags) + 1) + flags.sum())
    # only where the next chance is another one can a threshold lie
    last = np.append(np.diff(probabilities[order]) != 0, True)
    return float(probabilities[order][np.argmax(np.where(last, f1, -1.0))])
