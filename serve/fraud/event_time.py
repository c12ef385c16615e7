"""When a payment may come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from serve.framework import Problem
from serve.framework.timestamps import SECOND, future_text, system_clock


@dataclass(frozen=True, slots=True)
class EventTimePolicy:
    """When a payment may come.

    Attributes:
        window: microseconds within which a retry is recognised; older payments are refused.
        ahead: microseconds that a caller's clock may be ahead.
        now: microseconds since 1970 UTC.
    """

    window: int
    ahead: int
    now: Callable[[], int] = system_clock

    def accepts(self, event_time: int, now: int) -> bool:
        """Whether a payment made then is recent.

        Raises:
            Problem: 422 for a time that is too far ahead.
        """
        if event_time > now + self.ahead:
            raise Problem.of_field("event_time", future_text(event_time, now, self.ahead))
        return event_time >= now - self.window

    def rejection(self, event_time: int, now: int) -> Problem:
        """The 422 for a payment that is not recent."""
        return Problem.of_field(
            "event_time",
            f"expected within the last {self.window // SECOND} seconds, got "
            f"{(now - event_time) // SECOND} seconds ago; import older payments with a job",
        )
