"""What a single value may be, in one place: requests, files, profiles and records share it.

Each check returns None for a value that every layer can hold, else what was expected and what
came, without the field's name. Sizes are bytes of UTF-8. Whatever these checks admit can be
stored by SQLite, PostgreSQL, Redis and Arrow.
"""

import math
import re
from datetime import datetime, timedelta

from lib.contract.declaration import LONGEST_ID_BYTES, PLAUSIBLE_FROM_US, PLAUSIBLE_TO_US

LONGEST_KEY_BYTES = 512
"""Of a key that is made of identifiers; an index of PostgreSQL holds 2,704."""

LONGEST_NOTE_BYTES = 16_000
"""Of a text that a person writes, such as a reason or a note."""

EARLIEST_US, LATEST_US = PLAUSIBLE_FROM_US, PLAUSIBLE_TO_US
"""First and last moment, microseconds since 1970 UTC, both inclusive."""

LARGEST_WHOLE = 2**53 - 1
"""Largest whole number that JSON, double precision and a BIGINT all hold exactly."""

CONTROL_CHARACTERS = r"[\x00-\x1f\x7f-\x9f]"
"""Characters that no identifier holds; a pattern for `re`, RE2 (Arrow) and pydantic."""

_CONTROL = re.compile(CONTROL_CHARACTERS)
_LONGEST_SHOWN = 60
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND = timedelta(microseconds=1)


def identifier_fault(value: str, most: int = LONGEST_ID_BYTES) -> str | None:
    """Say why a text cannot be an identifier: its size, a control character, half a surrogate pair.

    >>> identifier_fault("order/2024/77")
    >>> identifier_fault("é" * 100)
    'expected 1 to 128 bytes, got 200'
    """
    fault = text_fault(value, most)
    if fault is not None or (value.isascii() and value.isprintable()):
        return fault
    control = _CONTROL.search(value)
    return None if control is None else f"expected no control characters, got {control[0]!r}"


def text_fault(value: str, most: int = LONGEST_NOTE_BYTES, least: int = 1) -> str | None:
    """Say why a text cannot be kept: its size in bytes, a NUL, half a surrogate pair.

    >>> text_fault("two words")
    >>> text_fault(f"a{chr(0)}b")
    'expected a text without NUL'
    """
    try:
        size = len(value) if value.isascii() else len(value.encode())
    except UnicodeEncodeError:
        return "expected valid Unicode, got half a surrogate pair"
    if not least <= size <= most:
        return f"expected {least} to {most} bytes, got {size}"
    return "expected a text without NUL" if "\0" in value else None


def time_fault(time_us: int) -> str | None:
    """Say why a time cannot be meant: it lies before 1990 or after 2100.

    Args:
        time_us: microseconds since 1970 UTC.
    """
    if EARLIEST_US <= time_us <= LATEST_US:
        return None
    return f"expected a time from {_day(EARLIEST_US)} to {_day(LATEST_US)} UTC, got {time_us} us"


def moment_fault(moment: datetime) -> str | None:
    """The same for a time with an offset; a time without one is at fault.

    >>> moment_fault(datetime.fromisoformat("0001-01-01T00:00:00+14:00"))
    'expected a time from 1990-01-01 to 2100-01-01 UTC, got 0001-01-01T00:00:00+14:00'
    """
    if moment.utcoffset() is None:
        return f"expected a time with its offset from UTC, got {moment.isoformat()}"
    if EARLIEST_US <= (moment - _EPOCH) // _MICROSECOND <= LATEST_US:
        return None
    first, last = _day(EARLIEST_US), _day(LATEST_US)
    return f"expected a time from {first} to {last} UTC, got {moment.isoformat()}"


def whole_fault(value: int, low: int = 0, high: int = LARGEST_WHOLE) -> str | None:
    """Say why a whole number cannot be kept: it lies outside `low` to `high`, both inclusive."""
    if low <= value <= high:
        return None
    bound = f"{low:,} or more" if value < low else f"at most {high:,}"
    return f"expected {bound}, got {_shortened(value)}"


def number_fault(value: float) -> str | None:
    """Say why a number cannot be kept: it is NaN, infinite or beyond double precision.

    >>> number_fault(10**400)
    'expected a finite number, got 1e400'
    """
    try:
        finite = math.isfinite(value)
    except OverflowError:
        finite = False
    return None if finite else f"expected a finite number, got {_shortened(value)}"


def _day(time_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=time_us)).date().isoformat()


def _shortened(value: float) -> str:
    if isinstance(value, int) and value.bit_length() > 256:
        # Python refuses to write integers of more than 4,300 digits
        return f"{'-' if value < 0 else ''}1e{int(value.bit_length() * math.log10(2))}"
    return f"{value}"[:_LONGEST_SHOWN]
