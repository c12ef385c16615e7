"""The offline primitive: sums over the events that are active as each event is processed.

Sort events by key and, within a key, by processing order. Every earlier event is *active* for one
run of later positions `[enter, leave)`: it enters right after itself (or when a fact about it
becomes known) and leaves when the window's far edge, which never moves back, has passed it. So a
window sum at a position is what has entered by then minus what has left: two prefix sums. Sums are
integers, so the order of addition does not matter and no rounding is involved.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lib.feature.windows import Window

Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Active:
    """Which events count at which positions.

    `events` are positions of the events that ever count; event `events[j]` counts at the positions
    `enter[j] <= i < leave[j]`.
    """

    events: Ints
    enter: Ints
    leave: Ints
    size: int

    def totals(self, values: Ints) -> Ints:
        """The sum of `values` (one per position) over the active events, at every position."""
        mine = values if len(self.events) == self.size else values[self.events]
        entered, left = self._entered, self._left
        return _prefix_sums(mine, entered[0])[entered[1]] - _prefix_sums(mine, left[0])[left[1]]

    def counts(self) -> Ints:
        """How many events are active at every position."""
        return self._entered[1] - self._left[1]

    @cached_property
    def _entered(self) -> tuple[Ints | None, Ints]:
        return _arrivals(self.enter, self.size)

    @cached_property
    def _left(self) -> tuple[Ints | None, Ints]:
        return _arrivals(self.leave, self.size)


def _arrivals(at: Ints, size: int) -> tuple[Ints | None, Ints]:
    """The order in which events arrive (None: as they are), and how many have by each position."""
    order = None if np.all(at[1:] >= at[:-1]) else np.argsort(at, kind="stable")
    by = np.cumsum(np.bincount(at[at < size], minlength=size)) if len(at) else np.zeros(size, int)
    return order, by.astype(np.int64, copy=False)


def _prefix_sums(values: Ints, order: Ints | None) -> Ints:
    sums = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(values if order is None else values[order], out=sums[1:])
    return sums


class Sweep:
    """Events of a table, sorted by key and, within a key, by processing order.

    Args:
        codes: int64 (n,), one code per key value, in global processing order; -1 where the key is
            missing (such events belong to no key and are left out).
        times: int64 (n,), event time in microseconds, in global processing order.
    """

    def __init__(self, codes: Ints, times: Ints) -> None:
        order = np.argsort(codes, kind="stable")
        self.rows: Ints = order[np.searchsorted(codes[order], 0) :]
        self.size = len(self.rows)
        self.total_rows = len(codes)
        self.codes: Ints = codes[self.rows]
        self.times: Ints = times[self.rows]
        self.positions: Ints = np.arange(self.size, dtype=np.int64)

    @cached_property
    def in_time(self) -> bool:
        """Whether no event of any key is late."""
        late = (self.times[1:] < self.times[:-1]) & (self.codes[1:] == self.codes[:-1])
        return not late.any()

    @cached_property
    def clock(self) -> Ints:
        """A key's latest event time so far: its clock never runs backwards for a late event."""
        return self.times if self.in_time else self._running_latest(self.codes)

    @cached_property
    def _by_time(self) -> Ints:
        """Positions such that, within a key, event times do not decrease."""
        return self.positions if self.in_time else np.argsort(self.times, kind="stable")

    def _running_latest(self, codes: Ints) -> Ints:
        """Running maximum of event time within runs of equal `codes`, which must be sorted."""
        by_time = np.argsort(self.times, kind="stable")
        rank = np.empty_like(by_time)
        rank[by_time] = self.positions
        run = np.maximum.accumulate(codes * self.size + rank) - codes * self.size
        return self.times[by_time[run]]

    def _first(self, edges: Ints, tiles: Ints) -> Ints:
        """For each event, the first position of its key whose edge tile is past the event's tile.

        `edges` must not decrease within a key. Where no edge is past it: one past the key's end.
        """
        low = int(min(edges.min(), tiles.min()))
        width = int(max(edges.max(), tiles.max())) - low + 1
        base = self.codes * width - low
        return np.searchsorted(base + edges, base + tiles, side="right")

    def active(self, window: Window | None, tiles_of: Ints | None = None) -> Active:
        """When each event counts in a window. `tiles_of` overrides the events' own tiles."""
        after = self.positions + 1
        if window is None or not self.size:
            return Active(self.positions, after, self._key_ends, self.size)
        tiles = self.times // window.hop if tiles_of is None else tiles_of
        leave = np.maximum(after, self._first(window.first_tile(self.clock), tiles))
        enter = after
        if window.behind:
            enter = np.maximum(after, self._first(window.end_tile(self.clock), tiles))
        return Active(self.positions, enter, leave, self.size)

    @cached_property
    def _key_ends(self) -> Ints:
        """One past the last position of each event's key."""
        starts = np.flatnonzero(np.diff(self.codes, prepend=-1))
        lengths = np.diff(starts, append=self.size)
        return np.repeat(starts + lengths, lengths)

    def known(self, active: Active, known: Ints, until: Ints) -> Active:
        """Only while a fact is known: from one global row (inclusive) until another.

        Args:
            active: when the events count by window alone.
            known: int64 (n,), by global row: the first global row at which the fact is known; n
                where it never is.
            until: likewise, the first global row at which it is withdrawn.
        """
        chosen = np.flatnonzero(known[self.rows] < self.total_rows)
        enter = np.maximum(active.enter[chosen], self._position_of(chosen, known))
        leave = np.minimum(active.leave[chosen], self._position_of(chosen, until))
        return Active(chosen, enter, np.maximum(enter, leave), self.size)

    def _position_of(self, chosen: Ints, global_rows: Ints) -> Ints:
        """The first position of each chosen event's key at or after a global row."""
        width = self.total_rows + 1
        wanted = self.codes[chosen] * width + global_rows[self.rows[chosen]]
        return np.searchsorted(self.codes * width + self.rows, wanted, side="left")

    def distinct(self, of: Ints, window: Window) -> Ints:
        """How many different codes `of` (by global row; -1 is none) are active per position.

        Each event stands for its pair from right after itself until right after the pair's next
        event; should that one be late, the pair keeps its latest tile.
        """
        pair = of[self.rows]
        width = int(pair.max(initial=0)) + 1
        joint = np.where(pair < 0, -1, self.codes * width + pair)
        order = np.argsort(joint, kind="stable")
        order = order[np.searchsorted(joint[order], 0) :]
        if not len(order):
            return np.zeros(self.size, dtype=np.int64)
        same = joint[order][1:] == joint[order][:-1]
        following = np.full(self.size, self.size, dtype=np.int64)
        following[order[:-1][same]] = order[1:][same] + 1
        tiles = self.times // window.hop
        tiles[order] = _running_max(_ranks(joint[order]), tiles[order])
        active = self.active(window, tiles)
        leave = np.maximum(np.minimum(active.leave, following), active.enter)
        return Active(order, active.enter[order], leave[order], self.size).counts()

    def latest(self, mask: NDArray[np.bool_] | None) -> Ints:
        """The position of the key's newest earlier event (where `mask` holds), or -1."""
        by_time = self._by_time
        rank = np.empty_like(by_time)
        rank[by_time] = self.positions
        score = rank + 1 if mask is None else np.where(mask, rank + 1, 0)
        width = self.size + 1
        run = np.maximum.accumulate(self.codes * width + score)
        before = np.zeros(self.size, dtype=np.int64)
        before[1:] = np.maximum(run[:-1] - self.codes[1:] * width, 0)
        return np.where(before > 0, by_time[before - 1], -1)

    def streak(
        self, counted: NDArray[np.bool_], bad: NDArray[np.bool_], values: Ints, window: Window
    ) -> tuple[Ints, ...]:
        """The five figures of `Streak.columns`, at every position.

        Args:
            counted: by position, whether the event counts at all.
            bad: by position, whether the fact was known when the event settled.
            values: the quantity, by position.
            window: where to look, behind the time at which events settle.
        """
        chosen = np.flatnonzero(counted)
        first, end = window.first_tile(self.clock), window.end_tile(self.clock)
        tiles = self.times[chosen] // window.hop
        low = int(min(first.min(initial=0), tiles.min(initial=0)))
        width = int(max(end.max(initial=0), tiles.max(initial=0))) - low + 1
        base = self.codes * width - low
        spots = base[chosen] + tiles
        if not self.in_time:
            order = np.argsort(spots, kind="stable")
            chosen, tiles, spots = chosen[order], tiles[order], spots[order]
        stop = np.searchsorted(spots, base + end, side="left")
        begin = np.searchsorted(spots, base + first, side="left")
        # the place before `stop` whose event is good, if it is not before `begin`
        newest_good = np.full(len(chosen) + 1, -1, dtype=np.int64)
        good = np.where(bad[chosen], -1, np.arange(len(chosen)))
        np.maximum.accumulate(good, out=newest_good[1:])
        good_at = newest_good[stop]
        has_good = good_at >= begin
        after_good = np.searchsorted(spots, spots[good_at] if len(spots) else good_at, side="right")
        begin = np.where(has_good, after_good, begin)
        count = stop - begin
        sums = _prefix_sums(values[chosen], None)
        tiles = np.append(tiles, 0)

        def age(exists: NDArray[np.bool_], place: Ints) -> Ints:
            tile = tiles[np.where(exists, place, -1)]
            return np.where(exists, self.clock - tile * window.hop, -1)

        settled = has_good | (count > 0)
        return (
            age(has_good, good_at),
            count,
            age(count > 0, begin),
            sums[stop] - sums[begin],
            age(settled, stop - 1),
        )

    def spread(self, values: Ints, missing: int = 0) -> Ints:
        """Values by position, put back in the global order; `missing` for rows without a key."""
        out = np.full(self.total_rows, missing, dtype=np.int64)
        out[self.rows] = values
        return out


def _ranks(sorted_codes: Ints) -> Ints:
    """Codes renumbered 0, 1, 2, ... in order, so that they stay small."""
    steps = np.zeros(len(sorted_codes), dtype=np.int64)
    np.cumsum(sorted_codes[1:] != sorted_codes[:-1], out=steps[1:])
    return steps


def _running_max(groups: Ints, values: Ints) -> Ints:
    """Running maximum of `values` within sorted `groups`."""
    low = int(values.min())
    width = int(values.max()) - low + 1
    base = groups * width - low
    return np.maximum.accumulate(base + values) - base
