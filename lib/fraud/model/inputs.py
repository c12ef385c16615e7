"""What both halves of the model read: a float32 matrix in the order of the feature set."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Matrix = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
DAY = 86_400_000_000
_CLIP = 8.0
_LARGEST = float(np.finfo(np.float32).max)
_HEAVY_TAIL = 10.0
_VARIES = 1e-6
_ROWS_AT_A_TIME = 2_048


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
        matrix[:, column] = as_inputs(table[name].cast(pa.float64()).to_numpy())
    return matrix


def as_inputs(values: npt.ArrayLike) -> Matrix:
    """Features as the model reads them: float32, those beyond its range as its largest number."""
    limited = np.clip(np.asarray(values, dtype=np.float64), -_LARGEST, _LARGEST)
    return np.asarray(limited, dtype=np.float32)


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
        inputs = np.empty((len(matrix), self.width), dtype=np.float32)
        for rows in _pieces(len(matrix)):
            self._fill(matrix[rows], inputs[rows])
        return inputs

    def _fill(self, rows: Matrix, inputs: Matrix) -> None:
        features = inputs[:, : len(self.mean)]
        features[:] = rows
        tails = rows[:, self.folded]
        features[:, self.folded] = np.sign(tails) * np.log(np.abs(tails) + np.float32(1.0))
        features -= self.mean
        features /= self.scale
        np.clip(features, -_CLIP, _CLIP, out=features)
        features[np.isnan(features)] = 0.0
        inputs[:, len(self.mean) :] = np.isnan(rows[:, self.indicators])


def fit_standardiser(matrix: Matrix) -> Standardiser:
    """Mean, scale, folding and indicators from training rows (rows, features).

    A feature is folded when its farthest value lies more than ten deviations from its mean. A
    feature that never varies, or is never there, gets scale 1.
    """
    if not len(matrix):
        raise ValueError("standardiser: expected at least one training row, got none")
    moments = _moments(matrix)
    folded = moments.farthest > _HEAVY_TAIL * moments.deviation
    mean, scale = moments.mean.copy(), moments.deviation.copy()
    if folded.any():
        tails = _moments(matrix, folded)
        mean[folded], scale[folded] = tails.mean, tails.deviation
    absent = np.flatnonzero(moments.count < len(matrix))
    return Standardiser(mean.astype(np.float32), scale.astype(np.float32), folded, absent)


@dataclass(frozen=True)
class _Moments:
    """Of each column (features,), over the rows where it is there.

    Attributes:
        count: of those rows.
        mean: of the values; 0 without any.
        deviation: of the values; 1 where they do not vary.
        farthest: largest distance of a value from the mean.
    """

    count: npt.NDArray[np.int64]
    mean: Floats
    deviation: Floats
    farthest: Floats


def _moments(matrix: Matrix, folded: Flags | None = None) -> _Moments:
    """Of all columns, or of the `folded` ones after folding; a few rows at a time."""

    def pieces() -> Iterator[tuple[Floats, Flags]]:
        for rows in _pieces(len(matrix)):
            part = matrix[rows] if folded is None else matrix[rows][:, folded]
            values = part.astype(np.float64)
            if folded is not None:
                values = np.sign(values) * np.log1p(np.abs(values))
            yield values, ~np.isnan(values)

    count, total = np.int64(0), np.float64(0.0)
    for values, there in pieces():
        count = count + there.sum(axis=0)
        total = total + np.where(there, values, 0.0).sum(axis=0)
    mean = total / np.maximum(count, 1)
    squares, farthest = np.zeros_like(mean), np.zeros_like(mean)
    for values, there in pieces():
        distance = np.where(there, values - mean, 0.0)
        squares += np.square(distance).sum(axis=0)
        farthest = np.maximum(farthest, np.abs(distance).max(axis=0))
    deviation = np.sqrt(squares / np.maximum(count, 1))
    varies = deviation > _VARIES * np.maximum(np.abs(mean), 1.0)
    return _Moments(np.asarray(count), mean, np.where(varies, deviation, 1.0), farthest)


def _pieces(rows: int) -> Iterator[slice]:
    """Rows in pieces that stay in the processor's cache."""
    return (slice(first, first + _ROWS_AT_A_TIME) for first in range(0, rows, _ROWS_AT_A_TIME))
