"""What profiles say about an event: window sums, newest events, streaks, and their features."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from lib.feature.layout import (
    DistinctSlot,
    LatestSlot,
    Layout,
    ProfileLayout,
    Run,
    StreakSlot,
    TotalSlot,
)
from lib.feature.measures import Latest, Measure, Streak
from lib.feature.packed_program import PackedProgram
from lib.feature.profile_exchange import CLOCK, Profile
from lib.feature.row_evaluator import RowEvaluator
from lib.feature.update_plan import LOW_BITS
from lib.feature.windows import Window

_field = attrgetter("field")


class ProfileReader:
    """Reads one profile, by a reader for each field that turns its numbers into features.

    Readers are given the numbers of their field, not empty; the event's time; the newest event
    time of the key, the event's included, where windows end; and the values of all features by
    place, of which they leave those that there is nothing of.
    """

    def __init__(self, layout: Layout, profile: ProfileLayout, steps: RowEvaluator) -> None:
        locations = {m: p for m, p in layout.places.items() if p.profile is profile}
        runs: dict[int, tuple[Run, list[Measure]]] = {}
        self._readers: list[_RunReader | _LatestReader | _StreakReader] = []
        for measure, location in locations.items():
            if isinstance(location, TotalSlot | DistinctSlot):
                runs.setdefault(location.run.field, (location.run, []))[1].append(measure)
            elif isinstance(measure, Latest) and isinstance(location, LatestSlot):
                self._readers.append(_LatestReader(measure, location, steps))
            elif isinstance(measure, Streak) and isinstance(location, StreakSlot):
                self._readers.append(_StreakReader(measure, location, steps))
        for run, measures in runs.values():
            self._readers.append(_RunReader(layout, run, measures, steps))
        self._fields = profile.fields

    def add_to(self, program: PackedProgram) -> None:
        """Adds what is read here to a program for packed profiles."""
        with program.profile(self._fields):
            for field, readers in groupby(sorted(self._readers, key=_field), key=_field):
                with program.field(field):
                    for reader in readers:
                        reader.add_to(program)

    def read(self, profile: Profile, time: int, values: list[float]) -> None:
        """Puts the profile's features of an event at `time` into `values`, by place."""
        clock = profile[CLOCK]
        now = clock[0] if clock and clock[0] > time else time
        for reader in self._readers:
            if numbers := profile[reader.field]:
                reader.read(numbers, time, now, values)


class _Special(NamedTuple):
    """A total of several lanes, as places among a window's lane sums.

    A square is in two lanes; `without` is what is left out, -1 where all count.
    """

    lane: int
    without: int
    squared: bool

    def total(self, sums: list[int]) -> float:
        """The total, from the sums of the lanes."""
        total = sums[self.lane]
        if self.squared:
            total += sums[self.lane + 1] << LOW_BITS
        if self.without >= 0:
            total -= sums[self.without]
            if self.squared:
                total -= sums[self.without + 1] << LOW_BITS
        return float(total)


class _View:
    """The totals of one window over a run, and the features made of them."""

    def __init__(
        self, layout: Layout, window: Window | None, measures: list[Measure], steps: RowEvaluator
    ) -> None:
        self.window = window
        locations = {measure: layout.places[measure] for measure in measures}
        special = {m: p for m, p in locations.items() if isinstance(p, TotalSlot) and p.special}
        plain = [measure for measure in measures if measure not in special]
        self._plain = len(plain)
        self.lanes = [getattr(locations[measure], "lane", 1) for measure in plain]
        self._specials = [self._special(location) for location in special.values()]
        self._steps = steps.finishes([*plain, *special])
        self._finishes = tuple(step.run for step in self._steps)

    def _special(self, location: TotalSlot) -> _Special:
        count = 2 if location.squared else 1
        without = self._sum_of(location.without, count) if location.without else -1
        return _Special(self._sum_of(location.lane, count), without, location.squared)

    def _sum_of(self, lane: int, count: int) -> int:
        """Where the sums of a lane and those after it will be."""
        if lane not in self.lanes or count > 1:
            self.lanes += range(lane, lane + count)
        return len(self.lanes) - count if count > 1 else self.lanes.index(lane)

    def add_to(self, program: PackedProgram, width: int) -> None:
        """Adds the window, whose tiles have so many numbers, to a program."""
        specials = [(s.lane, s.without, s.squared) for s in self._specials]
        program.run(width, self.window, self._plain, self.lanes, specials, self._steps)

    def finish(self, sums: list[int], values: list[float]) -> None:
        """Puts features into `values`; `sums` are those of `lanes`."""
        measured = tuple(map(float, sums[: self._plain]))
        if self._specials:
            measured += tuple([special.total(sums) for special in self._specials])
        for position, finish, parts, empty in self._finishes:
            values[position] = finish(parts(measured), empty)


