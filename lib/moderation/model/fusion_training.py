"""Fits fusion on what the modalities' models said of posts that they did not learn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lib.calibration import Calibrator, Method, choose_method, fit_calibrator
from lib.moderation.model.attribute_training import AttributeSamples, fit_attribute_layer
from lib.moderation.model.fallback_gate import SingleModalityGate, fit_guard
from lib.moderation.model.fitting import AlikeRows, decayed, masked_loss
from lib.moderation.model.fusion import Fusion, FusionNet, fusion_inputs, stacked_odds
from lib.moderation.model.inputs import Marks
from lib.moderation.model.model_config import FusionSize, TrainingConfig
from lib.moderation.model.outputs import (
    Floats,
    Ints,
    ModalityAnswer,
    ModelError,
    Presence,
)
from lib.moderation.model.training import Run
from lib.moderation.post import MODALITIES

_METHODS: tuple[Method, ...] = ("temperature", "platt", "isotonic")
_AS_IT_IS = Calibrator("temperature", (0.0,), (0.0,))


@dataclass
class FusionTask(AlikeRows):
    """Answers of modalities to be put together, with some hidden at random."""

    module: FusionNet
    embeddings: list[Tensor]
    odds: list[Tensor]
    presence: Marks
    targets: Tensor
    size: FusionSize

    def groups(self, learning: TrainingConfig) -> list[dict[str, Any]]:
        """One step for all."""
        return decayed(list(self.module.named_parameters()), learning.rate)

    def loss(self, rows: Ints, rng: np.random.Generator) -> Tensor:
        """Mean loss of posts of which some modalities are hidden."""
        marks = hidden(self.presence[rows], self.size.modality_dropout, rng)
        logits = self.module(
            [embedding[rows] for embedding in self.embeddings],
            [log_odds[rows] for log_odds in self.odds],
            torch.from_numpy(marks.astype(np.int64)).to(self.targets.device),
        )
        return masked_loss(logits, self.targets[rows], self.size.learning.smoothing)


def hidden(presence: Marks, share: float, rng: np.random.Generator) -> Marks:
    """Presence with some present modalities hidden, never all of a post.

    Modality dropout: Neverova et al., ModDrop (2016). Hidden ones are shown as failed: the post's
    labels may rest on them, and of what is absent no label does.
    """
    is_present = presence == Presence.PRESENT
    drop = is_present & (rng.random(presence.shape) < share)
    all_hidden = is_present.any(axis=1) & (drop == is_present).all(axis=1)
    # one of those that were to be hidden stays
    lots = np.where(is_present, rng.random(presence.shape), -1.0)
    drop[all_hidden, lots[all_hidden].argmax(axis=1)] = False
    return np.where(drop, np.int8(Presence.FAILED), presence).astype(np.int8)


@dataclass(frozen=True)
class Fused:
    """A fusion and what it is worth on the posts that it was fitted on.

    Attributes:
        fusion: its network learnt from all posts.
        log_odds: (n, policies) calibrated, of each post by a network that did not learn from it.
    """

    fusion: Fusion
    log_odds: Floats


def fit_fusion(
    answers: Mapping[str, ModalityAnswer],
    presence: Marks,
    targets: Floats,
    policies: Sequence[str],
    folds: Ints,
    size: FusionSize,
    run: Run,
    samples: AttributeSamples | None = None,
) -> Fused:
    """A fusion, guarded and calibrated, by cross-fitting.

    A network for each fold learns from the others; guard and calibration are fitted on what these
    say of the posts they did not learn from, so that every post serves both. The network that is
    kept learns from all posts. The same is done in Platt, Probabilistic outputs for support vector
    machines (1999), section 2.1.

    Args:
        answers: by modality, a row for each post; of models that did not learn from these posts.
        presence: (n, modalities).
        targets: (n, policies) within 0 and 1; NaN unknown.
        policies: names.
        folds: (n,) of at least two; posts that belong together are in one.
        size: of the network.
        run: seed and place; each fold's network is a member of it.
        samples: attributes of the posts; None where there are none. They are fitted on top of what
            all else comes to, which is the same with and without them.

    Raises:
        ModelError: shapes differ, or there are fewer than two folds.
    """
    names = np.unique(folds)
    if targets.shape != (len(presence), len(policies)) or len(folds) != len(presence):
        raise ModelError(
            f"fusion: expected targets of shape ({len(presence)}, {len(policies)}) and as many "
            f"folds, got {targets.shape} and {len(folds)}"
        )
    if len(names) < 2:
        raise ModelError(f"fusion: expected posts of at least two folds, got {len(names)}")
    posts = _Posts(answers, presence, targets, tuple(policies))
    fused = np.zeros(targets.shape)
    for number, name in enumerate(names.tolist()):
        inside = np.flatnonzero(folds == name)
        learnt = posts.network(np.flatnonzero(folds != name), size, run.member(number))
        fused[inside] = learnt.unguarded(_some(answers, inside), presence[inside])
    fusion = posts.network(np.arange(len(presence)), size, run.member(len(names)))
    odds = stacked_odds(answers, targets.shape)
    guard = fit_guard(fused, odds, presence, targets)
    raw = guard.apply(fused, odds, presence)
    calibrators = tuple(_calibrator(raw[:, p], targets[:, p], folds) for p in range(len(policies)))
    columns = [calibrator.log_odds(raw[:, p]) for p, calibrator in enumerate(calibrators)]
    kept = replace(fusion, guard=guard, calibrators=calibrators)
    fitted = Fused(kept, np.stack(columns, axis=1))
    if samples is None:
        return fitted
    own = fit_attribute_layer(samples, fitted.log_odds, targets, folds, run.seed, _calibrator)
    return Fused(replace(kept, layer=own.layer), own.log_odds)


@dataclass(frozen=True)
class _Posts:
    """What there is to learn from."""

    answers: Mapping[str, ModalityAnswer]
    presence: Marks
    targets: Floats
    policies: tuple[str, ...]

    def network(self, rows: Ints, size: FusionSize, run: Run) -> Fusion:
        """A network that learnt from some rows; neither guarded nor calibrated."""
        answers, presence = _some(self.answers, rows), self.presence[rows]
        widths = tuple(
            answers[name].embeddings.shape[1] if name in answers else 0 for name in MODALITIES
        )
        torch.manual_seed(run.seed)
        net = FusionNet(widths, len(self.policies), size)
        embeddings, odds = fusion_inputs(answers, presence, widths, len(self.policies))
        for index, matrix in enumerate(embeddings):
            _scale(net, index, matrix[presence[:, index] == Presence.PRESENT])
        device = run.runtime.device
        task = FusionTask(
            net.to(device),
            [torch.from_numpy(embedding).to(device) for embedding in embeddings],
            [torch.from_numpy(log_odds).to(device) for log_odds in odds],
            presence,
            torch.from_numpy(self.targets[rows].astype(np.float32)).to(device),
            size,
        )
        run.fit(task, size.learning)
        count = len(self.policies)
        return Fusion(
            self.policies, size, widths, net, _trusting(count), (_AS_IT_IS,) * count, run.runtime
        )


def _calibrator(raw: Floats, targets: Floats, folds: Ints) -> Calibrator:
    """The method that tells other folds best, of those for which there are violations enough."""
    is_known = ~np.isnan(targets)
    raw, flags, folds = raw[is_known], targets[is_known] >= 0.5, folds[is_known]
    if not 0 < flags.sum() < len(flags):
        return _AS_IT_IS
    names = np.unique(folds).tolist()
    if len(names) < 2:
        return fit_calibrator(raw, flags)
    most = _METHODS.index(choose_method(int(flags.sum())))
    losses = {}
    for method in _METHODS[: most + 1]:
        log_odds = np.empty(len(raw))
        for name in names:
            inside = folds == name
            fitted = fit_calibrator(raw[~inside], flags[~inside], method)
            log_odds[inside] = fitted.log_odds(raw[inside])
        losses[method] = float(np.mean(np.logaddexp(0.0, log_odds) - flags * log_odds))
    return fit_calibrator(raw, flags, min(losses, key=losses.__getitem__))


def _some(answers: Mapping[str, ModalityAnswer], rows: Ints) -> dict[str, ModalityAnswer]:
    return {name: answer.take(rows) for name, answer in answers.items()}


def _trusting(policies: int) -> SingleModalityGate:
    shares = np.ones((2 ** len(MODALITIES), policies))
    return SingleModalityGate(
        ((_AS_IT_IS,) * policies,) * len(MODALITIES), shares, np.zeros_like(shares)
    )


def _scale(net: FusionNet, index: int, embeddings: Floats | Any) -> None:
    if len(embeddings) < 2:
        return
    net.get_buffer(f"mean_{index}").copy_(torch.from_numpy(embeddings.mean(axis=0)))
    spread = np.maximum(embeddings.std(axis=0), 1e-4)
    net.get_buffer(f"spread_{index}").copy_(torch.from_numpy(spread))
