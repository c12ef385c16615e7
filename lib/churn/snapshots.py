"""Customers at as-of moments: what was known of each then, and whether it left afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lib.churn.events import probes
from lib.churn.features import churn_features, untold
from lib.churn.target import NEVER, Floats, Ints, Target
from lib.churn.vocabulary import CustomerVocabulary
from lib.contract import TIME
from lib.feature import DAY, compute


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
        columns = ("customers", "at_us", "matrix", "labels", "notice_us")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})

    def column(self, name: str) -> Floats:
        """One feature."""
        return self.matrix[:, self.names.index(name)]

    def known(self) -> Snapshots:
        """Rows whose outcome is known."""
        return self.take(~np.isnan(self.labels))

    def known_at(self, time_us: int, reach_us: int) -> Snapshots:
        """Rows whose outcome, known `reach_us` after its moment, was known at a time."""
        return self.take(self.at_us + reach_us <= time_us)


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
        moments: microseconds UTC, rising.
        target: what leaving means.
        until_us: up to when it is known who left.
    """
    rows = _labelled(target, happened, moments, until_us)
    names, at_us = rows["customer_id"].tolist(), rows["at"].to_numpy()
    return Snapshots(
        np.array(names, dtype=np.str_),
        at_us,
        features_at(base, happened, names, at_us),
        churn_features(base).names,
        rows["label"].to_numpy(),
        rows["notice"].to_numpy(),
    )


def _labelled(
    target: Target, happened: pa.Table, moments: Sequence[int], until_us: int
) -> pd.DataFrame:
    """Customers at moments, and whether they leave.

    Returns `customer_id`, `at`, `label` and `notice` by moment and name; customers of whom nothing
    was told are left out.
    """
    customers = happened.filter(pc.greater(happened["told"], 0))["customer_id"]
    names = pc.unique(customers).sort()
    listed = _events(happened, "told", names)
    starts = listed.groupby("customer")["time"].min().sort_index().to_numpy()
    present = [np.flatnonzero(starts < at) for at in moments]
    at_us = np.repeat(np.array(moments, dtype=np.int64), [len(places) for places in present])
    rows = pd.DataFrame(
        {"at": at_us, "customer": np.concatenate([np.zeros(0, dtype=np.int64), *present])}
    )
    rows["first"], last = rows["at"] + target.lead_days * DAY, rows["at"] + target.reach_us
    if target.means == "notice":
        rows["notice"] = _next_notices(rows, listed, _events(happened, "leaving", names))
        is_row = rows["notice"] > rows["first"]
        leaves = rows["notice"] <= last
    else:
        acts = _events(happened, "invoiced" if target.means == "no_invoice" else "used", names)
        rows["notice"] = NEVER
        newest = _nearest(rows, "at", acts, "time", exact=False)
        is_row = newest >= rows["at"] - target.active_days * DAY
        leaves = ~(_nearest(rows, "first", acts, "time", direction="forward") < last)
    # a leaver is not told of earlier than a stayer: else late rows would all be leavers
    rows["label"] = leaves.astype(np.float64).where(last <= until_us)
    rows["customer_id"] = names.take(pa.array(rows["customer"])).to_pylist()
    return rows[is_row]


def _next_notices(rows: pd.DataFrame, listed: pd.DataFrame, notices: pd.DataFrame) -> Ints:
    """When each customer gives notice next; its moment for one who is no customer then.

    Whatever is told of a customer before the contract ended is no return.
    """
    notices = notices.groupby(["time", "customer"], as_index=False)["ends"].max()
    ended = _nearest(rows, "at", notices, "ends")
    is_customer = ended.isna() | (_nearest(rows, "at", listed, "time") > ended)
    following = _nearest(rows, "at", notices, "time", direction="forward", exact=False)
    times = np.where(following.isna(), NEVER, following.fillna(0).astype(np.int64))
    return np.where(is_customer, times, rows["at"])


def _events(happened: pa.Table, column: str, names: pa.Array) -> pd.DataFrame:
    """`customer` (place in the names), `time`, and `ends` of the contract, not before it."""
    rows = happened.filter(pc.greater(happened[column], 0))
    time = rows["event_time"].cast(pa.int64()).to_numpy()
    places = pc.fill_null(pc.index_in(rows["customer_id"], value_set=names), -1)
    frame = pd.DataFrame(
        {
            "customer": places.to_numpy().astype(np.int64),
            "time": time,
            "ends": np.maximum(time, rows["ends_day"].to_numpy() * DAY),
        }
    )
    return frame[frame["customer"] >= 0].sort_values("time", kind="stable")


def _nearest(
    rows: pd.DataFrame,
    key: str,
    events: pd.DataFrame,
    column: str,
    direction: Literal["backward", "forward"] = "backward",
    exact: bool = True,
) -> pd.Series:
    """A column of each customer's event before or after the time in `key`; NaN without one."""
    merged = pd.merge_asof(
        rows[[key, "customer"]], events[["time", "customer", "ends"]], left_on=key,
        right_on="time", by="customer", direction=direction, allow_exact_matches=exact,
    )  # fmt: skip
    return merged[column]


def features_at(
    base: CustomerVocabulary, happened: pa.Table, names: list[str], at_us: Ints
) -> Floats:
    """Features (rows, features) of customers as of moments, from a stream of happenings.

    Whatever became known at a moment or later is out of its row's reach.
    """
    features, probe_events = churn_features(base), probes(names, at_us, base)
    table = compute(features, pa.concat_tables([happened, probe_events]))
    rows = table.slice(happened.num_rows)
    lost = set(untold(base))
    missing = np.full(len(names), np.nan)
    return np.column_stack(
        [missing if name in lost else rows[name].to_numpy() for name in features.names]
    )


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
