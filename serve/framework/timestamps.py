"""Times as callers write them and as everything behind the face counts them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from serve.framework.problem import Problem

SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def system_clock() -> int:
    """Microseconds since 1970 UTC, now."""
    return time.time_ns() // 1000


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_datetime(time_us: int) -> datetime:
    """The same as a time."""
    return _EPOCH + timedelta(microseconds=time_us)


def reject_future(field: str, at: datetime | None, now: int, ahead: int) -> int:
    """A caller's time in microseconds, or now where it gave none.

    Args:
        field: for the message.
        at: the caller's.
        now: microseconds since 1970 UTC.
        ahead: microseconds that a caller's clock may be ahead.

    Raises:
        Problem: 422 for a time that is too far ahead.
    """
    at_us = now if at is None else to_micros(at)
    if at_us > now + ahead:
        raise Problem.of_field(field, future_text(at_us, now, ahead))
    return at_us


def future_text(at_us: int, now: int, ahead: int) -> str:
    """What is wrong with a time that is too far ahead; all in microseconds."""
    return (
        f"expected at most {ahead // SECOND} seconds from now, got "
        f"{(at_us - now) // SECOND} seconds ahead; check the clock and the offset"
    )
