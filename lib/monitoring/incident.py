"""A change that somebody should look at."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict


class Kind(StrEnum):
    """What has changed, in a word that tells where to look."""

    MEAN_MOVED = "mean moved"
    SPREAD_MOVED = "spread moved"
    UNIT_CHANGED = "unit changed"
    MISSING_SHARE = "missing share"
    NOT_COMPUTED = "not computed"
    NEW_VALUE = "new category"
    VANISHED_VALUE = "vanished category"
    SHARE_MOVED = "share moved"
    CONSTANT = "constant"
    CLOCK_SHIFTED = "clock shifted"
    FEWER_ROWS = "fewer rows"
    MORE_ROWS = "more rows"
    DUPLICATED_ROWS = "duplicated rows"


class Incident(BaseModel):
    """A change with its time, place and size. Its `id` stays the same when a job is repeated.

    Attributes:
        system: e.g. `fraud`.
        measure: a feature, `score`, `event hour`, `rows`, `entities`, `duplicates`, or a tally
            such as `decision`.
        kind: of change.
        since: start of the first window that shows it, microseconds since 1970 UTC.
        opened_at: end of the window with which the evidence sufficed, the same unit.
        seen_at: end of the latest window that shows it, the same unit.
        closed_at: end of the window by which it was over; None while it lasts.
        name: the category, value, rule or factor of which it speaks; "" where there is none.
        before, after, unit: the figure in the reference and since then.
        effect: how large, on the scale of `SmallestEffects`.
        evidence: log10 of the e-value with which it was opened; the budget asks for its threshold.
        windows: how many were looked at from `since` until it was opened.
        sentence: all of this in words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: str
    measure: str
    kind: Kind
    since: int
    opened_at: int
    seen_at: int
    closed_at: int | None = None
    name: str = ""
    before: float | None = None
    after: float | None = None
    unit: str = ""
    effect: float
    evidence: float
    windows: int
    sentence: str = ""

    @property
    def id(self) -> str:
        """Of system, measure and the window that opened it."""
        text = f"{self.system}\0{self.measure}\0{self.opened_at}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def is_open(self) -> bool:
        """Whether it lasts."""
        return self.closed_at is None

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `incidents.detail`."""
        return self.model_dump(mode="json")


def moment_text(time_us: int) -> str:
    """A time as people read it, UTC."""
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M UTC")
