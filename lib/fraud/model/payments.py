"""Payments with their features and facts, ready to be cut by time and labelled."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lib.fraud.model.inputs import Flags, Floats, Matrix, feature_matrix, known_labels
from lib.fraud.model.sample import Sample
from lib.fraud.model.time_split import Slice

_ROWS_AT_A_TIME = 16_384
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


def read_payments(parts: Iterable[pa.RecordBatch], names: Sequence[str], count: int) -> Payments:
    """Payments with features, sorted by time; only what is kept of each part stays in memory.

    Args:
        parts: of a table with the columns of `FACTS` (times as timestamps in UTC) and one number
            column per feature.
        names: of the features, in order.
        count: rows of all parts together.

    Raises:
        ValueError: no rows, or a column is missing or of another type; the message names it.
    """
    matrix = np.empty((count, len(names)), dtype=np.float32)
    facts: list[pa.Table] = []
    first = 0
    for part in parts:
        table = pa.Table.from_batches([part])
        _refuse_missing(table)
        for start in range(0, len(table), _ROWS_AT_A_TIME):
            some = table.slice(start, _ROWS_AT_A_TIME)
            matrix[first : first + len(some)] = feature_matrix(some, names)
            first += len(some)
        facts.append(table.select(FACTS))
    if not first:
        raise ValueError("features: no payments; expected at least some days of them")
    if first != count:
        raise ValueError(f"features: {count:,} payments are there, and {first:,} were read")
    return _in_order(matrix, pa.concat_tables(facts, promote_options="permissive"))


def _refuse_missing(table: pa.Table) -> None:
    if missing := [name for name in FACTS if name not in table.column_names]:
        raise ValueError(
            f"features: column {missing[0]!r} is missing; expected the output of "
            "`python -m jobs.fraud.features`, which keeps the columns of the transactions contract"
        )


def _in_order(matrix: Matrix, facts: pa.Table) -> Payments:
    """Payments by time; those of one time stay in the order they came in."""
    times = _times(facts, "event_time").astype(np.int64)
    users = facts["user_id"].combine_chunks()
    payments = Payments(
        matrix=matrix,
        event_time=times,
        user=np.asarray(users.dictionary_encode().indices, dtype=np.int64),
        amount_minor=np.asarray(facts["amount_minor"].cast(pa.float64())),
        fraud_from=_times(facts, "fraud_from"),
        fraud_until=_times(facts, "fraud_until"),
    )
    if (times[1:] >= times[:-1]).all():
        return payments
    order = np.argsort(times, kind="stable")
    return Payments(**{part.name: getattr(payments, part.name)[order] for part in fields(Payments)})


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
