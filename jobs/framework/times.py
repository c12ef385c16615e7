"""Times in options and notes, as text in ISO 8601."""

from __future__ import annotations

from datetime import UTC, datetime

from lib.contract import ContractError


def parse_time(option: str, text: str) -> int:
    """Microseconds since 1970 of a time in ISO 8601, UTC where it says nothing else.

    Raises:
        ContractError: it is none, naming the option.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ContractError(f"{option}: expected a time in ISO 8601, got {text!r}") from error
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
    return round(time.timestamp() * 1e6)


def time_text(at_us: int) -> str:
    """The same as text."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="seconds")
