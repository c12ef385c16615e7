"""How many posts people can take, so that routing sends them no more."""

from __future__ import annotations

from dataclasses import dataclass

from lib.records import QueueFigures


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the queue can take in.

    Attributes:
        decisions_per_hour: what the reviewers get done, golden items included.
        decisions_per_case: with second opinions, golden items and appeals counted in.
        waiting: open items.
    """

    decisions_per_hour: float
    decisions_per_case: float
    waiting: int

    def __post_init__(self) -> None:
        if self.decisions_per_hour < 0 or self.decisions_per_case <= 0 or self.waiting < 0:
            raise ValueError(
                "expected decisions_per_hour >= 0, decisions_per_case > 0 and waiting >= 0, got "
                f"{self.decisions_per_hour}, {self.decisions_per_case} and {self.waiting}"
            )

    @property
    def hours_to_clear(self) -> float:
        """Until what waits is decided, if nothing more came; infinite where nobody decides."""
        if not self.waiting:
            return 0.0
        if not self.decisions_per_hour:
            return float("inf")
        return self.waiting * self.decisions_per_case / self.decisions_per_hour

    def review_share(self, posts_per_hour: float, clear_within_hours: float) -> float:
        """The share of new posts that may go to review, 0 to 1.

        What people can decide, less what clears the queue within `clear_within_hours`.

        Args:
            posts_per_hour: all posts that are routed, more than 0.
            clear_within_hours: more than 0; the shorter, the fewer new ones.
        """
        if posts_per_hour <= 0 or clear_within_hours <= 0:
            raise ValueError(
                "expected posts_per_hour and clear_within_hours above 0, got "
                f"{posts_per_hour} and {clear_within_hours}"
            )
        cases = self.decisions_per_hour / self.decisions_per_case
        free = cases - self.waiting / clear_within_hours
        return min(max(free, 0.0) / posts_per_hour, 1.0)


def capacity_of(figures: QueueFigures, staffed_per_hour: float | None = None) -> Capacity:
    """Capacity as measured, or with the number of decisions that the reviewers on duty can make.

    Args:
        figures: of a window long enough that reviewers never ran out of items; where they did,
            what was decided understates what could have been, and `staffed_per_hour` is needed.
        staffed_per_hour: from the roster; None takes what was decided.
    """
    done = figures.decisions_per_hour if staffed_per_hour is None else staffed_per_hour
    return Capacity(done, max(figures.decisions_per_case or 1.0, 1.0), figures.waiting)
