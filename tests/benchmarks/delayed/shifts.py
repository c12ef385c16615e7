"""How inputs of a window are moved, and how a concept is changed."""

from collections.abc import Mapping

import numpy as np

from tests.benchmarks.delayed.deployment import Deployment

KEPT = 0.5
"""Share of a window's payments that a shift keeps, in the mean."""
SHIFTS: Mapping[str, tuple[str, float]] = {
    "none": ("", 0.0),
    "larger amounts": ("amount", 2.0),
    "smaller amounts": ("amount", -2.0),
    "merchants with frauds": ("fraud_streak_by_merchant", 3.0),
    "other scores": ("score", 2.5),
}
"""By name: what is favoured, and how strongly (log-odds from the lowest to the highest rank)."""
MOVED = 0.5
"""Share of the frauds that hide among good payments once the concept has changed."""


def shifted(deployment: Deployment, rows: np.ndarray, shift: str, seed: int) -> np.ndarray:
    """Row numbers that remain of a window's: drawn by rank of a feature, never by label."""
    name, strength = SHIFTS[shift]
    generator = np.random.default_rng(seed)
    values = _values(deployment, rows, name, generator)
    rank = np.argsort(np.argsort(values, kind="stable"), kind="stable") / max(len(rows) - 1, 1)
    odds = np.exp(strength * (rank - 0.5))
    return rows[generator.random(len(rows)) < np.minimum(odds * KEPT / odds.mean(), 1.0)]


def _values(
    deployment: Deployment, rows: np.ndarray, name: str, generator: np.random.Generator
) -> np.ndarray:
    noise = 1e-6 * generator.random(len(rows))
    if name == "score":
        return np.log(deployment.rows.score[rows]) + noise
    if name not in deployment.names:
        return noise
    column = deployment.rows.inputs[rows, deployment.names.index(name)]
    return np.nan_to_num(column.astype(np.float64)) + noise


def with_changed_concept(deployment: Deployment, from_day: int, seed: int) -> np.ndarray:
    """Labels of all rows where from a day on half of the frauds look like good payments.

    Each such fraud changes places with a payment drawn from the same day, so that how many there
    are, the inputs and the scores stay as they were.
    """
    generator = np.random.default_rng(seed)
    label = deployment.rows.label.copy()
    day = deployment.rows.event_time // 86_400_000_000
    for number in np.unique(day[day >= from_day]):
        rows = np.flatnonzero(day == number)
        frauds = rows[label[rows] > 0]
        moved = frauds[generator.random(len(frauds)) < MOVED]
        label[moved] = 0.0
        good = rows[deployment.rows.label[rows] == 0]
        label[generator.choice(good, len(moved), replace=False)] = 1.0
    return label
