"""All modalities of a post as one answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lib.calibration import Calibrator
from lib.feature.attribute_values import AttributeValue
from lib.feature.attributes import Attribute
from lib.moderation.model.attribute_layer import AttributeLayer
from lib.moderation.model.fallback_gate import SingleModalityGate
from lib.moderation.model.fitting import Runtime
from lib.moderation.model.inputs import Marks
from lib.moderation.model.model_config import FusionSize, stored_size
from lib.moderation.model.outputs import Floats, ModalityAnswer, ModelError, Presence, Singles
from lib.moderation.model.serialization import (
    Files,
    Reader,
    check_sizes,
    json_bytes,
    module_bytes,
    read_module,
)
from lib.moderation.post import MODALITIES

_ABOUT, _WEIGHTS = "fusion.json", "fusion.safetensors"
_STATES = len(Presence)
_WIDEST = 10.0


class FusionNet(nn.Module):
    """The modalities' own log-odds, weighted, and what only their combination tells.

    A modality that is absent is a learnt vector, and one that failed to decode another one. The
    part for combinations starts at zero, so that training starts from the sum of what each
    modality says.
    """

    def __init__(self, widths: Sequence[int], policies: int, size: FusionSize) -> None:
        super().__init__()
        for index, width in enumerate(widths):
            self.register_buffer(f"mean_{index}", torch.zeros(width))
            self.register_buffer(f"spread_{index}", torch.ones(width))
        self.inward = nn.ModuleList(
            nn.Linear(width + policies, size.width) if width else nn.Identity() for width in widths
        )
        self.missing = nn.Parameter(0.1 * torch.randn(len(widths), _STATES, size.width))
        self.dropout = nn.Dropout(size.dropout)
        self.weights = nn.Parameter(torch.ones(len(widths), policies))
        self.offsets = nn.Linear(len(widths) * _STATES, policies)
        self.body = nn.Sequential(
            nn.ReLU(),
            nn.Dropout(size.dropout),
            nn.Linear(len(widths) * size.width, size.hidden),
            nn.ReLU(),
            nn.Dropout(size.dropout),
        )
        self.head = nn.Linear(size.hidden, policies)
        for layer in (self.offsets, self.head):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self, embeddings: Sequence[Tensor], log_odds: Sequence[Tensor], presence: Tensor
    ) -> Tensor:
        """Log-odds (n, policies).

        Args:
            embeddings: by modality (n, width); rows without it are not looked at.
            log_odds: by modality (n, policies).
            presence: (n, modalities) int64, see `Presence`.
        """
        is_present = presence == Presence.PRESENT
        direct = self.offsets(nn.functional.one_hot(presence, _STATES).flatten(1).float())
        states = []
        for index, layer in enumerate(self.inward):
            mask = is_present[:, index, None]
            state = self.missing[index][presence[:, index]]
            if not isinstance(layer, nn.Identity):
                mean, spread = self.get_buffer(f"mean_{index}"), self.get_buffer(f"spread_{index}")
                scaled = ((embeddings[index] - mean) / spread).clamp(-5.0, 5.0)
                odds = log_odds[index].clamp(-_WIDEST, _WIDEST)
                inward = layer(torch.cat([self.dropout(scaled), odds / 4.0], dim=1))
                state = torch.where(mask, inward, state)
                direct = direct + mask * self.weights[index] * odds
            states.append(state)
        logits: Tensor = direct + self.head(self.body(torch.cat(states, dim=1)))
        return logits


@dataclass(frozen=True)
class Fusion:
    """A fitted fusion.

    Attributes:
        policies: names, in the order of log-odds.
        size: what it was built from.
        widths: of the embeddings by modality; 0 where there is no model of it.
        net: the network.
        guard: keeps the answer from being worse than the best single modality.
        calibrators: by policy, from raw log-odds to calibrated ones.
        runtime: where answers are computed.
        layer: what attributes of posts add; None where the model reads none, and then all else is
            as if there were no attributes.
    """

    policies: tuple[str, ...]
    size: FusionSize
    widths: tuple[int, ...]
    net: FusionNet
    guard: SingleModalityGate
    calibrators: tuple[Calibrator, ...]
    runtime: Runtime
    layer: AttributeLayer | None = None

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """That the model reads beside the modalities, frozen."""
        return () if self.layer is None else self.layer.attributes

    def encoded(self, values: Sequence[Mapping[str, AttributeValue]]) -> Floats | None:
        """Features (n, attributes) of posts with these attributes; None where none are read."""
        return None if self.layer is None else self.layer.encoded(values)

    def answer(
        self,
        answers: Mapping[str, ModalityAnswer],
        presence: Marks,
        features: Floats | None = None,
    ) -> Floats:
        """Calibrated log-odds (n, policies) of n posts.

        Args:
            answers: by modality, a row for each post (see `ModalityAnswer.spread` and `pooled`);
                rows of posts without that modality are not looked at.
            presence: (n, modalities), see `Presence`. A modality that no model looks at counts as
                failed: something is there that nobody has seen.
            features: (n, attributes), see `encoded`; needed where the model reads attributes.

        Raises:
            ModelError: rows differ, or a present modality has no answer.
        """
        if self.layer is None:
            return self.without_attributes(answers, presence)
        spoken = self.without_attributes(answers, presence)
        return self.layer.answer(spoken, self._rows_of(features, presence))

    def without_attributes(self, answers: Mapping[str, ModalityAnswer], presence: Marks) -> Floats:
        """Calibrated log-odds (n, policies) of the modalities alone: the model without a layer."""
        raw = self.raw(answers, presence)
        columns = [calibrator.log_odds(raw[:, p]) for p, calibrator in enumerate(self.calibrators)]
        return np.stack(columns, axis=1) if columns else raw

    def attribute_contributions(
        self,
        answers: Mapping[str, ModalityAnswer],
        presence: Marks,
        features: Floats | None,
    ) -> tuple[Floats, dict[str, Floats]]:
        """What all attributes add (n, policies), and what each does beside the others.

        The answer less the one with them at their average in training.
        """
        if self.layer is None:
            return np.zeros((len(presence), len(self.policies))), {}
        spoken = self.without_attributes(answers, presence)
        rows = self._rows_of(features, presence)
        return self.layer.contribution(spoken, rows), self.layer.contributions(spoken, rows)

    def raw(self, answers: Mapping[str, ModalityAnswer], presence: Marks) -> Floats:
        """Log-odds (n, policies) before calibration."""
        marks = self._usable_presence(presence)
        fused = self.unguarded(answers, marks)
        return self.guard.apply(fused, stacked_odds(answers, fused.shape), marks)

    def unguarded(self, answers: Mapping[str, ModalityAnswer], presence: Marks) -> Floats:
        """Log-odds (n, policies) of the network alone."""
        marks = self._usable_presence(presence)
        embeddings, odds = fusion_inputs(answers, marks, self.widths, len(self.policies))
        device = self.runtime.device
        self.net.eval()
        with torch.inference_mode():
            logits = self.net(
                [torch.from_numpy(embedding).to(device) for embedding in embeddings],
                [torch.from_numpy(log_odds).to(device) for log_odds in odds],
                torch.from_numpy(marks.astype(np.int64)).to(device),
            )
        return np.asarray(logits.double().cpu().numpy())

    def files(self) -> Files:
        """All that `read` needs."""
        about: dict[str, Any] = {
            "policies": list(self.policies),
            "size": asdict(self.size),
            "widths": list(self.widths),
            "guard": self.guard.to_json(),
            "calibrators": [calibrator.to_json() for calibrator in self.calibrators],
        }
        files = {_WEIGHTS: module_bytes(self.net)}
        if self.layer is not None:
            about["attributes"] = True
            files |= self.layer.files()
        return {_ABOUT: json_bytes(about)} | files

    @classmethod
    def read(cls, reader: Reader, runtime: Runtime) -> Fusion:
        """As `files` stored it."""
        about = json.loads(reader(_ABOUT))
        check_sizes([about["size"], about["widths"]], _ABOUT)
        size = stored_size(FusionSize, about["size"])
        policies = tuple(map(str, about["policies"]))
        widths = tuple(int(width) for width in about["widths"])
        net = read_module(
            lambda: FusionNet(widths, len(policies), size), reader(_WEIGHTS), _WEIGHTS
        )
        return cls(
            policies=policies,
            size=size,
            widths=widths,
            net=net.to(runtime.device).eval(),
            guard=SingleModalityGate.from_json(about["guard"]),
            calibrators=tuple(Calibrator.from_json(entry) for entry in about["calibrators"]),
            runtime=runtime,
            layer=AttributeLayer.read(reader, len(policies)) if about.get("attributes") else None,
        )

    def _rows_of(self, features: Floats | None, presence: Marks) -> Floats:
        """Features, one row for each post."""
        if features is None or len(features) != len(presence):
            count = "none" if features is None else f"{len(features)}"
            raise ModelError(f"attributes: expected those of {len(presence)} posts, got {count}")
        return features

    def _usable_presence(self, presence: Marks) -> Marks:
        """Presence, with what no model looks at as failed."""
        if presence.ndim != 2 or presence.shape[1] != len(MODALITIES):
            raise ModelError(
                f"presence: expected shape (posts, {len(MODALITIES)}), got {presence.shape}"
            )
        return unseen_as_failed(presence, [width == 0 for width in self.widths])


def stacked_odds(answers: Mapping[str, ModalityAnswer], shape: tuple[int, ...]) -> Floats:
    """(modalities, n, policies) log-odds of each modality alone; 0 of one without answers."""
    empty = np.zeros(shape)
    return np.stack([answers[name].log_odds if name in answers else empty for name in MODALITIES])


def unseen_as_failed(presence: Marks, blind: Sequence[bool]) -> Marks:
    """Presence in which what no model looks at counts as failed: something nobody has seen.

    Args:
        presence: (n, modalities).
        blind: (modalities,) whether nothing looks at it.
    """
    unseen = (presence == Presence.PRESENT) & np.array(blind)
    return np.where(unseen, np.int8(Presence.FAILED), presence).astype(np.int8)


def fusion_inputs(
    answers: Mapping[str, ModalityAnswer], presence: Marks, widths: Sequence[int], policies: int
) -> tuple[list[Singles], list[Singles]]:
    """Embeddings and log-odds by modality, zeros where a modality is not present.

    Raises:
        ModelError: shapes differ, or a present modality has no answer; the message names it.
    """
    embeddings, odds = [], []
    for index, (name, width) in enumerate(zip(MODALITIES, widths, strict=True)):
        is_present = presence[:, index] == Presence.PRESENT
        if name not in answers or not width:
            if is_present.any():
                raise ModelError(
                    f"{name}: {int(is_present.sum())} posts have it, but no answer came"
                )
            embeddings.append(np.zeros((len(presence), width), dtype=np.float32))
            odds.append(np.zeros((len(presence), policies), dtype=np.float32))
            continue
        answer = answers[name]
        expected = (len(presence), width), (len(presence), policies)
        if (answer.embeddings.shape, answer.log_odds.shape) != expected:
            raise ModelError(
                f"{name}: expected embeddings and log-odds of shapes {expected}, got "
                f"{answer.embeddings.shape} and {answer.log_odds.shape}"
            )
        embeddings.append(np.where(is_present[:, None], answer.embeddings, np.float32(0.0)))
        odds.append(np.where(is_present[:, None], answer.log_odds, 0.0).astype(np.float32))
    return embeddings, odds
