"""What tables say against each other: counted and told, never mended in silence."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.churn.events import FLAGGED_LEFT, FLAGGED_STAYS
from lib.churn.target import Ints
from lib.feature import DAY

FLAG_WITHOUT_NOTICE = "customers flagged as having left, without notice"
NOTICE_WITHOUT_FLAG = "customers who gave notice, flagged as staying"
NOTICE_BEFORE_START = "notices before the customer's contract began"
USE_AFTER_END = "customers who use the product a month after their contract ended"
OVERLAPPING = "contracts that begin before the same customer's contract before ended"
END_BEFORE_NOTICE = "contracts that ended before notice was given"
_SLACK_DAYS = 30


def contradictions(happened: pa.Table) -> dict[str, int]:
    """How often each contradiction comes among the customers of a stream of happenings."""
    names = happened["customer_id"].combine_chunks().dictionary_encode()
    codes = names.indices.to_numpy(zero_copy_only=False)
    count = len(names.dictionary)
    read = {
        name: happened[name].to_numpy()
        for name in ("told", "leaving", "flagged", "start_day", "renewal_day", "ends_day", "used")
    }
    day = pc.divide(happened["event_time"].cast(pa.int64()), DAY).to_numpy()
    is_contract, is_notice, used = read["told"] > 0, read["leaving"] > 0, read["used"] > 0
    newest_flag = _newest(codes, day, read["flagged"], is_contract, count)
    left = np.bincount(codes[is_notice], minlength=count) > 0
    starts = _least(codes, read["start_day"], is_contract & (read["start_day"] >= 0), count)
    ends = _least(codes, -read["ends_day"], is_notice & (read["ends_day"] > 0), count)
    last_use = -_least(codes, -day, used, count)
    last_told = -_least(codes, -day, is_contract, count)
    ended = np.where(ends == _NONE, _NONE, -ends)
    after = (ended != _NONE) & (last_use > ended + _SLACK_DAYS) & (last_told < ended)
    counts = Counter(
        {
            FLAG_WITHOUT_NOTICE: int(((newest_flag == FLAGGED_LEFT) & ~left).sum()),
            NOTICE_WITHOUT_FLAG: int(((newest_flag == FLAGGED_STAYS) & left).sum()),
            NOTICE_BEFORE_START: int(
                (is_notice & (day < starts[codes]) & (starts[codes] != _NONE)).sum()
            ),
            USE_AFTER_END: int(after.sum()),
            END_BEFORE_NOTICE: int(
                (is_notice & (read["ends_day"] > 0) & (read["ends_day"] < day)).sum()
            ),
            OVERLAPPING: _overlaps(
                codes[is_contract], read["start_day"][is_contract], read["renewal_day"][is_contract]
            ),
        }
    )
    return {name: number for name, number in counts.items() if number}


_NONE = np.iinfo(np.int64).max


def _least(
    codes: Ints, values: Ints, which: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], count: int
) -> Ints:
    minimum = np.full(count, _NONE, dtype=np.int64)
    np.minimum.at(minimum, codes[which], values[which])
    return minimum


def _newest(
    codes: Ints,
    day: Ints,
    flags: Ints,
    which: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    count: int,
) -> Ints:
    """The flag that was told last, by customer."""
    rows = np.flatnonzero(which)
    rows = rows[np.argsort(day[rows], kind="stable")]
    newest_flags = np.zeros(count, dtype=np.int64)
    newest_flags[codes[rows]] = flags[rows]
    return newest_flags


def _overlaps(codes: Ints, starts: Ints, renewals: Ints) -> int:
    """Contracts of another start, begun before the one before them ends."""
    is_known = (starts >= 0) & (renewals >= 0)
    pairs = np.unique(np.column_stack([codes, starts, renewals])[is_known], axis=0)
    if len(pairs) < 2:
        return 0
    same = pairs[1:, 0] == pairs[:-1, 0]
    return int((same & (pairs[1:, 1] > pairs[:-1, 1]) & (pairs[1:, 1] < pairs[:-1, 2])).sum())
