"""Which failures training rows can see, and why they cannot see the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np

from lib.maintenance.history import Ints

GRACE_HOURS = 24.0
"""A failure that is booked so many hours after a machine's last reading ended its run."""

_REASONS = {
    "without_rows": "of machines without readings, or with fewer than the warm-up needs",
    "before_first_row": "before their machine's first row",
    "after_last_reading": "too long after their machine's last reading (--failure-grace-hours)",
    "behind_another_event": "with no row since another failure or a planned service",
}


@dataclass(frozen=True, slots=True)
class FailureCounts:
    """Failures by what rows see of them; all but `seen` teach the model nothing.

    Attributes:
        seen: some row ends in the failure.
        at_end: those of `seen` that came after their machine's last reading.
        without_rows: the machine has no readings, or fewer hours of them than the warm-up.
        before_first_row: it came before the machine's first row.
        after_last_reading: it came longer after the last reading than the grace.
        behind_another_event: another failure or a planned service came between it and the row
            before.
    """

    seen: int = 0
    at_end: int = 0
    without_rows: int = 0
    before_first_row: int = 0
    after_last_reading: int = 0
    behind_another_event: int = 0

    @property
    def unseen(self) -> int:
        """Failures that no row can see."""
        return sum(getattr(self, name) for name in _REASONS)

    @property
    def total(self) -> int:
        """All failures."""
        return self.seen + self.unseen

    def __add__(self, other: FailureCounts) -> FailureCounts:
        counts, more = asdict(self), asdict(other)
        return FailureCounts(**{name: counts[name] + more[name] for name in counts})

    def lines(self) -> list[str]:
        """Sentences for people: how many rows see, and each reason that some do not.

        >>> FailureCounts(seen=3, at_end=1, after_last_reading=2).lines()[0]
        "rows see 3 of 5 failures, 1 of them after their machine's last reading"
        """
        after = f", {self.at_end:,} of them after their machine's last reading" * bool(self.at_end)
        return [
            f"rows see {self.seen:,} of {self.total:,} failures{after}",
            *(
                f"    {count:>8,}  {text}"
                for name, text in _REASONS.items()
                if (count := getattr(self, name))
            ),
        ]

    def reasons(self) -> dict[str, int]:
        """Failures that no row sees, by reason in words."""
        counts = {text: getattr(self, name) for name, text in _REASONS.items()}
        return {text: count for text, count in counts.items() if count}


def counts_of(entry: Mapping[str, int]) -> FailureCounts:
    """Counts as `dataclasses.asdict` wrote them."""
    return FailureCounts(**{field.name: int(entry.get(field.name, 0)) for field in
                            fields(FailureCounts)})  # fmt: skip


def watched_until(last_reading_us: int, failures_us: Ints, grace_hours: float) -> int:
    """End of a machine's watch: its last reading, or the failure that explains why they end.

    Args:
        last_reading_us: microseconds UTC.
        failures_us: (f,) of the machine, ascending.
        grace_hours: how long after the last reading such a failure may be booked.
    """
    later = failures_us[failures_us > last_reading_us]
    if len(later) and later[0] - last_reading_us <= grace_hours * 3_600_000_000:
        return int(later[0])
    return last_reading_us


def failure_counts(
    failures_us: Ints, rows_us: Ints, seen_us: Ints, last_reading_us: int, until_us: int
) -> FailureCounts:
    """Counts of one machine.

    Args:
        failures_us: (f,) its failures, ascending.
        rows_us: (n,) its rows, ascending.
        seen_us: times of the failures that rows end in, any order.
        last_reading_us: its last reading.
        until_us: end of its watch, see `watched_until`.
    """
    if not len(rows_us):
        return FailureCounts(without_rows=len(failures_us))
    has_rows = np.isin(failures_us, seen_us)
    early, late = ~has_rows & (failures_us <= rows_us[0]), ~has_rows & (failures_us > until_us)
    return FailureCounts(
        seen=int(has_rows.sum()),
        at_end=int((has_rows & (failures_us > last_reading_us)).sum()),
        before_first_row=int(early.sum()),
        after_last_reading=int(late.sum()),
        behind_another_event=int((~has_rows & ~early & ~late).sum()),
    )
