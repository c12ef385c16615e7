"""A challenger of posts as its own process loads and asks it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from lib.calibration import sigmoid
from lib.experiment.challenger import Challenger
from lib.feature.attributes import read_attributes
from lib.moderation.model.fitting import Runtime
from lib.moderation.model.fusion_version import (
    FusionModelVersion,
    Payload,
    Preprocessing,
    load_fusion_version,
)
from lib.moderation.model.inputs import PostInputs
from lib.moderation.model.model import load_image, load_text, load_video
from lib.moderation.model.outputs import Floats, ModalityAnswer
from lib.moderation.post import MODALITIES
from lib.moderation.post_attributes import served_difference
from lib.registry import ArtifactError

Scored = tuple[Floats, str]
"""Probabilities (policies,) of a post, and the version that they are of."""
_LOADERS = {"text": load_text, "image": load_image, "video": load_video}


class PostScorer:
    """A version of the model that takes packed posts.

    Args:
        version: fusion and how posts are prepared.
        models: of the modalities that it looks at.
        policies: that are enforced.
    """

    def __init__(
        self, version: FusionModelVersion, models: Mapping[str, Any], policies: Sequence[str]
    ) -> None:
        self._version, self._models, self._policies = version, models, policies

    def answers(self, inputs: Sequence[bytes]) -> list[dict[str, Any]]:
        """`probabilities` by policy, and `score`, the largest of an enforced one, for each post."""
        return [self._answer(packed) for packed in inputs]

    def _answer(self, packed: bytes) -> dict[str, Any]:
        presence, payloads, attributes = msgpack.unpackb(packed)
        answers = {name: self._modality(name, _payload(each)) for name, each in payloads.items()}
        marks, fusion = np.array([presence], dtype=np.int8), self._version.fusion
        fused: Floats = sigmoid(fusion.answer(answers, marks, fusion.encoded([attributes])))[0]
        policies = fusion.policies
        probabilities = dict(zip(policies, fused.tolist(), strict=True))
        score = max(probabilities[name] for name in self._policies)
        return {"score": score, "probabilities": probabilities}

    def _modality(self, name: str, payload: Payload) -> ModalityAnswer:
        model = self._models[name]
        if name == "text":
            answer: ModalityAnswer = model.answer([payload])
        elif name == "video":
            answer = model.answer_frames([payload])
        else:
            owners = np.zeros(len(payload), dtype=np.int64)
            answer = model.answer_squares(payload).pooled(owners, 1)
        return answer


def load(directory: Path, options: Mapping[str, Any]) -> Challenger:
    """See `lib.experiment.challenger.Loader`.

    Args:
        directory: of the artifact.
        options: `policies`, ids of those that are enforced, and `attributes` of the service's
            posts, as `write_attributes` makes them.

    Raises:
        ArtifactError: it cannot be used, or reads other attributes.
    """
    runtime = Runtime(device="cpu", threads=1)
    version = load_fusion_version(directory, tuple(options["policies"]))
    served = read_attributes(options["attributes"])
    if differs := served_difference(version.fusion.attributes, served):
        raise ArtifactError(
            f"{directory.name} reads other attributes of posts than the service takes: {differs}"
        )
    models = {name: _LOADERS[name](directory, runtime) for name in version.views.modalities}
    views = {**asdict(version.views), "modalities": list(version.views.modalities)}
    scorer = PostScorer(version, models, options["policies"])
    return Challenger({"version": version.version, "views": views}, scorer.answers)


def views_of(about: Mapping[str, Any]) -> Preprocessing:
    """How posts are prepared for the challenger."""
    views = about["views"]
    return Preprocessing(**{**views, "modalities": tuple(views["modalities"])})


def pack_post(views: Preprocessing, post: PostInputs) -> bytes:
    """A post as the challenger's models take it, as bytes; scales its media, so it takes a while.

    Args:
        views: see `views_of`.
        post: decoded.
    """
    marks = [int(mark) for mark in post.presence]
    present = dict(zip(MODALITIES, marks, strict=True))
    payloads = {
        name: _packed(views.of(name, post)) for name in views.modalities if present[name] == 1
    }
    packed: bytes = msgpack.packb([marks, payloads, dict(post.attributes)])
    return packed


def score_of(
    policies: Sequence[str], answer: Mapping[str, Any], about: Mapping[str, Any]
) -> Scored:
    """What the challenger says of a post, in the order of `policies`."""
    probabilities = [answer["probabilities"][name] for name in policies]
    return np.array(probabilities, dtype=np.float64), about["version"]


def _packed(payload: Payload) -> Any:
    if isinstance(payload, str):
        return payload
    return [list(payload.shape), np.ascontiguousarray(payload).tobytes()]


def _payload(packed: Any) -> Payload:
    if isinstance(packed, str):
        return packed
    shape, content = packed
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)
