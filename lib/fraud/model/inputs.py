"""What both halves of the model read: a float32 matrix in the order of the feature set."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Matrix = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
DAY = 86_400_000_000
_CLIP = 8.0
_HEAVY_TAIL = 10.0


def feature_matrix(table: pa.Table, names: Sequence[str]) -> Matrix:
    """Float32 (rows, features) of a table's columns in the order of `names`; null becomes NaN.

    Raises:
        ValueError: a column is missing or not numeric; the message names it and what came.
    """
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise ValueError(
            f"features: column {missing[0]!r} is missing ({len(missing)} in all: "
            f"{', '.join(missing[:8])}); compute the features again with this version"
        )
    matrix = np.empty((table.num_rows, len(names)), dtype=np.float32)
    for column, name in enumerate(names):
        kind = table.schema.field(name).type
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            raise ValueError(f"features: column {name!r}: expected float64, got {kind}")
        with np.errstate(over="ignore"):
            matrix[:, column] = table[name].cast(pa.float64()).to_numpy()
    return matrix


def known_labels(fraud_from: Floats, fraud_until: Floats, as_of: int) -> Flags:
    """Which payments are known to be fraud at `as_of`: reported by then and not withdrawn by then.

    Args:
        fraud_from: (n,) when a fraud became known, microseconds UTC; NaN = never.
        fraud_until: (n,) when that was withdrawn, microseconds UTC; NaN = never.
        as_of: microseconds UTC.
    """
    with np.errstate(invalid="ignore"):
        return np.asarray((fraud_from <= as_of) & ~(fraud_until <= as_of))


def recency_weights(event_time: npt.NDArray[np.int64], as_of: int, half_life_days: float) -> Floats:
    """Weight of each row, halving with every `half_life_days` before `as_of`; 0 days weighs all 1.

    Args:
        event_time: (n,) microseconds UTC.
        as_of: microseconds UTC, from where age is counted.
        half_life_days: days, 0 or more.
    """
    if half_life_days < 0:
        raise ValueError(f"half_life_days: expected 0 or more days, got {half_life_days}")
    if half_life_days == 0:
        return np.ones(len(event_time))
    age_days = (as_of - event_time) / DAY
    return np.asarray(0.5 ** (np.maximum(age_days, 0.0) / half_life_days))


@dataclass(frozen=True)
class Standardiser:
    """Scales features for the network: tails folded by signed log, then mean 0 and deviation 1.

    Missing becomes 0 (the mean) and switches on an indicator column, one for each feature that was
    missing in training. All arithmetic is float32, as in the served graph.

    Args:
        mean: (features,) float32, after folding.
        scale: (features,) float32, above 0.
        folded: (features,) whether x becomes sign(x) * log(1 + |x|).
        indicators: (k,) places of the features that have an indicator.
    """

    mean: Matrix
    scale: Matrix
    folded: Flags
    indicators: npt.NDArray[np.int64]

    @property
    def width(self) -> int:
        """Columns after `apply`: features and indicators."""
        return len(self.mean) + len(self.indicators)

    def apply(self, matrix: Matrix) -> Matrix:
        """Network inputs (rows, width) of features (rows, features); no NaN remains."""
        unit = np.float32(1.0)
        logs = np.sign(matrix) * np.log(np.abs(matrix) + unit)
        folded = np.where(self.folded, logs, matrix)
        scaled = np.clip((folded - self.mean) / self.scale, -_CLIP, _CLIP)
        filled = np.where(np.isnan(scaled), np.float32(0.0), scaled)
        absent = np.isnan(matrix[:, self.indicators]).astype(np.float32)
        return np.asarray(np.concatenate([filled, absent], axis=1), dtype=np.float32)


def fit_standardiser(matrix: Matrix) -> Standardiser:
    """Mean, scale, folding and indicators from training rows (rows, features).

    A feature is folded when its farthest value lies more than ten deviations from its mean. A
    feature that never varies, or is never there, gets scale 1.
    """
    if not len(matrix):
        raise ValueError("standardiser: expected at least one training row, got none")
    absent = np.isnan(matrix)
    values = np.where(absent, 0.0, matrix).astype(np.float64)
    mean, scale = _moments(values, ~absent)
    distance = np.where(absent, 0.0, np.abs(values - mean)).max(axis=0)
    folded = distance > _HEAVY_TAIL * scale
    values = np.where(folded, np.sign(values) * np.log1p(np.abs(values)), values)
    mean, scale = _moments(values, ~absent)
    return Standardiser(
        mean.astype(np.float32),
        scale.astype(np.float32),
        folded,
        np.flatnonzero(absent.any(axis=0)),
    )


def _moments(values: Floats, there: Flags) -> tuple[Floats, Floats]:
    """Mean and deviation of each column over the rows where it is there."""
    count = np.maximum(there.sum(axis=0), 1)
    mean = np.where(there, values, 0.0).sum(axis=0) / count
    variance = np.where(there, (values - mean) ** 2, 0.0).sum(axis=0) / count
    deviation = np.sqrt(variance)
    return mean, np.where(deviation > 1e-6 * np.maximum(np.abs(mean), 1.0), deviation, 1.0)
