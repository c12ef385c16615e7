"""Where a data set ends: rows dated far after all others do not move its end."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]

_DAY_US = 86_400_000_000
_FEWEST_ROWS = 20
_LARGEST_SHARE = 0.001
_SHORTEST_GAP_DAYS = 30
_GAPS = 10.0


@dataclass(frozen=True, slots=True)
class DataEnd:
    """The end of a data set.

    Attributes:
        last_us: newest time that is not far from the others, microseconds UTC.
        far_rows: rows dated far after it.
        newest_us: newest time of all.
    """

    last_us: int
    far_rows: int
    newest_us: int

    @property
    def text(self) -> str:
        """What a closing line says of the rows that are far from the others."""
        last, newest = (
            np.datetime64(time, "us").astype("datetime64[D]")
            for time in (self.last_us, self.newest_us)
        )
        return f"rows dated after {last}, up to {newest}: far from all others, taken for no end"


def end_of_data(times: Times, counts: Times | None = None) -> DataEnd:
    """The end of rows at `times`.

    Rows after a gap are far from the others where they are at most one in a thousand (or one row
    at all, of twenty or more) and the gap is longer than 30 days, ten times the usual longest gap
    (99 of 100 are shorter) and a tenth of what the rows before it span.

    Args:
        times: microseconds UTC, in any order; of rows, or the newest of each group of rows.
        counts: rows of each group; 1 each by default.

    Raises:
        ValueError: there is none.
    """
    order = np.argsort(times, kind="stable")
    times = times[order]
    counts = np.ones(len(times), dtype=np.int64) if counts is None else counts[order]
    if not len(times):
        raise ValueError("end_of_data: expected times, got none")
    total, newest = int(counts.sum()), int(times[-1])
    after = total - np.cumsum(counts)[:-1]
    few = (after <= max(1, int(total * _LARGEST_SHARE))) & (total - after >= _FEWEST_ROWS)
    gaps = np.diff(times)
    for index in np.flatnonzero(few):
        usual = float(np.quantile(gaps[:index], 0.99)) if index else 0.0
        span = float(times[index] - times[0])
        if gaps[index] > max(_SHORTEST_GAP_DAYS * _DAY_US, _GAPS * usual, span / _GAPS):
            return DataEnd(int(times[index]), int(after[index]), newest)
    return DataEnd(newest, 0, newest)
