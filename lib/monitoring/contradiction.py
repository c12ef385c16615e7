"""Whether estimates are to be trusted: against a small random review, and as labels ripen.

An estimate rests on the concept staying as it was. What contradicts it is a change of the concept,
however alike the inputs are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.calibration import logit
from lib.monitoring.scored_rows import Codes, Floats, MonitoringError

LEVEL = 0.001
"""Probability at which a review that only had bad luck contradicts an estimate."""
RUN_LENGTH = 1_000.0
"""Windows of a right estimate that pass, in the mean, until one is called wrong."""
_DRAWS = 20_000
_BATCH = 500
_EFFECT = 3.0


def draw_review(probability: Floats, count: int, seed: int) -> Codes:
    """Row numbers for a review that tells most about an estimate, at random.

    Half are drawn evenly, the others by sqrt(p (1 - p)), how uncertain a label is (Neyman,
    JRSS 97, 1934): where positives are rare an even draw has next to none.

    Args:
        probability: (n,) estimated.
        count: of rows, n at most.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    count = min(count, len(probability))
    even = generator.choice(len(probability), (count + 1) // 2, replace=False)
    spread = np.sqrt(probability * (1.0 - probability)) + 1e-9
    spread[even] = 0.0
    others = generator.choice(
        len(probability), count - len(even), replace=False, p=spread / spread.sum()
    )
    return np.sort(np.concatenate([even, others])).astype(np.int64)


@dataclass(frozen=True)
class ReviewCheck:
    """A random review beside the estimate.

    Attributes:
        trusted: False where the review contradicts the estimate.
        rows: reviewed.
        observed: positives among them.
        expected: positives among them by the estimate.
        p_value: probability of a review at least as far off, were the estimate right.
        statement: the same in words.
    """

    trusted: bool
    rows: int
    observed: float
    expected: float
    p_value: float
    statement: str


def check_by_review(
    probability: Floats, label: Floats, *, seed: int, level: float = LEVEL, draws: int = _DRAWS
) -> ReviewCheck:
    """Compare estimated probabilities with what people said of rows drawn at random.

    Two things are compared: how many positives there are, and whether they lie where the estimate
    puts them (Cox, Two further applications of a model for binary regression, Biometrika 45, 1958:
    level and slope). Both are judged at once by draws of labels under the estimate, so that no
    number of rows is too small.

    Args:
        probability: (n,) estimated, of the rows that were reviewed. Which rows are reviewed must
            not depend on their labels; it may on anything that the estimate knows, e.g. the score.
        label: (n,) 0/1 as reviewed.
        seed: of the draws.
        level: below this p-value the estimate is not trusted.
        draws: of labels.

    Raises:
        MonitoringError: no rows, or a label other than 0 and 1.
    """
    if not len(probability) or len(probability) != len(label):
        raise MonitoringError(
            f"label: expected a label for each of {len(probability)} rows, got {len(label)}"
        )
    if not np.isin(label, (0, 1)).all():
        raise MonitoringError("label: expected 0 and 1 of reviewed rows, got others")
    p_value = _p_value(probability, label, seed, draws)
    observed, expected = float(label.sum()), float(probability.sum())
    trusted = p_value >= level
    words = f"reviews of {len(label):,} rows have {observed:g} positives where {expected:.1f} were"
    end = "expected" if trusted else f"expected{_likely(probability, label)}"
    odds = f"p = {p_value:.3f}" if p_value >= 0.001 else "p < .001"
    return ReviewCheck(trusted, len(label), observed, expected, p_value, f"{words} {end} ({odds})")


def _likely(probability: Floats, label: Floats) -> str:
    """How likely the estimate held the positives, which may contradict it at a right number."""
    end = ": the estimate is not trusted"
    if not label.any() or not probability.any():
        return end
    observed = float(np.average(probability, weights=label))
    expected = float(np.average(probability, weights=probability))
    return f", and a mean probability of {observed:.2f} where {expected:.2f} was{end}"


def _p_value(probability: Floats, label: Floats, seed: int, draws: int) -> float:
    """Monte Carlo p-value of the distance of (level, slope) from what the estimate expects."""
    log_odds = logit(probability)
    variance = probability * (1.0 - probability)
    mean = float(np.average(log_odds, weights=np.maximum(variance, 1e-12)))
    directions = np.column_stack([np.ones(len(label)), log_odds - mean])
    spread = directions.T @ (directions * variance[:, None])
    inverse = np.asarray(np.linalg.pinv(spread), dtype=np.float64)
    generator = np.random.default_rng(seed)
    distances = []
    for start in range(0, draws, _BATCH):
        count = min(_BATCH, draws - start)
        drawn = generator.random((count, len(label))) < probability
        distances.append(_distances(drawn - probability, directions, inverse))
    own = _distances((label - probability)[None, :], directions, inverse)[0]
    farther = int((np.concatenate(distances) >= own - 1e-9).sum())
    return (farther + 1.0) / (draws + 1.0)


def _distances(residual: Floats, directions: Floats, inverse: Floats) -> Floats:
    scores = residual @ directions
    return np.asarray(np.einsum("ij,jk,ik->i", scores, inverse, scores))


@dataclass(frozen=True)
class WindowCheck:
    """A window whose labels came, beside its estimate.

    Attributes:
        distance: (what came out - estimate) in standard errors.
        evidence: against the estimates of this and the windows before, 1 is none.
        trusted: False from the window on at which the evidence is overwhelming.
    """

    distance: float
    evidence: float
    trusted: bool


def check_by_outcomes(
    estimated: Sequence[float],
    standard_error: Sequence[float],
    realised: Sequence[float],
    run_length: float = RUN_LENGTH,
) -> list[WindowCheck]:
    """Compare estimates with what came out, window after window.

    Each window's distance in standard errors gives an e-value, the likelihood ratio of distances
    spread three times wider; they are summed up as a Shiryaev-Roberts e-detector, which raises a
    false alarm once in `run_length` windows at most, in the mean, however long one looks: Shin,
    Ramdas and Rinaldo, E-detectors: a nonparametric framework for sequential change detection,
    New England Journal of Statistics in Data Science 2 (2023).

    Args:
        estimated: by window, oldest first.
        standard_error: of each, above 0.
        realised: what came out.
        run_length: windows in the mean until a false alarm.

    Returns:
        A check per window; a window without a number adds no evidence.
    """
    evidence, alarmed, checks = 0.0, False, []
    variance = _EFFECT**2
    for value, error, outcome in zip(estimated, standard_error, realised, strict=True):
        distance = (outcome - value) / error if error > 0 else float("nan")
        if np.isfinite(distance):
            logs = variance * distance**2 / (2.0 * (1.0 + variance))
            ratio = float(np.exp(min(logs, 500.0)) / np.sqrt(1.0 + variance))
            evidence = (evidence + 1.0) * ratio
        alarmed = alarmed or evidence >= run_length
        checks.append(WindowCheck(float(distance), evidence, not alarmed))
    return checks
