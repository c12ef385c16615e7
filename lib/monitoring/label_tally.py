"""Labels of days whose outcomes are final, as named counts of their windows: rate and delay."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.monitoring.scored_rows import DAY, Codes, Floats
from lib.monitoring.window import WindowSketch

LABEL, DELAY = "label", "label delay"
POSITIVE = "positive"
DELAY_DAYS = (1, 3, 7, 14, 30)
"""Labels are counted by the first of these days within which they came."""
LATER = "later"
_RIPE = 0.9


def tally_labels(windows: Iterable[WindowSketch], outcomes: pa.Table, version: str) -> None:
    """Add the labels of a model's decisions to the windows of days of which most are final.

    Days that are not final yet get none: their labels are still to come, which is no change.

    Args:
        windows: of days; those that have labels already are left as they are.
        outcomes: `lib.business.outcomes.OUTCOME_SCHEMA`.
        version: of the model.
    """
    own = outcomes.filter(pc.equal(outcomes["model_version"], version))
    times = np.asarray(own["event_time"].cast(pa.int64()))
    label = np.asarray(own["label"].fill_null(np.nan), dtype=np.float64)
    is_final = np.asarray(own["money"].is_valid())
    seen_at = np.asarray(own["observed_at"].cast(pa.int64()).fill_null(-1))
    days = times // DAY
    for window in windows:
        rows = days == window.since // DAY
        final = rows & is_final
        if LABEL in window.tallies or not final.any() or final.sum() < _RIPE * rows.sum():
            continue
        positive = final & (label > 0.5)
        window.tally(LABEL, {POSITIVE: int(positive.sum())}, int(final.sum()))
        reported = positive & (seen_at >= 0)
        if reported.any():
            window.tally(DELAY, _by_delay(times[reported], seen_at[reported]), int(reported.sum()))


def _by_delay(times: Codes, seen_at: Codes) -> dict[str, int]:
    delays: Floats = np.maximum(seen_at - times, 0) / DAY
    places = np.searchsorted(DELAY_DAYS, delays, side="left")
    names = [f"within {days} d" for days in DELAY_DAYS] + [LATER]
    counts = np.bincount(places, minlength=len(names))
    return {name: int(count) for name, count in zip(names, counts, strict=True) if count}
