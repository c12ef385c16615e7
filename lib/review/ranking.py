"""The order of the queue: by due time, brought forward by priority.

An item is ordered by its due time, brought forward by `doubling_us` for each doubling of what is at
stake. Its priority therefore grows by one each `doubling_us` that passes, for all items alike, so
that the order never has to be worked out anew and one index serves it. Priorities are bounded, so
that an item waits for nobody who came later by more than the spread of due times and of priorities.
"""

import math
from dataclasses import replace

from lib.records.review import ReviewItem
from lib.records.review.transitions import SENIOR
from lib.review.settings import ReviewSettings

LOWEST, HIGHEST = -7.0, 33.0


def bounded_priority(worth: float) -> float:
    """Doublings of what is at stake, kept within `LOWEST` and `HIGHEST`.

    Args:
        worth: in the system's own measure, such as currency units of expected loss.
    """
    return LOWEST if worth <= 0 else min(max(math.log2(worth), LOWEST), HIGHEST)


def rank_us(priority: float, due_at: int, settings: ReviewSettings) -> int:
    """The moment by which an item is ordered, earliest first; microseconds since 1970 UTC."""
    return due_at - round(priority * settings.doubling_us)


def escalated(item: ReviewItem, now: int, settings: ReviewSettings) -> ReviewItem:
    """An item for seniors: a degree more severe, and due no later than such items are from now.

    Args:
        item: as it is.
        now: microseconds since 1970 UTC.
        settings: due times by severity.
    """
    severity = min(item.severity + 1, max(settings.sla_us))
    due = min(item.due_at, now + settings.sla_us[severity])
    rank = rank_us(item.priority, due, settings)
    return replace(item, severity=severity, skill=SENIOR, due_at=due, rank_us=rank)
