"""Fits fusion on what the modalities' models said of posts that they did not learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lib.calibration import Calibrator, fit_calibrator
from lib.moderation.model.answers import (
    Floats,
    Ints,
    ModalityAnswer,
    ModelError,
    Presence,
)
from lib.moderation.model.fitting import decayed, masked_loss
from lib.moderation.model.fusion import Fusion, FusionNet, fusion_inputs
from lib.moderation.model.guard import Guard, fit_guard
from lib.moderation.model.inputs import Marks
from lib.moderation.model.sizes import FusionSize, Learning
from lib.moderation.model.training import Run
from lib.moderation.post import MODALITIES


@dataclass
class FusionTask:
    """Answers of modalities to be put together, with some hidden at random."""

    module: FusionNet
    embeddings: list[Tensor]
    odds: list[Tensor]
    presence: Marks
    targets: Tensor
    size: FusionSize

    @property
    def lengths(self) -> Ints:
        """All alike."""
        return np.ones(len(self.presence), dtype=np.int64)

    def groups(self, learning: Learning) -> list[dict[str, Any]]:
        """One step for all."""
        return decayed(list(self.module.named_parameters()), learning.rate)

    def loss(self, rows: Ints, rng: np.random.Generator) -> Tensor:
        """Mean loss of posts of which some modalities are hidden."""
        marks = hidden(self.presence[rows], self.size.modality_dropout, rng)
        logits = self.module(
            [one[rows] for one in self.embeddings],
            [one[rows] for one in self.odds],
            torch.from_numpy(marks.astype(np.int64)).to(self.targets.device),
        )
        return masked_loss(logits, self.targets[rows], self.size.learning.smoothing)


def hidden(presence: Marks, share: float, rng: np.random.Generator) -> Marks:
    """Presence with some present modalities hidden, never all of a post.

    Modality dropout: Neverova et al., ModDrop (2016). Hidden ones are shown as failed: the post's
    labels may rest on them, and of what is absent no label does.
    """
    here = presence == Presence.PRESENT
    drop = here & (rng.random(presence.shape) < share)
    whole = here.any(axis=1) & (drop == here).all(axis=1)
    # one of those that were to be hidden stays
    lots = np.where(here, rng.random(presence.shape), -1.0)
    drop[whole, lots[whole].argmax(axis=1)] = False
    return np.where(drop, np.int8(Presence.FAILED), presence).astype(np.int8)


def fit_fusion(
    answers: Mapping[str, ModalityAnswer],
    presence: Marks,
    targets: Floats,
    policies: Sequence[str],
    held: Ints,
    size: FusionSize,
    run: Run,
) -> Fusion:
    """A fusion that is not calibrated yet; see `calibrate`.

    Args:
        answers: by modality, a row for each post; of models that did not learn from these posts.
        presence: (n, modalities).
        targets: (n, policies) within 0 and 1; NaN unknown.
        policies: names.
        held: rows that the guard is fitted on, not learnt from.
        size: of the network.
        run: seed and place.

    Raises:
        ModelError: shapes differ, or nothing is left to learn from.
    """
    learn = np.setdiff1d(np.arange(len(presence)), held)
    if targets.shape != (len(presence), len(policies)) or not len(learn):
        raise ModelError(
            f"fusion: expected targets of shape ({len(presence)}, {len(policies)}) and rows that "
            f"are not held out, got {targets.shape} and {len(learn)} rows"
        )
    widths = tuple(
        answers[name].embeddings.shape[1] if name in answers else 0 for name in MODALITIES
    )
    torch.manual_seed(run.seed)
    net = FusionNet(widths, len(policies), size)
    embeddings, odds = fusion_inputs(answers, presence, widths, len(policies))
    for place, one in enumerate(embeddings):
        _scale(net, place, one[learn][presence[learn, place] == Presence.PRESENT])
    device = run.runtime.device
    task = FusionTask(
        net.to(device),
        [torch.from_numpy(one[learn]).to(device) for one in embeddings],
        [torch.from_numpy(one[learn]).to(device) for one in odds],
        presence[learn],
        torch.from_numpy(targets[learn].astype(np.float32)).to(device),
        size,
    )
    run.fit(task, size.learning)
    none = Calibrator("temperature", (0.0,), (0.0,))
    start = Fusion(
        tuple(policies), size, widths, net, _trusting(len(policies)), (none,) * len(policies),
        run.runtime,
    )  # fmt: skip
    return _guarded(start, answers, presence, targets, held if len(held) else learn)


def calibrate(
    fusion: Fusion,
    answers: Mapping[str, ModalityAnswer],
    presence: Marks,
    targets: Floats,
) -> Fusion:
    """The same fusion with probabilities that mean what they say.

    Args:
        fusion: fitted on other rows than these.
        answers: by modality, a row for each post.
        presence: (n, modalities).
        targets: (n, policies) within 0 and 1; NaN unknown.
    """
    raw = fusion.raw(answers, presence)
    calibrators = []
    for p in range(len(fusion.policies)):
        known = ~np.isnan(targets[:, p])
        if not known.any():
            calibrators.append(Calibrator("temperature", (0.0,), (0.0,)))
            continue
        calibrators.append(fit_calibrator(raw[known, p], targets[known, p] >= 0.5))
    return fusion.calibrated(calibrators)


def _guarded(
    fusion: Fusion,
    answers: Mapping[str, ModalityAnswer],
    presence: Marks,
    targets: Floats,
    held: Ints,
) -> Fusion:
    fused = fusion.unguarded({k: one.take(held) for k, one in answers.items()}, presence[held])
    empty = np.zeros(fused.shape)
    odds = np.stack(
        [answers[name].log_odds[held] if name in answers else empty for name in MODALITIES]
    )
    guard = fit_guard(fused, odds, presence[held], targets[held])
    return Fusion(
        fusion.policies, fusion.size, fusion.widths, fusion.net, guard, fusion.calibrators,
        fusion.runtime,
    )  # fmt: skip


def _trusting(policies: int) -> Guard:
    none = Calibrator("temperature", (0.0,), (0.0,))
    whole = np.ones((2 ** len(MODALITIES), policies))
    return Guard(((none,) * policies,) * len(MODALITIES), whole, np.zeros_like(whole))


def _scale(net: FusionNet, place: int, embeddings: Floats | Any) -> None:
    if len(embeddings) < 2:
        return
    net.get_buffer(f"mean_{place}").copy_(torch.from_numpy(embeddings.mean(axis=0)))
    spread = np.maximum(embeddings.std(axis=0), 1e-4)
    net.get_buffer(f"spread_{place}").copy_(torch.from_numpy(spread))
