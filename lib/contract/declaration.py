"""What a column of a contract promises: type, unit, range, and whether it may be missing."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.types as pat


class ContractError(ValueError):
    """A data set or a mapping file cannot be used as it is; nothing was read past this point.

    The message names the field, what was expected, what came, and what to do next.
    """


TIME = pa.timestamp("us", tz="UTC")
MINOR_UNITS = "minor units"
LONGEST_ID_BYTES = 128
"""Of an identifier that a caller chooses."""


def utc_us(year: int, month: int = 1, day: int = 1) -> int:
    """Microseconds since 1970 of midnight UTC on that day.

    >>> utc_us(1970, 1, 2)
    86400000000
    """
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1_000_000


PLAUSIBLE_FROM_US = utc_us(1990)
PLAUSIBLE_TO_US = utc_us(2100)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a contract.

    Args:
        name: the name inside the product; a mapping file gives the outside name.
        type: Arrow type after reading. Times are `TIME` (microseconds, UTC), text is `pa.string()`.
        description: one line for people.
        required: the column must be there and hold no nulls; an optional column may be absent.
        unit: physical unit of the values, "" where there is none; `MINOR_UNITS` marks money.
        low: smallest allowed value, inclusive; for times in microseconds UTC; for lists the
            fewest numbers in one.
        high: largest allowed value, inclusive.
        values: the only allowed texts, when not empty.
        max_length: longest allowed text in bytes of UTF-8; empty texts are never allowed.
        fallback: column whose value stands in where this one is null (`received_at` falls back
            to `event_time`).
        lenient: of an optional column that may as well be unknown: a value that cannot be read or
            is out of range becomes missing and is counted, and the row stays. Not where missing
            says something of its own (no refusal, one use, nothing paid).
        multiline: texts of people, which may hold line ends.
        printable: texts that hold no control characters, as those of ids never do.
    """

    name: str
    type: pa.DataType
    description: str
    required: bool = True
    unit: str = ""
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()
    max_length: int = 256
    fallback: str | None = None
    lenient: bool = False
    multiline: bool = False
    printable: bool = False

    @property
    def is_identifier(self) -> bool:
        """Whether the values are ids, which other tables and callers name alike."""
        return pat.is_string(self.type) and self.name.endswith("_id") and not self.values

    @property
    def is_money(self) -> bool:
        """Whether the values are integer minor units of a currency."""
        return self.unit == MINOR_UNITS


def time_column(
    name: str,
    description: str,
    *,
    required: bool = True,
    fallback: str | None = None,
    lenient: bool = False,
) -> Column:
    """A column of UTC times between the years 1990 and 2100; anything else is implausible."""
    return Column(
        name,
        TIME,
        description,
        required=required,
        unit="UTC",
        low=PLAUSIBLE_FROM_US,
        high=PLAUSIBLE_TO_US,
        fallback=fallback,
        lenient=lenient,
    )


def known_times(description: str) -> tuple[Column, Column]:
    """The event time, and when the event became known, which is the event time if not given."""
    return (
        time_column("event_time", description),
        time_column(
            "known_at",
            "time at which the event became known",
            required=False,
            fallback="event_time",
        ),
    )


def text_column(
    name: str,
    description: str,
    *,
    required: bool = True,
    lenient: bool = False,
    length: int = LONGEST_ID_BYTES,
) -> Column:
    """A column of texts of at most `length` bytes, such as an identifier."""
    return Column(name, pa.string(), description, required, max_length=length, lenient=lenient)


def choice_column(name: str, description: str, values: tuple[str, ...], **options: Any) -> Column:
    """A column of the texts of a list; `options` are those of `Column`."""
    return Column(name, pa.string(), description, values=values, **options)


def measure_column(
    name: str,
    description: str,
    low: float | None = None,
    high: float | None = None,
    *,
    unit: str = "",
) -> Column:
    """A column of numbers (float64) that may be absent or unknown."""
    return Column(
        name, pa.float64(), description, required=False, unit=unit, low=low, high=high, lenient=True
    )


@dataclass(frozen=True, slots=True)
class Precedes:
    """`earlier` may not lie after `later` by more than `slack` (microseconds, or their unit)."""

    earlier: str
    later: str
    slack: int = 0

    @property
    def reason(self) -> str:
        """Why a row that breaks it is set aside."""
        return f"{self.earlier}: after {self.later}"
