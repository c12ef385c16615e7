"""Count, over a table of labelled payments, what each rule hits; tallies of parts add up.

Labels are three-valued: fraud, good, or not known (null). Payments without a label are counted
apart and never as good. Amounts are summed as integers (minor units), so the order of the parts
does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.rules.problems import RowError
from lib.rules.ruleset import RuleSet

Counts = npt.NDArray[np.int64]

LABEL, AMOUNT, TIME = "is_fraud", "amount_minor", "event_time"
"""Columns a labelled payment has beside its features: bool or 0/1 or null; minor units; UTC."""
KINDS = ("fraud", "good", "unlabelled")
DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Tally:
    """Counts of one table or of several.

    Attributes:
        totals: [2, 3]: payments and their value in minor units, by KINDS.
        hits: [rules, 2, 3]: the same among the payments each rule hits.
        decided: [rules, 2, 3]: the same among those where the rule decides: it is active and no
            active rule before it hits.
        overlap: [rules, rules]: payments that both rules hit, whatever their status.
        daily: hits per rule [rules] by UTC day (days since 1970).
    """

    totals: Counts
    hits: Counts
    decided: Counts
    overlap: Counts
    daily: dict[int, Counts]

    def __add__(self, other: Tally) -> Tally:
        """Return the tally of both parts together."""
        daily = dict(self.daily)
        for day, counts in other.daily.items():
            daily[day] = daily[day] + counts if day in daily else counts
        return Tally(
            self.totals + other.totals,
            self.hits + other.hits,
            self.decided + other.decided,
            self.overlap + other.overlap,
            daily,
        )

    def to_arrow(self) -> pa.Table:
        """Return the tally as one row of lists, small enough to send from every block."""
        days = sorted(self.daily)
        per_day = [self.daily[day] for day in days]
        parts = {
            "totals": self.totals, "hits": self.hits, "decided": self.decided,
            "overlap": self.overlap, "days": np.array(days, np.int64),
            "daily": np.array(per_day, np.int64),
        }  # fmt: skip
        kind = pa.list_(pa.int64())
        return pa.table({name: pa.array([part.ravel()], kind) for name, part in parts.items()})

    @classmethod
    def from_arrow(cls, rows: pa.Table, rules: int) -> Tally:
        """Add up rows made by `to_arrow` for so many rules."""
        tally = empty_tally(rules)
        for row in rows.to_pylist():
            daily = np.array(row["daily"], np.int64).reshape(-1, rules)
            tally = tally + cls(
                np.array(row["totals"], np.int64).reshape(2, 3),
                np.array(row["hits"], np.int64).reshape(rules, 2, 3),
                np.array(row["decided"], np.int64).reshape(rules, 2, 3),
                np.array(row["overlap"], np.int64).reshape(rules, rules),
                dict(zip(row["days"], daily, strict=True)),
            )
        return tally


def empty_tally(rules: int) -> Tally:
    """Return the tally of no payments under so many rules."""
    per_rule = (rules, 2, 3)
    return Tally(
        np.zeros((2, 3), np.int64),
        np.zeros(per_rule, np.int64),
        np.zeros(per_rule, np.int64),
        np.zeros((rules, rules), np.int64),
        daily={},
    )


def tally_columns(rules: RuleSet) -> tuple[str, ...]:
    """Return the columns that `tally` reads, in a fixed order."""
    read = frozenset[str]().union(*(rule.fields for rule in rules.rules))
    return (LABEL, AMOUNT, TIME, *sorted(read - {LABEL, AMOUNT, TIME}))


def tally(rules: RuleSet, table: pa.Table) -> Tally:
    """Count what every rule hits, off and shadow rules included.

    Args:
        rules: R rules.
        table: the columns of `tally_columns`.

    Raises:
        RowError: a column is absent or holds another type, or an amount or a time is missing.
    """
    hits = rules.evaluate_table(table)
    fired = np.column_stack([hits.column(name).to_numpy() for name in hits.column_names])
    active = np.array([rule.status == "active" for rule in rules.rules])
    first = fired & active
    first &= np.cumsum(first, axis=1) == 1
    weights = _weights(table)
    some = fired.any(axis=1)
    fired, first, kept = fired[some].astype(np.int64), first[some].astype(np.int64), weights[some]
    days, day_index = np.unique(_days(table), return_inverse=True)
    daily = np.zeros((len(days), fired.shape[1]), np.int64)
    np.add.at(daily, day_index[some], fired)
    return Tally(
        weights.sum(axis=0),
        np.tensordot(fired, kept, axes=(0, 0)),
        np.tensordot(first, kept, axes=(0, 0)),
        fired.T @ fired,
        dict(zip(days.tolist(), daily, strict=True)),
    )


def _weights(table: pa.Table) -> Counts:
    """Return [rows, 2, 3]: one and the amount, in the column of the payment's kind."""
    label = _label(table)
    amount = _whole_numbers(table, AMOUNT)
    kinds = np.stack([label == 1, label == 0, label < 0], axis=1).astype(np.int64)
    return np.stack([kinds, kinds * amount[:, None]], axis=1)


def _label(table: pa.Table) -> Counts:
    column = _column(table, LABEL)
    if not (pa.types.is_boolean(column.type) or pa.types.is_integer(column.type)):
        raise RowError(f"column {LABEL!r}: bool or 0/1 is expected, got type {column.type}")
    label: Counts = pc.fill_null(column.cast(pa.int64()), -1).to_numpy()
    if label.size and (label.max() > 1 or label.min() < -1):
        raise RowError(f"column {LABEL!r}: 0, 1 or null is expected, got {label.max()}")
    return label


def _days(table: pa.Table) -> Counts:
    if pa.types.is_timestamp(_column(table, TIME).type):
        moments = _column(table, TIME).cast(pa.timestamp("us"), safe=False)
        table = pa.table({TIME: moments.cast(pa.int64())})
    return _whole_numbers(table, TIME) // DAY_US


def _whole_numbers(table: pa.Table, name: str) -> Counts:
    column = _column(table, name)
    if not pa.types.is_integer(column.type):
        raise RowError(f"column {name!r}: whole numbers are expected, got type {column.type}")
    if column.null_count:
        raise RowError(f"column {name!r}: {column.null_count} rows hold null; leave them out")
    numbers: Counts = column.cast(pa.int64()).to_numpy()
    return numbers


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise RowError(f"column {name!r} is absent from the table")
    return table.column(name)
