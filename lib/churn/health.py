"""Health scores: 0 to 100 from the chance to stay, with five components that people can act on.

A component says how a customer does in one respect beside others of its segment: 50 is the middle,
100 the best, as the mean rank of a few features whose direction is declared here, not learnt. What
is not told has no component.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.churn.target import Floats

COMPONENTS = ("adoption", "engagement", "support", "payment", "sentiment")
MORE_IS_BETTER, LESS_IS_BETTER = 1, -1
MEASURES: dict[str, dict[str, int]] = {
    "adoption": {
        "active_users_30d": MORE_IS_BETTER,
        "seats_active_share": MORE_IS_BETTER,
        "features_used_30d": MORE_IS_BETTER,
        "active_users_kept_share": MORE_IS_BETTER,
    },
    "engagement": {
        "usage_trend_30d": MORE_IS_BETTER,
        "usage_per_seat_30d": MORE_IS_BETTER,
        "active_days_30d": MORE_IS_BETTER,
        "days_since_use": LESS_IS_BETTER,
    },
    "support": {
        "escalated_tickets_90d": LESS_IS_BETTER,
        "open_tickets": LESS_IS_BETTER,
        "resolution_hours_mean_90d": LESS_IS_BETTER,
        "satisfaction_mean_180d": MORE_IS_BETTER,
    },
    "payment": {
        "overdue": LESS_IS_BETTER,
        "failed_payments_90d": LESS_IS_BETTER,
        "late_days_mean_180d": LESS_IS_BETTER,
        "invoice_pace": LESS_IS_BETTER,
    },
    "sentiment": {
        "nps_last": MORE_IS_BETTER,
        "competitor_mention_90d": LESS_IS_BETTER,
        "champion_left_90d": LESS_IS_BETTER,
        "price_complaint_90d": LESS_IS_BETTER,
    },
}
"""What each component is made of, and which way is good."""
_MEASURED = tuple(name for measures in MEASURES.values() for name in measures)
_QUANTILES = np.linspace(0.0, 1.0, 21)
_FEWEST = 20
BANDS = (("red", 15.0), ("amber", 40.0), ("green", 100.0))
"""Where colours end: of training's customers the riskiest 15% are red, the next 25% amber."""


@dataclass(frozen=True)
class HealthReference:
    """What is usual: quantiles of each measure in each segment, and what chances are worth.

    Attributes:
        codes: (s,) segment codes that have a reference of their own; the last row is all others'.
        levels: (s + 1, measures, 21) quantiles from least to most, NaN where too little was told.
        chances: (101,) quantiles of the chance to leave over the training customers.
    """

    codes: Floats
    levels: Floats
    chances: Floats

    def to_arrays(self) -> Mapping[str, NDArray[Any]]:
        """Arrays by name, for safetensors."""
        return {name: np.ascontiguousarray(values) for name, values in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> HealthReference:
        """What `to_arrays` wrote; a missing one is a KeyError that names it."""
        return cls(arrays["codes"], arrays["levels"], arrays["chances"])


def fit_reference(matrix: Floats, names: tuple[str, ...], probabilities: Floats) -> HealthReference:
    """What is usual among customers (rows, features) with their chances (rows,) to leave."""
    segment = matrix[:, names.index("segment_code")]
    segment_codes, count = np.unique(segment[~np.isnan(segment)], return_counts=True)
    codes = segment_codes[count >= _FEWEST]
    measured = matrix[:, [names.index(name) for name in _MEASURED]]
    groups = [measured[segment == code] for code in codes.tolist()]
    levels = np.stack([_levels(group) for group in (*groups, measured)])
    return HealthReference(codes, levels, np.quantile(probabilities, np.linspace(0.0, 1.0, 101)))


def _levels(rows: Floats) -> Floats:
    levels = np.full((rows.shape[1], len(_QUANTILES)), np.nan)
    for column in range(rows.shape[1]):
        values = rows[:, column][~np.isnan(rows[:, column])]
        if len(values) >= _FEWEST:
            levels[column] = np.quantile(values, _QUANTILES)
    return levels


@dataclass(frozen=True)
class Health:
    """A customer's health.

    Attributes:
        score: 0 to 100, 100 times the chance to stay, spread over how customers differ: 50 is the
            median customer of training.
        band: red, amber or green.
        components: 0 to 100 by name, None where nothing is told.
    """

    score: float
    band: str
    components: dict[str, float | None]


def health_of(
    reference: HealthReference, names: tuple[str, ...], row: Floats, probability: float
) -> Health:
    """The health of one customer.

    Args:
        reference: what is usual.
        names: of the features.
        row: (features,) of the customer.
        probability: calibrated, to leave.
    """
    code = row[names.index("segment_code")]
    own = np.flatnonzero(reference.codes == code)
    levels = reference.levels[own[0] if len(own) else -1]
    components = {
        component: _mean_rank(directions, names, row, levels)
        for component, directions in MEASURES.items()
    }
    score = score_of(reference, probability)
    return Health(score, band_of(score), components)


def _mean_rank(
    directions: Mapping[str, int], names: tuple[str, ...], row: Floats, levels: Floats
) -> float | None:
    ranks = []
    for name, direction in directions.items():
        value, line = float(row[names.index(name)]), levels[_MEASURED.index(name)]
        if not np.isnan(value) and not np.isnan(line).any():
            rank = _rank(line, value)
            ranks.append(rank if direction == MORE_IS_BETTER else 100.0 - rank)
    return float(np.mean(ranks)) if ranks else None


def score_of(reference: HealthReference, probability: float) -> float:
    """100 for the customer least likely to leave in training, 0 for the most likely."""
    return 100.0 - _rank(reference.chances, probability)


def probability_of(probabilities: Floats, score: float) -> float:
    """The probability to leave that a score stands for: the inverse of `score_of`.

    Args:
        probabilities: `chances` of a `HealthReference`.
        score: 0 to 100.
    """
    return float(
        np.interp(100.0 - score, np.linspace(0.0, 100.0, len(probabilities)), probabilities)
    )


def band_of(score: float) -> str:
    """The colour of a score."""
    return next(name for name, end in BANDS if score < end or end == BANDS[-1][1])


def _rank(levels: Floats, value: float) -> float:
    """Share of customers below, in percent; those that are equal count half."""
    left, right = (int(np.searchsorted(levels, value, side)) for side in ("left", "right"))
    if right > left:
        return 50.0 * (left + right - 1) / (len(levels) - 1)
    return float(np.interp(value, levels, np.linspace(0.0, 100.0, len(levels))))
