"""Who counts as a customer at a moment, and what leaving means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lib.churn.vocabulary import ChurnError
from lib.feature import DAY

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
NEVER = np.iinfo(np.int64).max
FEWEST_CUSTOMERS = 5
"""Customers who leave, and who stay, that each of training and test needs: one for each fold."""
Means = Literal["notice", "no_invoice", "no_usage"]


@dataclass(frozen=True)
class Target:
    """What is foreseen: whether a customer leaves in `(t + lead, t + lead + window]`.

    A customer who leaves during the lead is no row of that moment: it was too late to act.

    Raises:
        ChurnError: a number that means nothing.
    """

    means: Means = "notice"
    """definition of churn: notice, a churn event; no_invoice or no_usage, none of them in the whole
    window, for customers who had some in the last --active-days"""
    window_days: int = 60
    """length of the prediction window, in days"""
    lead_days: int = 0
    """days between the snapshot time and the begin of the prediction window"""
    active_days: int = 90
    """days before the snapshot time in which a customer must have been active, for no_invoice and
    no_usage"""

    def __post_init__(self) -> None:
        if self.window_days < 1 or self.lead_days < 0 or self.active_days < 1:
            raise ChurnError(
                "window_days and active_days: expected 1 or more, lead_days: 0 or more, got "
                f"{self.window_days}, {self.active_days} and {self.lead_days}"
            )

    @property
    def leavers(self) -> str:
        """What customers who leave are called: those with notice, or who fall silent."""
        return {
            "notice": "customers with notice",
            "no_invoice": "customers who stop being invoiced",
            "no_usage": "customers who stop using the product",
        }[self.means]

    @property
    def reach_us(self) -> int:
        """Microseconds after a moment until its outcome is known."""
        return (self.lead_days + self.window_days) * DAY


@dataclass(frozen=True)
class Leaving:
    """Departures of customers by name, and what shows that they are there.

    Attributes:
        names: customers, sorted.
        starts: by customer, when it was first told of; microseconds.
        notices: by customer, sorted times of notice.
        ends: by customer, of each notice, when the contract ended: that of the notice where nothing
            is told. Whatever is told of a customer before it is no return.
        returns: by customer, sorted times from which the customer was told of anew.
        active: by customer, sorted times of what `Target.means` looks at; empty for notices.
    """

    names: tuple[str, ...]
    starts: Ints
    notices: tuple[Ints, ...]
    ends: tuple[Ints, ...]
    returns: tuple[Ints, ...]
    active: tuple[Ints, ...]


def leaving_of(target: Target, happened: pa.Table) -> Leaving:
    """What a stream of happenings says about who left.

    Args:
        target: what leaving means.
        happened: see `lib.churn.events`; customers of whom nothing was told are left out.
    """
    names, row_times = _by_customer(_where(happened, "told"))
    index = {name: position for position, name in enumerate(names)}
    acts = {"no_invoice": "invoiced", "no_usage": "used"}.get(target.means)
    leaving_rows = _where(happened, "leaving") if target.means == "notice" else None
    notices = _spread(leaving_rows, index)
    return Leaving(
        tuple(names),
        np.array([times[0] for times in row_times], dtype=np.int64),
        notices,
        _ends(leaving_rows, index, notices),
        tuple(row_times),
        _spread(None if acts is None else _where(happened, acts), index),
    )


def _where(happened: pa.Table, column: str) -> pa.Table:
    rows = happened.select(["customer_id", "event_time", "ends_day", column])
    return rows.filter(pc.greater(rows[column], 0))


def labelled(target: Target, leaving: Leaving, at_us: int, until_us: int) -> tuple[Ints, Floats]:
    """Customers of a moment, as places in `leaving.names`, and whether they leave.

    Args:
        target: what leaving means.
        leaving: who left.
        at_us: the moment.
        until_us: up to when it is known who left; later outcomes are NaN.
    """
    first, last = at_us + target.lead_days * DAY, at_us + target.reach_us
    indices: list[int] = []
    labels: list[float] = []
    for index in np.flatnonzero(leaving.starts < at_us).tolist():
        if target.means == "notice":
            notice = _notice_in_force(leaving, index, at_us)
            if notice is None or at_us < notice <= first:
                continue
            label = float(notice <= last)
        else:
            times = leaving.active[index]
            before = np.searchsorted(times, at_us)
            if not before or times[before - 1] < at_us - target.active_days * DAY:
                continue
            first_index, there = np.searchsorted(times, [first, last])
            label = float(first_index == there)
        indices.append(index)
        # a leaver is not told of earlier than a stayer: else late rows would all be leavers
        labels.append(label if last <= until_us else np.nan)
    return np.array(indices, dtype=np.int64), np.array(labels)


def _notice_in_force(leaving: Leaving, index: int, at_us: int) -> int | None:
    """The next notice of someone who is a customer now; None of someone who is not."""
    notices, returns = leaving.notices[index], leaving.returns[index]
    before = int(np.searchsorted(notices, at_us, side="right"))
    if before:
        ended = int(leaving.ends[index][before - 1])
        back = np.searchsorted(returns, [ended, at_us], side="right")
        if back[0] >= back[1]:
            return None
    return int(notices[before]) if before < len(notices) else NEVER


def next_notice(leaving: Leaving, index: int, at_us: int) -> int:
    """When the customer gives notice next; `NEVER` if it does not."""
    notices = leaving.notices[index]
    after = int(np.searchsorted(notices, at_us, side="right"))
    return int(notices[after]) if after < len(notices) else NEVER


def _by_customer(table: pa.Table) -> tuple[list[str], list[Ints]]:
    times = table["event_time"].cast(pa.int64()).to_numpy()
    encoded = table["customer_id"].combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    names = encoded.dictionary.to_pylist()
    order = np.lexsort((times, codes))
    bounds = np.searchsorted(codes[order], np.arange(len(names) + 1))
    parts = [times[order[bounds[k] : bounds[k + 1]]] for k in range(len(names))]
    by_name = sorted(range(len(names)), key=names.__getitem__)
    return [names[k] for k in by_name], [parts[k] for k in by_name]


def _spread(table: pa.Table | None, index: dict[str, int]) -> tuple[Ints, ...]:
    times_by_customer = [np.zeros(0, dtype=np.int64)] * len(index)
    if table is not None and table.num_rows:
        for name, times in zip(*_by_customer(table), strict=True):
            if name in index:
                times_by_customer[index[name]] = times
    return tuple(times_by_customer)


def _ends(
    table: pa.Table | None, index: dict[str, int], notices: tuple[Ints, ...]
) -> tuple[Ints, ...]:
    """The latest end that is told up to each notice, or the notice itself."""
    if table is None or not table.num_rows:
        return notices
    names = table["customer_id"].to_pylist()
    rows = zip(names, table["event_time"].cast(pa.int64()).to_pylist(),
               table["ends_day"].to_pylist(), strict=True)  # fmt: skip
    ends = [times.copy() for times in notices]
    for name, time, day in rows:
        if name in index and day > 0:
            customer = index[name]
            notice_index = np.searchsorted(notices[customer], time)
            ends[customer][notice_index] = max(int(ends[customer][notice_index]), day * DAY)
    return tuple(ends)
