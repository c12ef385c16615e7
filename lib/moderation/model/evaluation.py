"""What a model is worth on posts that nothing learnt from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.calibration import expected_calibration_error, sigmoid
from lib.evaluation import average_precision, bootstrap_interval
from lib.moderation.model.fallback_gate import pattern_name, patterns
from lib.moderation.model.inputs import Marks
from lib.moderation.model.outputs import Floats, Ints, ModalityAnswer, Presence
from lib.moderation.post import MODALITIES

# fewer posts or violations of a kind than this say nothing of a pattern
_LEAST_ROWS, _LEAST_OF_A_KIND = 50, 10
_BINS = 10


@dataclass(frozen=True)
class Comparison:
    """Fusion beside the best single modality on posts of one pattern, for one policy.

    Attributes:
        pattern, policy: which; posts, violations: how many.
        fused, best_single: average precision.
        modality: which the best single one is.
        difference, low, high: fused less best, with its interval over groups of posts.
    """

    pattern: str
    policy: str
    posts: int
    violations: int
    fused: float
    best_single: float
    modality: str
    difference: float
    low: float
    high: float


def compare(
    fused: Floats,
    answers: Mapping[str, ModalityAnswer],
    presence: Marks,
    targets: Floats,
    policies: Sequence[str],
    seed: int,
    repeats: int = 300,
    groups: Ints | None = None,
    turns: Ints | None = None,
) -> list[Comparison]:
    """Every pattern and policy with enough posts of both outcomes.

    The single modality is chosen on the same posts, which favours it.

    Args:
        fused: (n, policies) log-odds or probabilities.
        answers: by modality, a row for each post.
        presence: (n, modalities).
        targets: (n, policies) 0 or 1; NaN unknown.
        policies: names.
        seed: of the draws.
        repeats: draws of groups.
        groups: (n, policies) posts that stand or fall together are drawn together, e.g. those with
            one picture; None gives every post its own.
        turns: (n,) of cross-validation, in each of which another model answered; precision is the
            mean over turns, since scores of different models are not to be ranked together: Forman
            and Scholz, Apples-to-apples in cross-validation studies (2010).
    """
    turn = np.zeros(len(targets), dtype=np.int64) if turns is None else turns
    count = len(targets)
    own = np.tile(np.arange(count)[:, None], len(policies)) if groups is None else groups
    comparisons = []
    pattern = patterns(presence)
    for pattern_code in range(1, 2 ** len(MODALITIES)):
        names = [name for k, name in enumerate(MODALITIES) if pattern_code >> k & 1]
        for p, policy in enumerate(policies):
            rows = np.flatnonzero((pattern == pattern_code) & ~np.isnan(targets[:, p]))
            flags = targets[rows, p] >= 0.5
            violations = int(flags.sum())
            if (
                len(rows) < _LEAST_ROWS
                or min(violations, len(rows) - violations) < _LEAST_OF_A_KIND
            ):
                continue
            scores = {name: answers[name].log_odds[rows, p] for name in names}
            cell = _Cell(flags, turn[rows], own[rows, p], seed, repeats)
            comparisons.append(
                cell.compared(pattern_name(pattern_code), policy, fused[rows, p], scores)
            )
    return comparisons


@dataclass(frozen=True)
class _Cell:
    """Posts of one pattern, by one policy."""

    flags: NDArray[np.bool_]
    turns: Ints
    groups: Ints
    seed: int
    repeats: int

    def compared(
        self, pattern: str, policy: str, fused: Floats, scores: Mapping[str, Floats]
    ) -> Comparison:
        all_rows = np.arange(len(self.flags))
        single = {name: self._precision(score, all_rows) for name, score in scores.items()}
        best = max(single, key=single.__getitem__)

        def difference(draw: Ints) -> float:
            return self._precision(fused, draw) - self._precision(scores[best], draw)

        gain = bootstrap_interval(difference, self.groups, self.seed, self.repeats)
        return Comparison(
            pattern=pattern,
            policy=policy,
            posts=len(self.flags),
            violations=int(self.flags.sum()),
            fused=self._precision(fused, all_rows),
            best_single=single[best],
            modality=best,
            difference=gain.value,
            low=gain.low,
            high=gain.high,
        )

    def _precision(self, scores: Floats, rows: Ints) -> float:
        """Mean average precision over turns with posts of both outcomes."""
        precisions = []
        for turn in np.unique(self.turns[rows]).tolist():
            inside = rows[self.turns[rows] == turn]
            if 0 < self.flags[inside].sum() < len(inside):
                precisions.append(average_precision(self.flags[inside], scores[inside]))
        if not precisions:
            raise ValueError("no turn with posts of both outcomes")
        return float(np.mean(precisions))


def known_outcomes(
    log_odds: Floats, targets: Floats, policies: Iterable[str]
) -> Iterator[tuple[str, NDArray[np.bool_], Floats]]:
    """Name of each policy, and outcomes and probabilities of the posts where they are known."""
    for p, policy in enumerate(policies):
        is_known = ~np.isnan(targets[:, p])
        if is_known.any():
            yield policy, targets[is_known, p] >= 0.5, sigmoid(log_odds[is_known, p])


def calibration_errors(
    log_odds: Floats, targets: Floats, policies: Iterable[str]
) -> dict[str, float]:
    """Expected calibration error by policy, where outcomes are known."""
    return {
        policy: expected_calibration_error(flags, probabilities, _BINS)
        for policy, flags, probabilities in known_outcomes(log_odds, targets, policies)
    }


def risk_coverage(log_odds: Floats, targets: Floats) -> tuple[Floats, NDArray[np.float64]]:
    """Coverage and accuracy of automatic decisions when the most doubtful posts go to people.

    A decision is right when every policy's is; a post is as doubtful as its most doubtful policy.
    El-Yaniv and Wiener, On the foundations of noise-free selective classification (2010).

    Args:
        log_odds: (n, policies) calibrated.
        targets: (n, policies) 0 or 1; unknown ones (NaN) cannot be wrong.

    Returns:
        coverage: (n,) from 1 / n to 1.
        accuracy: (n,) of the posts decided automatically at that coverage.
    """
    wrong = ((log_odds >= 0.0) != (targets >= 0.5)) & ~np.isnan(targets)
    sure = np.abs(log_odds).min(axis=1)
    order = np.argsort(-sure, kind="stable")
    right = ~wrong.any(axis=1)[order]
    count = np.arange(1, len(order) + 1)
    return count / len(order), np.cumsum(right) / count


def accuracy_at(log_odds: Floats, targets: Floats, coverage: float) -> float:
    """Accuracy of automatic decisions when this share of posts is decided automatically."""
    covered, accuracy = risk_coverage(log_odds, targets)
    index = int(np.searchsorted(covered, coverage - 1e-9))
    return float(accuracy[min(index, len(accuracy) - 1)])


def by_pattern(
    log_odds: Floats, presence: Marks, targets: Floats, policies: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Calibration errors by pattern of modalities, where there are enough posts."""
    pattern = patterns(presence)
    errors = {}
    for pattern_code in np.unique(pattern).tolist():
        rows = pattern == pattern_code
        if rows.sum() >= _LEAST_ROWS:
            errors[pattern_name(pattern_code)] = calibration_errors(
                log_odds[rows], targets[rows], policies
            )
    return errors


def precision_recall(
    log_odds: Floats, targets: Floats, thresholds: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """By policy: average precision, and precision and recall at its threshold.

    Policies whose outcomes are of one kind only are left out.
    """
    metrics = {}
    for policy, flags, probabilities in known_outcomes(log_odds, targets, thresholds):
        if not 0 < flags.sum() < len(flags):
            continue
        flagged = probabilities >= thresholds[policy]
        hits = float((flagged & flags).sum())
        metrics[policy] = {
            "average_precision": average_precision(flags, probabilities),
            "precision": hits / max(float(flagged.sum()), 1.0),
            "recall": hits / float(flags.sum()),
            "prevalence": float(flags.mean()),
        }
    return metrics


def failed_share(presence: Marks) -> float:
    """Share of posts of which something failed to decode."""
    return float((presence == Presence.FAILED).any(axis=1).mean())
