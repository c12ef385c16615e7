"""Which item goes first: risk x severity x reach, against the time that is left.

An item is ordered by its due time, brought forward by `doubling_us` for each doubling of
risk x severity x reach. Its priority therefore grows by one each `doubling_us` that passes, for all
items alike, so that the order never has to be worked out anew and one index serves it. Priorities
are bounded, so that an item waits for nobody who came later by more than the spread of due times
and of priorities.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from lib.moderation.review.settings import ReviewSettings

LOWEST, HIGHEST = -7.0, 33.0


def priority_of(policies: Mapping[str, float], severity: int, reach: int) -> float:
    """Doublings of risk x severity x (1 + reach), kept within `LOWEST` and `HIGHEST`.

    Args:
        policies: probability of each; the risk is the highest.
        severity: 1 to 5.
        reach: people who see the post, 0 or more.
    """
    worth = max(policies.values()) * severity * (1 + reach)
    return LOWEST if worth <= 0 else min(max(math.log2(worth), LOWEST), HIGHEST)


def rank_us(priority: float, due_at: int, settings: ReviewSettings) -> int:
    """The moment by which an item is ordered, earliest first; microseconds since 1970 UTC."""
    return due_at - round(priority * settings.doubling_us)
