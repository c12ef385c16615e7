"""The values of `scalar` as types of pydantic fields, for every request and settings schema."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, FiniteFloat

from lib.contract.declaration import LONGEST_ID_BYTES
from lib.contract.scalar import (
    LARGEST_WHOLE,
    LONGEST_KEY_BYTES,
    LONGEST_NOTE_BYTES,
    identifier_fault,
    moment_fault,
    text_fault,
)

_PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]+$"
Value = TypeVar("Value")


def _without(fault: Callable[[Value], str | None]) -> Callable[[Value], Value]:
    def check(value: Value) -> Value:
        message = fault(value)
        if message is not None:
            raise ValueError(message)
        return value

    return check


def _key_fault(value: str) -> str | None:
    return identifier_fault(value, LONGEST_KEY_BYTES)


def _segment_fault(value: str) -> str | None:
    # clients resolve both before they send a path, percent-encoded or not
    return "expected a name that a path can hold, got only dots" if value in (".", "..") else None


def _clock_text(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not ("T" in value or " " in value or "t" in value):
        raise ValueError("expected ISO 8601 with an offset, such as 2026-01-31T12:00:00Z")
    return value


def text_of(most_bytes: int) -> Any:
    """A text of 1 to `most_bytes` bytes without NUL."""

    def fault(value: str) -> str | None:
        return text_fault(value, most_bytes)

    return Annotated[
        str, Field(min_length=1, max_length=most_bytes), AfterValidator(_without(fault))
    ]


def identifier_of(most_bytes: int) -> Any:
    """A text of 1 to `most_bytes` bytes without control characters."""

    def fault(value: str) -> str | None:
        return identifier_fault(value, most_bytes)

    return Annotated[
        str,
        Field(min_length=1, max_length=most_bytes, pattern=_PRINTABLE),
        AfterValidator(_without(fault)),
    ]


Id = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_ID_BYTES, pattern=_PRINTABLE),
    AfterValidator(_without(identifier_fault)),
]
"""An identifier: 1 to 128 bytes of UTF-8 without control characters."""

PathId = Annotated[Id, AfterValidator(_without(_segment_fault))]
"""An identifier that is looked up by path: neither `.` nor `..`; `/` is sent as `%2F`."""

Key = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_KEY_BYTES, pattern=_PRINTABLE),
    AfterValidator(_without(_key_fault)),
]
"""A name that the service made of identifiers: up to 512 bytes."""

Note = Annotated[
    str, Field(min_length=1, max_length=LONGEST_NOTE_BYTES), AfterValidator(_without(text_fault))
]
"""What a person writes: 1 to 16,000 bytes of UTF-8 without NUL; lines may break."""

Moment = Annotated[
    AwareDatetime, BeforeValidator(_clock_text), AfterValidator(_without(moment_fault))
]
"""ISO 8601 with an offset, from 1990 to 2100; numbers are refused, as their unit is not known."""

Whole = Annotated[int, Field(strict=True, ge=0, le=LARGEST_WHOLE)]
"""A whole number from 0 to 2**53 - 1."""

Amount = Annotated[FiniteFloat, Field(ge=0)]
"""A finite number, 0 or more."""
