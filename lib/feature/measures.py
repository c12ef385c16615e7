"""Measures: the whole numbers that features are made of.

A measure is what the engine accumulates; both ways of computing, offline and online, give the same
integers, whatever the order of addition. Everything after that is arithmetic on single rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lib.feature.windows import Window, span

Key = tuple[str, ...]
"""The columns that name an entity; several columns name a combination, such as user and device."""


@dataclass(frozen=True, eq=False)
class Quantity:
    """A whole number read off one event; one object is one quantity.

    Args:
        name: how measures refer to it.
        columns: the columns that `read` is given.
        read: takes one value (or one array) per column, gives an int (or an int64 array). Missing
            values come as NaN in float columns and must give 0.
        squared: accumulate the square of the number. Squares are kept in two lanes of 24 low and
            the remaining high bits, so that sums stay below 2**53 in stores that count in doubles.
    """

    name: str
    columns: tuple[str, ...]
    read: Callable[..., Any]
    squared: bool = False

    @property
    def lanes(self) -> int:
        """How many stored numbers the quantity takes."""
        return 2 if self.squared else 1


def read_one() -> int:
    """The quantity that counts events."""
    return 1


EVENTS = Quantity("events", (), read_one)


@dataclass(frozen=True)
class Total:
    """Sum of a quantity over a key's earlier events.

    Args:
        key: whose events.
        quantity: what is summed.
        window: which events; None means all there ever were.
        fact: only events of which this fact is known by now (None: every event).
        without: leave out events of which this fact is known by now.
    """

    key: Key
    quantity: Quantity
    window: Window | None
    fact: str | None = None
    without: str | None = None

    def __post_init__(self) -> None:
        if self.fact and self.without:
            raise ValueError(f"a total has either fact or without, got both for key {self.key}")

    @property
    def column(self) -> str:
        """The name of the intermediate column."""
        parts = ["total", self.quantity.name, *self.key, _window_label(self.window)]
        parts += [f"if_{self.fact}"] if self.fact else []
        parts += [f"unless_{self.without}"] if self.without else []
        return ":".join(parts)


@dataclass(frozen=True)
class Distinct:
    """How many different values of the column `of` a key's earlier events had in a window."""

    key: Key
    of: str
    window: Window

    def __post_init__(self) -> None:
        if self.window.behind:
            raise ValueError("a distinct count cannot lie behind: its window must reach up to now")

    @property
    def pair(self) -> Key:
        """The combination whose last appearance is tracked."""
        return (*self.key, self.of)

    @property
    def column(self) -> str:
        """The name of the intermediate column."""
        return ":".join(["distinct", self.of, *self.key, self.window.label])


@dataclass(frozen=True)
class Latest:
    """The newest earlier event of a key: its time, and quantities read off it.

    Args:
        key: whose events.
        horizon: how far back to look, in microseconds; older events count as none.
        quantities: what is remembered beside the time.
        only: a quantity; events for which it is 0 are passed over.

    Several events at the same time: the one processed last is the newest.
    """

    key: Key
    horizon: int
    quantities: tuple[Quantity, ...] = ()
    only: Quantity | None = None

    @property
    def name(self) -> str:
        """What tells this measure from others."""
        tail = [self.only.name] if self.only else []
        return ":".join(["latest", *self.key, span(self.horizon), *tail])

    @property
    def columns(self) -> tuple[str, ...]:
        """The intermediate columns: the age in microseconds (-1: none), then the quantities."""
        return (self.name, *(f"{self.name}:{q.name}" for q in self.quantities))


@dataclass(frozen=True)
class Streak:
    """The unbroken run of events with a fact at the end of a window that lies `behind`.

    By the time an event is `behind` old, it is *settled*: a fact that was known by then makes it a
    bad event, and it stays a good one otherwise, whatever is said later. The streak is all settled
    events in tiles after the newest tile with a good event. Events received later than `behind`
    after they happened never count.

    Args:
        key: whose events.
        quantity: summed over the streak.
        window: where to look; `window.behind` is when an event settles.
        fact: what makes an event bad.
    """

    key: Key
    quantity: Quantity
    window: Window
    fact: str

    def __post_init__(self) -> None:
        if not self.window.behind:
            raise ValueError("a streak needs a window that lies behind: when do events settle?")

    @property
    def name(self) -> str:
        """What tells this measure from others."""
        parts = ["streak", self.fact, self.quantity.name, *self.key, _window_label(self.window)]
        return ":".join(parts)

    @property
    def columns(self) -> tuple[str, ...]:
        """The intermediate columns; ages in microseconds to the start of a tile, -1 for none.

        Age of the newest tile with a good event, events in the streak, age of its oldest tile, its
        sum of the quantity, and the age of the newest settled tile.
        """
        parts = ("good_age", "count", "oldest_age", "total", "newest_age")
        return tuple(f"{self.name}:{part}" for part in parts)


Measure = Total | Distinct | Latest | Streak


def measure_columns(measure: Measure) -> tuple[str, ...]:
    """The intermediate int64 columns that a measure fills."""
    return measure.columns if isinstance(measure, Latest | Streak) else (measure.column,)


def quantities_of(measure: Measure) -> tuple[Quantity, ...]:
    """The quantities that a measure reads off an event."""
    if isinstance(measure, Total | Streak):
        return (measure.quantity,)
    if isinstance(measure, Latest):
        return measure.quantities + ((measure.only,) if measure.only else ())
    return ()


def nothing_measured(measure: Measure) -> tuple[int, ...]:
    """A measure's numbers for an event without the key, or without earlier events of it."""
    if isinstance(measure, Latest):
        return (-1, *[0] * len(measure.quantities))
    return (-1, 0, -1, 0, -1) if isinstance(measure, Streak) else (0,)


def _window_label(window: Window | None) -> str:
    return f"{window.label}@{span(window.hop)}" if window else "ever"
