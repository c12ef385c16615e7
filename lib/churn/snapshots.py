"""Customers at as-of moments: what was known of each then, and whether it left afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lib.churn.events import probes
from lib.churn.features import churn_features, untold
from lib.churn.target import NEVER, Floats, Ints, Leaving, Target, labelled, leaving_of, next_notice
from lib.churn.vocabulary import CustomerVocabulary
from lib.contract import TIME
from lib.feature import DAY, compute

OUTCOMES = ("label", "notice_at")


@dataclass(frozen=True)
class Snapshots:
    """Rows of customers at moments.

    Attributes:
        customers: (n,) names.
        at_us: (n,) moments, microseconds UTC.
        matrix: (n, features) float64, NaN where missing.
        names: of the features.
        labels: (n,) 1.0 left, 0.0 stayed, NaN not known yet.
        notice_us: (n,) when the customer gives notice next; `NEVER` where none is known.
    """

    customers: NDArray[np.str_]
    at_us: Ints
    matrix: Floats
    names: tuple[str, ...]
    labels: Floats
    notice_us: Ints

    def __len__(self) -> int:
        return len(self.at_us)

    def take(self, rows: NDArray[np.bool_] | Ints) -> Snapshots:
        """Some of the rows."""
        return Snapshots(
            self.customers[rows],
            self.at_us[rows],
            self.matrix[rows],
            self.names,
            self.labels[rows],
            self.notice_us[rows],
        )

    def column(self, name: str) -> Floats:
        """One feature."""
        return self.matrix[:, self.names.index(name)]

    def known(self) -> Snapshots:
        """Rows whose outcome is known."""
        return self.take(~np.isnan(self.labels))

    @classmethod
    def joined(cls, parts: Sequence[Snapshots]) -> Snapshots:
        """All rows of several."""
        return cls(
            np.concatenate([part.customers for part in parts]),
            np.concatenate([part.at_us for part in parts]),
            np.concatenate([part.matrix for part in parts]),
            parts[0].names,
            np.concatenate([part.labels for part in parts]),
            np.concatenate([part.notice_us for part in parts]),
        )


def snapshots(
    happened: pa.Table,
    base: CustomerVocabulary,
    moments: Sequence[int],
    target: Target,
    until_us: int,
) -> Snapshots:
    """Rows of every customer who is there, at each moment.

    Args:
        happened: a stream of happenings with all rows of its customers.
        base: vocabularies.
        moments: microseconds UTC.
        target: what leaving means.
        until_us: up to when it is known who left.
    """
    leaving = leaving_of(target, happened)
    parts = [(at, *labelled(target, leaving, at, until_us)) for at in moments]
    indices = np.concatenate([np.zeros(0, dtype=np.int64), *(part[1] for part in parts)])
    times = np.array(moments, dtype=np.int64)
    at_us = np.repeat(times, [len(part[1]) for part in parts])
    names = [leaving.names[index] for index in indices.tolist()]
    return Snapshots(
        np.array(names, dtype=np.str_),
        at_us,
        features_at(base, happened, names, at_us),
        churn_features(base).names,
        np.concatenate([np.zeros(0), *(part[2] for part in parts)]),
        _notices(leaving, indices, at_us),
    )


def features_at(
    base: CustomerVocabulary, happened: pa.Table, names: list[str], at_us: Ints
) -> Floats:
    """Features (rows, features) of customers as of moments, from a stream of happenings.

    Whatever became known at a moment or later is out of its row's reach.
    """
    features, probe_events = churn_features(base), probes(names, at_us)
    table = compute(features, pa.concat_tables([happened, probe_events]))
    rows = table.slice(happened.num_rows)
    lost = set(untold(base))
    missing = np.full(len(names), np.nan)
    return np.column_stack(
        [missing if name in lost else rows[name].to_numpy() for name in features.names]
    )


def _notices(leaving: Leaving, indices: Ints, at_us: Ints) -> Ints:
    pairs = zip(indices.tolist(), at_us.tolist(), strict=True)
    return np.array([next_notice(leaving, index, at) for index, at in pairs], dtype=np.int64)


def moments_between(first_us: int, last_us: int, every_days: int) -> list[int]:
    """Midnights UTC, `every_days` apart, the last one the newest within the span."""
    last = last_us // DAY * DAY
    count = (last - first_us) // (every_days * DAY)
    return [last - number * every_days * DAY for number in range(count, -1, -1)]


def to_table(rows: Snapshots) -> pa.Table:
    """Rows as a table: `customer_id`, `as_of`, features, `label`, `notice_at`."""
    notice = pa.array(rows.notice_us, mask=rows.notice_us == NEVER).cast(TIME)
    columns = {
        "customer_id": pa.array(rows.customers.tolist(), pa.string()),
        "as_of": pa.array(rows.at_us).cast(TIME),
        **{name: pa.array(rows.matrix[:, k]) for k, name in enumerate(rows.names)},
        "label": pa.array(rows.labels, mask=np.isnan(rows.labels)),
        "notice_at": notice,
    }
    return pa.table(columns)


def from_table(table: pa.Table, names: Sequence[str]) -> Snapshots:
    """The rows that `to_table` wrote, by customer and moment."""
    table = table.sort_by([("as_of", "ascending"), ("customer_id", "ascending")])
    notice = pc.fill_null(table["notice_at"].cast(pa.int64()), NEVER)
    return Snapshots(
        np.array(table["customer_id"].to_pylist(), dtype=np.str_),
        table["as_of"].cast(pa.int64()).to_numpy(),
        np.column_stack([table[name].to_numpy() for name in names]),
        tuple(names),
        pc.fill_null(table["label"], float("nan")).to_numpy(),
        notice.to_numpy(),
    )
