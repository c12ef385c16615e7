"""Loops over a machine's readings, compiled.

Every sum runs over the rows of its window in order of time and starts at its first row, so that
the same rows give the same bits, whatever lies before them.
"""

import numpy as np

from lib.feature.jit import compiled
from lib.maintenance.history import Floats, Ints

TRAILING_ROWS = 12
_HOUR_US = 3_600_000_000.0


@compiled
def held_us(times: Ints, values: Floats, longest: int, out: Ints) -> None:
    """How long each value has not changed, up to `longest`; missing values are passed over."""
    last, before = -1, np.nan
    for row in range(len(times)):
        out[row] = 0
        if np.isnan(values[row]):
            continue
        if last >= 0 and values[row] == before and times[row] - times[last] <= longest:
            out[row] = min(longest, out[last] + times[row] - times[last])
        last, before = row, values[row]


@compiled
def window_measures(
    times: Ints, values: Floats, first: Ints, end: Ints, expected: float, out: Floats
) -> None:
    """Mean, sample std, min, max, range, slope per hour and coverage of rows [first, end).

    `out` (k, 7) holds NaN where nothing is known: a std needs two readings, a slope two times.
    """
    for k in range(len(first)):
        count, total, low, high, hours = 0, 0.0, np.inf, -np.inf, 0.0
        origin = times[first[k]] if first[k] < end[k] else 0
        for row in range(first[k], end[k]):
            value = values[row]
            if not np.isnan(value):
                count += 1
                total += value
                hours += (times[row] - origin) / _HOUR_US
                low, high = min(low, value), max(high, value)
        out[k, 6] = min(1.0, count / expected)
        if count == 0:
            out[k, :6] = np.nan
            continue
        # a sum of equal values is rounded: its mean would give them a spread that they have not
        mean, middle = low if high == low else total / count, hours / count
        squares, across, spread = 0.0, 0.0, 0.0
        for row in range(first[k], end[k]):
            value = values[row]
            if not np.isnan(value):
                away = (times[row] - origin) / _HOUR_US - middle
                squares += (value - mean) * (value - mean)
                across += away * (value - mean)
                spread += away * away
        out[k, 0] = mean
        out[k, 1] = np.sqrt(squares / (count - 1)) if count > 1 else np.nan
        out[k, 2], out[k, 3], out[k, 4] = low, high, high - low
        out[k, 5] = across / spread if spread > 0.0 else np.nan


@compiled
def against_trailing(
    values: Floats, first: Ints, end: Ints, now: Floats, rows_needed: int, out: Floats
) -> None:
    """Each of `now` (k, m) in standard deviations from the mean of rows [first, end)."""
    for k in range(len(first)):
        count, total, low, high = 0, 0.0, np.inf, -np.inf
        for row in range(first[k], end[k]):
            if not np.isnan(values[row]):
                count += 1
                total += values[row]
                low, high = min(low, values[row]), max(high, values[row])
        out[k, :] = np.nan
        if count < rows_needed or high == low:
            continue
        mean, squares = total / count, 0.0
        for row in range(first[k], end[k]):
            if not np.isnan(values[row]):
                squares += (values[row] - mean) * (values[row] - mean)
        deviation = np.sqrt(squares / (count - 1))
        if deviation > 0.0:
            for m in range(now.shape[1]):
                out[k, m] = (now[k, m] - mean) / deviation


@compiled
def latest(values: Floats, first: Ints, end: Ints, out: Floats) -> None:
    """The last value of rows [first, end) that is there."""
    for k in range(len(first)):
        out[k] = np.nan
        for row in range(end[k] - 1, first[k] - 1, -1):
            if not np.isnan(values[row]):
                out[k] = values[row]
                break


@compiled
def correlation(values: Floats, other: Floats, first: Ints, end: Ints, out: Floats) -> None:
    """Pearson's correlation over rows [first, end) where both are there; three are needed."""
    for k in range(len(first)):
        count, mean_one, mean_other = 0, 0.0, 0.0
        low, high, low_other, high_other = np.inf, -np.inf, np.inf, -np.inf
        for row in range(first[k], end[k]):
            if not (np.isnan(values[row]) or np.isnan(other[row])):
                count += 1
                low, high = min(low, values[row]), max(high, values[row])
                low_other, high_other = min(low_other, other[row]), max(high_other, other[row])
                mean_one += values[row]
                mean_other += other[row]
        out[k] = np.nan
        if count < 3 or high == low or high_other == low_other:
            continue
        mean_one, mean_other = mean_one / count, mean_other / count
        both, squares_one, squares_other = 0.0, 0.0, 0.0
        for row in range(first[k], end[k]):
            if not (np.isnan(values[row]) or np.isnan(other[row])):
                both += (values[row] - mean_one) * (other[row] - mean_other)
                squares_one += (values[row] - mean_one) * (values[row] - mean_one)
                squares_other += (other[row] - mean_other) * (other[row] - mean_other)
        if squares_one > 0.0 and squares_other > 0.0:
            out[k] = both / np.sqrt(squares_one * squares_other)