class _RunReader:
    """Reads all windows of a run."""

    def __init__(
        self, layout: Layout, run: Run, measures: Iterable[Measure], steps: RowEvaluator
    ) -> None:
        windows: dict[Window | None, list[Measure]] = defaultdict(list)
        for measure in measures:
            windows[getattr(measure, "window", None)].append(measure)
        self.field, self._width = run.field, run.width
        self._views = [_View(layout, window, of, steps) for window, of in windows.items()]

    def add_to(self, program: PackedProgram) -> None:
        """Adds all windows to a program."""
        for view in self._views:
            view.add_to(program, self._width)

    def read(self, numbers: list[int], time: int, now: int, values: list[float]) -> None:  # noqa: ARG002
        width = self._width
        tiles = numbers[-width::-width]
        count = len(tiles)
        for view in self._views:
            start, stop = 0, count
            if (window := view.window) is not None:
                end = now - window.behind
                stop -= bisect_left(tiles, (end - window.length) // window.hop)
                if window.behind:
                    start = count - bisect_left(tiles, end // window.hop)
            if start < stop:
                start, stop = start * width, stop * width
                view.finish(
                    [sum(numbers[start + lane : stop : width]) for lane in view.lanes], values
                )


class _LatestReader:
    """Reads the newest event."""

    def __init__(self, measure: Latest, location: LatestSlot, steps: RowEvaluator) -> None:
        self.field = location.record
        self._horizon = measure.horizon
        self._squared = [quantity.squared for quantity in measure.quantities]
        self._steps = steps.finishes([measure])
        self._finishes = tuple(step.run for step in self._steps)

    def add_to(self, program: PackedProgram) -> None:
        """Adds the record to a program."""
        program.latest(self._horizon, self._squared, self._steps)

    def read(self, numbers: list[int], time: int, now: int, values: list[float]) -> None:  # noqa: ARG002
        age = abs(time - numbers[0])
        if age <= self._horizon:
            measured = (float(age), *self._quantities(iter(numbers[1:])))
            for position, finish, parts, empty in self._finishes:
                values[position] = finish(parts(measured), empty)

    def _quantities(self, numbers: Iterator[int]) -> list[float]:
        return [
            float(next(numbers) + (next(numbers) << LOW_BITS) if squared else next(numbers))
            for squared in self._squared
        ]


class _StreakReader:
    """Reads the run of bad events that a run's settled tiles end with."""

    def __init__(self, measure: Streak, location: StreakSlot, steps: RowEvaluator) -> None:
        self.field, self._run = location.run.field, location.run
        self._total, self._window = location.total, measure.window
        self._steps = steps.finishes([measure])
        self._finishes = tuple(step.run for step in self._steps)

    def add_to(self, program: PackedProgram) -> None:
        """Adds the streak to a program."""
        run = self._run
        lanes = (run.width, run.events, run.bad, self._total)
        program.streak(lanes, self._window, self._steps)

    def read(self, numbers: list[int], time: int, now: int, values: list[float]) -> None:  # noqa: ARG002
        measured = self._measured(numbers, now)
        for position, finish, parts, empty in self._finishes:
            values[position] = finish(parts(measured), empty)

    def _measured(self, numbers: list[int], now: int) -> tuple[float, ...]:
        """The numbers of `Streak.columns`: settled tiles from the newest back to a good one."""
        run, window = self._run, self._window
        first, end = window.first_tile(now), window.end_tile(now)
        good = oldest = newest = -1
        count = total = 0
        tiles = numbers[-run.width :: -run.width]
        unsettled = len(tiles) - bisect_left(tiles, end)
        for at in range(unsettled * run.width, len(numbers), run.width):
            tile, events = numbers[at], numbers[at + run.events]
            if tile < first:
                break
            if not events:
                continue
            age = now - tile * window.hop
            newest = age if newest < 0 else newest
            if events > numbers[at + run.bad]:
                good = age
                break
            count += events
            total += numbers[at + self._total]
            oldest = age
        return (float(good), float(count), float(oldest), float(total), float(newest))
