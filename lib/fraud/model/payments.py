"""Payments with their features and facts, ready to be cut by time and labelled."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lib.fraud.model.inputs import Flags, Floats, Matrix, feature_matrix, known_labels
from lib.fraud.model.sample import Sample
from lib.fraud.model.time_split import Slice

FACTS = ("event_time", "user_id", "amount_minor", "fraud_from", "fraud_until")
"""Columns of the contract that training reads beside the features."""


@dataclass(frozen=True)
class Payments:
    """Payments in order of time; all arrays have one entry for each.

    Args:
        matrix: (n, features) float32.
        event_time: microseconds UTC.
        user: code of the user, the same for the same user.
        amount_minor: minor units.
        fraud_from: when known as fraud, microseconds UTC, NaN = never.
        fraud_until: when withdrawn, microseconds UTC, NaN = never.
    """

    matrix: Matrix
    event_time: npt.NDArray[np.int64]
    user: npt.NDArray[np.int64]
    amount_minor: Floats
    fraud_from: Floats
    fraud_until: Floats

    def __len__(self) -> int:
        return len(self.event_time)

    def within(self, span: Slice) -> "Payments":
        """The payments of a slice, as views."""
        first, last = np.searchsorted(self.event_time, [span.start, span.end])
        cut = slice(int(first), int(last))
        return Payments(**{column.name: getattr(self, column.name)[cut] for column in fields(self)})

    def labels(self, as_of: int) -> Flags:
        """Known frauds at `as_of`, microseconds UTC."""
        return known_labels(self.fraud_from, self.fraud_until, as_of)

    def sample(self, span: Slice, weights: Floats | None = None) -> Sample:
        """Rows of a slice to fit on, labelled as its `as_of` allows, of weight 1 unless given."""
        rows = self.within(span)
        weight = np.ones(len(rows)) if weights is None else weights
        return Sample(rows.matrix, rows.labels(span.as_of), weight)

    def known_until(self) -> int | None:
        """When the newest fact about a label became known, microseconds UTC; None without facts."""
        times = np.concatenate([self.fraud_from, self.fraud_until])
        times = times[np.isfinite(times)]
        return int(times.max()) if len(times) else None


def read_payments(table: pa.Table, names: Sequence[str]) -> Payments:
    """Payments of a features table, sorted by time.

    Args:
        table: columns of `FACTS` (times as timestamps in UTC) and one number column per feature.
        names: of the features, in order.

    Raises:
        ValueError: no rows, or a column is missing or of another type; the message names it.
    """
    if missing := [name for name in FACTS if name not in table.column_names]:
        raise ValueError(
            f"features: column {missing[0]!r} is missing; expected the output of "
            "`python -m jobs.fraud.features`, which keeps the columns of the transactions contract"
        )
    if not table.num_rows:
        raise ValueError("features: no payments; expected at least some days of them")
    table = table.sort_by([("event_time", "ascending")])
    users = table["user_id"].combine_chunks()
    return Payments(
        matrix=feature_matrix(table, names),
        event_time=_times(table, "event_time").astype(np.int64),
        user=np.asarray(users.dictionary_encode().indices, dtype=np.int64),
        amount_minor=np.asarray(table["amount_minor"].cast(pa.float64())),
        fraud_from=_times(table, "fraud_from"),
        fraud_until=_times(table, "fraud_until"),
    )


def _times(table: pa.Table, name: str) -> Floats:
    """Microseconds UTC as float64, exact up to the year 2255; null becomes NaN."""
    column = table[name]
    if pa.types.is_null(column.type):
        return np.full(table.num_rows, np.nan)
    if not pa.types.is_timestamp(column.type):
        raise ValueError(
            f"features: column {name!r}: expected timestamp[us, UTC], got {column.type}"
        )
    microseconds = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    return np.asarray(microseconds.cast(pa.float64()).to_numpy(), dtype=np.float64)
