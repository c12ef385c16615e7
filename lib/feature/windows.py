"""Sawtooth windows: a sliding window whose far edge moves in hops.

A plain sliding window needs every raw event to be kept. Letting its far edge move in steps of
`hop` means that whole tiles of `hop` microseconds can be summed and the events forgotten, while
the near edge stays exact (the construction of Chronon's sawtooth windows).
"""

from dataclasses import dataclass
from typing import Any

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_UNITS = ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s"))


@dataclass(frozen=True, order=True)
class Window:
    """The half-open span `[floor(t - behind - length, hop), t)` before an event at `t`.

    With `behind > 0` the near edge is `floor(t - behind, hop)`: a window that ends before the
    facts it counts are still uncertain, such as fraud labels that arrive a week late.

    All three are microseconds. `length` and `behind` must be multiples of `hop`.

    >>> Window(length=HOUR, hop=MINUTE).first_tile(2 * HOUR)
    60
    """

    length: int
    hop: int
    behind: int = 0

    def __post_init__(self) -> None:
        if self.hop <= 0 or self.length <= 0 or self.behind < 0:
            raise ValueError(
                f"a window needs length > 0, hop > 0 and behind >= 0 microseconds, got "
                f"length={self.length}, hop={self.hop}, behind={self.behind}"
            )
        if self.length % self.hop or self.behind % self.hop:
            raise ValueError(
                f"length and behind must be multiples of hop={self.hop}, got "
                f"length={self.length}, behind={self.behind}"
            )

    def first_tile(self, time: Any) -> Any:
        """The first tile inside the window at `time` (int or int64 array, microseconds UTC)."""
        return (time - self.behind - self.length) // self.hop

    def end_tile(self, time: Any) -> Any:
        """The first tile past a window that lies `behind`; only meaningful when `behind > 0`."""
        return (time - self.behind) // self.hop

    @property
    def reach(self) -> int:
        """How many microseconds back from now an event can still count."""
        return self.length + self.behind + self.hop

    @property
    def label(self) -> str:
        """`7d`, or `7d_behind_7d`."""
        tail = f"_behind_{span(self.behind)}" if self.behind else ""
        return span(self.length) + tail


def span(microseconds: int) -> str:
    """The shortest exact way to write a duration.

    >>> span(90 * MINUTE), span(24 * HOUR)
    ('90m', '1d')
    """
    for size, letter in _UNITS:
        if microseconds % size == 0:
            return f"{microseconds // size}{letter}"
    return f"{microseconds}us"
