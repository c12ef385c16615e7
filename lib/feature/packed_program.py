"""Programs for `kernel_packed`: what is read of the packed profiles of an event, as two arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from lib.feature import kernel_packed
from lib.feature.column_measures import NewestValue
from lib.feature.declaration import (
    Age,
    Aggregate,
    Count,
    Deviation,
    DistinctCount,
    IsFirstSeen,
    LabelledStreak,
    LastValue,
    Mean,
    Rate,
    Sum,
)
from lib.feature.jit import IS_COMPILED, Ints
from lib.feature.kernel_packed import Floats
from lib.feature.packed_profiles import PackedProfiles
from lib.feature.row_evaluator import AggregateStep
from lib.feature.windows import DAY, MINUTE, Window

_GOOD_AGE, _COUNT, _OLDEST_AGE, _TOTAL, _NEWEST_AGE = range(5)
_STREAK_AGES = {
    "days_since_good": _GOOD_AGE,
    "days": _OLDEST_AGE,
    "days_since_settled": _NEWEST_AGE,
}
_Operation = tuple[int, tuple[int, ...], float, float]
"""An operation, its parts by their places among the aggregate's, and its two numbers."""


class NotCompiledError(Exception):
    """A program cannot say this; the message names it."""


class PackedProgram:
    """Made step by step, then run for any number of events."""

    def __init__(self) -> None:
        self._code, self._numbers = [0], list[float]()
        self._program: tuple[Ints, Floats] | None = None

    @contextmanager
    def profile(self, fields: int) -> Iterator[None]:
        """What is added within is of the next profile, of so many fields."""
        self._code[0] += 1
        with self._block(fields):
            yield

    @contextmanager
    def field(self, field: int) -> Iterator[None]:
        """What is added within reads a field; fields come in order."""
        with self._block(field):
            yield

    def run(
        self,
        width: int,
        window: Window | None,
        plain: int,
        lanes: Sequence[int],
        specials: Sequence[tuple[int, int, bool]],
        steps: Sequence[AggregateStep],
    ) -> None:
        """Totals of a window over a run, or over all of it.

        Args:
            width: numbers of a tile.
            window: which tiles.
            plain: how many of `lanes` are totals by themselves.
            lanes: that are added up.
            specials: lane, what is left out (-1: nothing) and whether it is of squares.
            steps: what becomes of the totals.

        Raises:
            NotCompiledError: too many totals, or another aggregate.
        """
        if len(lanes) + len(specials) > kernel_packed.MOST_MEASURED:
            raise NotCompiledError(f"{len(lanes)} lanes of a window")
        spans = (window.hop, window.length, window.behind) if window else (0, 0, 0)
        with self._block(kernel_packed.RUN):
            self._code += [width, *spans, plain, len(lanes), *lanes, len(specials)]
            for lane, without, squared in specials:
                self._code += [lane, without, int(squared)]
            self._finish(steps)

    def latest(self, horizon: int, squared: Sequence[bool], steps: Sequence[AggregateStep]) -> None:
        """Age and quantities of the newest event.

        Raises:
            NotCompiledError: too many quantities, or another aggregate.
        """
        if 1 + len(squared) > kernel_packed.MOST_MEASURED:
            raise NotCompiledError(f"{len(squared)} quantities of an event")
        with self._block(kernel_packed.LATEST):
            self._code += [horizon, len(squared), *map(int, squared)]
            self._finish(steps)

    def streak(
        self, lanes: tuple[int, int, int, int], window: Window, steps: Sequence[AggregateStep]
    ) -> None:
        """Bad events at the end of a window; `lanes`: width, events, bad and total."""
        with self._block(kernel_packed.STREAK):
            self._code += [*lanes, window.hop, window.length, window.behind]
            self._finish(steps)

    def read(
        self, profiles: PackedProfiles, time: int, without_history: Sequence[float]
    ) -> list[float] | None:
        """The values of all features by place, aggregates filled in.

        Args:
            profiles: of the event.
            time: of the event, microseconds UTC.
            without_history: the values where there are no profiles.

        Returns:
            None where the profiles are nothing that the kernel can read.
        """
        if self._program is None:
            numbers = np.array(self._numbers, dtype=np.float64)
            self._program = np.array(self._code, dtype=np.int64), numbers
        code, numbers = self._program
        values = np.array(without_history, dtype=np.float64)
        state = np.frombuffer(profiles.state, dtype=np.uint8)
        if not kernel_packed.read_packed(state, profiles.start, code, numbers, time, values):
            return None
        filled: list[float] = values.tolist()
        return filled

    @contextmanager
    def _block(self, head: int) -> Iterator[None]:
        """A head, and the place after what is added within."""
        self._code += [head, 0]
        end = len(self._code) - 1
        yield
        self._code[end] = len(self._code)

    def _finish(self, steps: Sequence[AggregateStep]) -> None:
        self._code.append(len(steps))
        for step in steps:
            operation, parts, first, second = _operation(step.aggregate)
            places = [step.places[part] for part in parts]
            places += [0] * (kernel_packed.FINISH_PARTS - len(places))
            self._code += [step.position, operation, len(self._numbers), *places]
            self._numbers += [step.empty, first, second]


def load_kernel() -> None:
    """Loads the kernel, or compiles it where no process did before: seconds, once."""
    if IS_COMPILED:
        PackedProgram().read(PackedProfiles(b"\xdc\0\0", 0), 0, [])


def _streak_operation(aggregate: LabelledStreak) -> _Operation:
    if aggregate.part == "count":
        return kernel_packed.PART, (_COUNT,), 0.0, 0.0
    if aggregate.part == "mean":
        return kernel_packed.MEAN, (_COUNT, _TOTAL), aggregate.scale, 0.0
    return kernel_packed.AGE, (_STREAK_AGES[aggregate.part],), float(DAY), 0.0


def _operation(aggregate: Aggregate) -> _Operation:
    operation: _Operation
    match aggregate:
        case Count() | DistinctCount():
            operation = kernel_packed.PART, (0,), 0.0, 0.0
        case Sum():
            operation = kernel_packed.SCALED, (0,), aggregate.scale, 0.0
        case Mean():
            operation = kernel_packed.MEAN, (0, 1), aggregate.scale, 0.0
        case Deviation():
            operation = kernel_packed.DEVIATION, (0, 1, 2), aggregate.scale, 0.0
        case Rate():
            drawn = aggregate.prior * aggregate.strength
            operation = kernel_packed.RATE, (0, 1), drawn, aggregate.strength
        case Age():
            operation = kernel_packed.AGE, (0,), float(MINUTE), 0.0
        case IsFirstSeen():
            operation = kernel_packed.FIRST_SEEN, (0,), 0.0, 0.0
        case LastValue():
            part = 1 + aggregate.all_quantities.index(aggregate.quantity)
            operation = kernel_packed.LAST, (0, part), 0.0, 0.0
        case NewestValue():
            operation = kernel_packed.MULTIPLIED, (0, 1), aggregate.resolution, 0.0
        case LabelledStreak():
            operation = _streak_operation(aggregate)
        case _:
            raise NotCompiledError(type(aggregate).__name__)
    return operation
