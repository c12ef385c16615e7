"""The values of `scalar` as types of pydantic fields, for every request and settings schema."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
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


def optional(description: str) -> Any:
    """A field that is null where nothing is given."""
    return Field(None, description=description)


def listed(description: str, most: int) -> Any:
    """A field for a list of at most `most` rows, empty by default."""
    return Field([], max_length=most, description=description)


def _without(fault: Callable[[Value], str | None]) -> Callable[[Value], Value]:
    def check(value: Value) -> Value:
        message = fault(value)
        if message is not None:
            raise ValueError(message)
        return value

    return check


def _segment_fault(value: str) -> str | None:
    # clients resolve both before they send a path, percent-encoded or not
    return "expected a name that a path can hold, got only dots" if value in (".", "..") else None


def _clock_text(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not ("T" in value or " " in value or "t" in value):
        raise ValueError("expected ISO 8601 with an offset, such as 2026-01-31T12:00:00Z")
    return value


def _text_rules(most_bytes: int) -> tuple[Any, ...]:
    check = _without(partial(text_fault, most=most_bytes))
    return Field(min_length=1, max_length=most_bytes), AfterValidator(check)


def _identifier_rules(most_bytes: int) -> tuple[Any, ...]:
    check = _without(partial(identifier_fault, most=most_bytes))
    field = Field(min_length=1, max_length=most_bytes, pattern=_PRINTABLE)
    return field, AfterValidator(check)


def text_of(most_bytes: int) -> Any:
    """A text of 1 to `most_bytes` bytes without NUL."""
    return Annotated[str, *_text_rules(most_bytes)]


def identifier_of(most_bytes: int) -> Any:
    """A text of 1 to `most_bytes` bytes without control characters."""
    return Annotated[str, *_identifier_rules(most_bytes)]


Id = Annotated[str, *_identifier_rules(LONGEST_ID_BYTES)]
"""An identifier: 1 to 128 bytes of UTF-8 without control characters."""

PathId = Annotated[Id, AfterValidator(_without(_segment_fault))]
"""An identifier that is looked up by path: neither `.` nor `..`; `/` is sent as `%2F`."""

Key = Annotated[str, *_identifier_rules(LONGEST_KEY_BYTES)]
"""A name that the service made of identifiers: up to 512 bytes."""

Note = Annotated[str, *_text_rules(LONGEST_NOTE_BYTES)]
"""What a person writes: 1 to 16,000 bytes of UTF-8 without NUL; lines may break."""

Moment = Annotated[
    AwareDatetime, BeforeValidator(_clock_text), AfterValidator(_without(moment_fault))
]
"""ISO 8601 with an offset, from 1990 to 2100; numbers are refused, as their unit is not known."""

Count = Annotated[int, Field(strict=True, ge=0, le=LARGEST_WHOLE)]
"""A whole number from 0 to 2**53 - 1."""

Amount = Annotated[FiniteFloat, Field(ge=0)]
"""A finite number, 0 or more."""
