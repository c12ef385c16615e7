"""One pass over each key's events: the newest earlier one, and the streak of settled ones.

All arrays are by position of a `Grouping`; `starts` are its keys. Times are microseconds.
"""

import numpy as np

from lib.feature.jit import Flags, Ints, compiled


@compiled
def recall_latest(
    starts: Ints,
    times: Ints,
    horizon: int,
    only: int,
    values: Ints,
    take: Ints,
    out: Ints,
) -> None:
    """The key's newest earlier event: its age in `out[:, 0]`, -1 for none, then its values.

    Args:
        starts, times: the keys; event times.
        horizon: the greatest age.
        only: the quantity that must not be 0 for an event to be remembered; -1 for none.
        values: int64 (positions, quantities).
        take: the quantities to remember.
        out: int64 (positions, 1 + remembered), zeros.
    """
    for key in range(len(starts) - 1):
        newest = -1
        for position in range(starts[key], starts[key + 1]):
            age = abs(times[position] - times[newest]) if newest >= 0 else -1
            if newest < 0 or age > horizon:
                out[position, 0] = -1
            else:
                out[position, 0] = age
                for lane in range(len(take)):
                    out[position, 1 + lane] = values[newest, take[lane]]
            if (only < 0 or values[position, only] != 0) and (
                newest < 0 or times[position] >= times[newest]
            ):
                newest = position


@compiled
def recall_streak(
    starts: Ints,
    tiles: Ints,
    clock: Ints,
    hop: int,
    behind: int,
    reach: int,
    counted: Flags,
    bad: Flags,
    values: Ints,
    out: Ints,
) -> None:
    """The five figures of `Streak.columns` in the columns of `out`.

    Args:
        starts, tiles: the keys; the tile of each event.
        clock: the key's latest time so far.
        hop: length of a tile.
        behind: tiles between now and the end of what has settled.
        reach: tiles between now and the far edge.
        counted: whether an event ever counts.
        bad: whether the fact was known when the event settled.
        values: the quantity.
        out: int64 (positions, 5).
    """
    for key in range(len(starts) - 1):
        start, end = starts[key], starts[key + 1]
        settled = _settled(starts[key], starts[key + 1], tiles, counted)
        sums = np.zeros(len(settled) + 1, dtype=np.int64)
        for index in range(len(settled)):
            sums[index + 1] = sums[index] + values[settled[index]]
        first = stop = after_good = 0
        good = -1
        for position in range(start, end):
            now = clock[position]
            tile = now // hop
            while stop < len(settled) and tiles[settled[stop]] < tile - behind:
                if not bad[settled[stop]]:
                    good = stop
                stop += 1
            while first < stop and tiles[settled[first]] < tile - reach:
                first += 1
            begin = first
            has_good = good >= first
            if has_good:
                after_good = max(after_good, good + 1)
                while after_good < stop and tiles[settled[after_good]] == tiles[settled[good]]:
                    after_good += 1
                begin = after_good
            out[position, 0] = now - tiles[settled[good]] * hop if has_good else -1
            out[position, 1] = stop - begin
            out[position, 2] = now - tiles[settled[begin]] * hop if stop > begin else -1
            out[position, 3] = sums[stop] - sums[begin]
            any_settled = has_good or stop > begin
            out[position, 4] = now - tiles[settled[stop - 1]] * hop if any_settled else -1


@compiled
def _settled(start: int, end: int, tiles: Ints, counted: Flags) -> Ints:
    """Positions of one key's events that ever count, by tile."""
    chosen = np.empty(end - start, dtype=np.int64)
    count = 0
    for position in range(start, end):
        if counted[position]:
            # a late event goes back to its tile; most go nowhere
            index = count
            while index > 0 and tiles[chosen[index - 1]] > tiles[position]:
                chosen[index] = chosen[index - 1]
                index -= 1
            chosen[index] = position
            count += 1
    return chosen[:count]
