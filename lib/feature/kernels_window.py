"""One pass over each key's events, in processing order: sums over those in a window.

Every earlier event counts for one run of later positions: it *enters* right after itself (or when
the near edge of a window that lies behind has passed it, or when a fact about it becomes known)
and *leaves* when the far edge has passed it. Edges never move back, so an event's run is found by
moving two marks forward; only a late event's is searched for. What enters and leaves is noted at
the ends of the runs and added up along the key. Sums are integers: the order does not matter.

All arrays are by position of a `Grouping`; `starts` are its keys. Times count in tiles of the
window's hop; `clock` is the latest tile of the key so far.
"""

import numpy as np

from lib.feature.jit import Ints, compiled

NEVER = 2**62


@compiled
def clock_of(starts: Ints, times: Ints) -> Ints:
    """A key's latest time so far: its clock never runs backwards for a late event."""
    clock = np.empty_like(times)
    for key in range(len(starts) - 1):
        latest = times[starts[key]]
        for position in range(starts[key], starts[key + 1]):
            latest = max(latest, times[position])
            clock[position] = latest
    return clock


@compiled
def first_past(clock: Ints, tile: int, low: int, high: int) -> int:
    """The first position in `[low, high)` whose value is greater than `tile`; else `high`."""
    while low < high:
        middle = (low + high) // 2
        if clock[middle] > tile:
            high = middle
        else:
            low = middle + 1
    return low


@compiled
def add_totals(
    starts: Ints,
    tiles: Ints,
    clock: Ints,
    behind: int,
    reach: int,
    values: Ints,
    take: Ints,
    put: Ints,
    out: Ints,
) -> None:
    """Adds window sums of `values[:, take]` to `out[:, put]`.

    Args:
        starts, tiles, clock: the keys; each event's tile; the latest tile so far.
        behind: tiles between now and the window's near edge; -1 for none.
        reach: tiles between now and the window's far edge.
        values: int64 (positions, quantities).
        take: which quantities.
        put: the columns of `out` that they go to.
        out: int64 (positions, columns).
    """
    change = np.zeros((_longest(starts) + 1, len(take)), dtype=np.int64)
    for key in range(len(starts) - 1):
        start, end = starts[key], starts[key + 1]
        entering = leaving = start
        for event in range(start, end):
            tile, after = tiles[event], event + 1
            if tile == clock[event]:
                while leaving < end and clock[leaving] - reach <= tile:
                    leaving += 1
                leave = leaving
                while behind >= 0 and entering < end and clock[entering] - behind <= tile:
                    entering += 1
                enter = entering if behind >= 0 else after
            else:
                leave = first_past(clock, tile + reach, event, end)
                enter = first_past(clock, tile + behind, event, end) if behind >= 0 else after
            enter = max(enter, after)
            if enter < leave:
                for lane in range(len(take)):
                    value = values[event, take[lane]]
                    change[enter - start, lane] += value
                    change[leave - start, lane] -= value
        _add_up(change, start, end, put, 1, out)


@compiled
def add_facts(
    starts: Ints,
    tiles: Ints,
    clock: Ints,
    behind: int,
    reach: int,
    events: Ints,
    fact_times: Ints,
    received: Ints,
    values: Ints,
    take: Ints,
    put: Ints,
    sign: int,
    out: Ints,
) -> None:
    """The same over the events of which a fact is known, times `sign`.

    Args:
        starts, tiles, clock, behind, reach, values, take, put, out: as for `add_totals`.
        events: positions of the events of which the fact is ever known, in order.
        fact_times: int64 (events, 2): when it became known and when it was withdrawn, NEVER where
            it was not; microseconds.
        received: when each event was received, microseconds; never falls within a key.
        sign: 1 to add, -1 to take away.
    """
    change = np.zeros((_longest(starts) + 1, len(take)), dtype=np.int64)
    number = 0
    for key in range(len(starts) - 1):
        start, end = starts[key], starts[key + 1]
        if number == len(events):
            return
        if events[number] >= end:
            continue
        while number < len(events) and events[number] < end:
            event, since, until = events[number], fact_times[number, 0], fact_times[number, 1]
            number += 1
            enter = max(event + 1, first_past(received, since - 1, start, end))
            if behind >= 0:
                enter = max(enter, first_past(clock, tiles[event] + behind, event, end))
            leave = first_past(clock, tiles[event] + reach, event, end)
            if until < NEVER:
                leave = min(leave, first_past(received, until - 1, start, end))
            if enter < leave:
                for lane in range(len(take)):
                    value = values[event, take[lane]]
                    change[enter - start, lane] += value
                    change[leave - start, lane] -= value
        _add_up(change, start, end, put, sign, out)


@compiled
def count_distinct(
    starts: Ints, tiles: Ints, clock: Ints, reach: int, of: Ints, last: Ints, out: Ints
) -> None:
    """Counts in `out` the different codes `of` (-1 is none) in a window.

    Each event stands for its pair of key and code from right after itself until right after the
    pair's next event; should that one be late, the pair keeps its latest tile. `last` is room for
    one number per code, all -1 before and after.
    """
    change = np.zeros((_longest(starts) + 1, 1), dtype=np.int64)
    latest = np.zeros(len(change), dtype=np.int64)
    column = np.zeros(1, dtype=np.int64)
    for key in range(len(starts) - 1):
        start, end = starts[key], starts[key + 1]
        for event in range(start, end):
            code = of[event]
            if code < 0:
                continue
            tile, before = tiles[event], last[code]
            if before >= 0:
                tile = max(tile, latest[before - start])
                until = first_past(clock, latest[before - start] + reach, before, end)
                _count_once(change, before + 1 - start, min(until, event + 1) - start)
            last[code], latest[event - start] = event, tile
        for event in range(start, end):
            code = of[event]
            if code >= 0 and last[code] == event:
                until = first_past(clock, latest[event - start] + reach, event, end)
                _count_once(change, event + 1 - start, until - start)
                last[code] = -1
        _add_up(change, start, end, column, 1, out)


@compiled
def _count_once(change: Ints, enter: int, leave: int) -> None:
    if enter < leave:
        change[enter, 0] += 1
        change[leave, 0] -= 1


@compiled
def _add_up(change: Ints, start: int, end: int, put: Ints, sign: int, out: Ints) -> None:
    """Adds up the changes along one key, into `out`; leaves `change` cleared."""
    total = np.zeros(len(put), dtype=np.int64)
    for position in range(start, end):
        for lane in range(len(put)):
            total[lane] += change[position - start, lane]
            change[position - start, lane] = 0
            out[position, put[lane]] += sign * total[lane]
    change[end - start] = 0


@compiled
def _longest(starts: Ints) -> int:
    longest = 0
    for key in range(len(starts) - 1):
        longest = max(longest, starts[key + 1] - starts[key])
    return longest
