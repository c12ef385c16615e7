"""Where a feature set's measures are kept: profiles, their runs of tiles, and their records."""

import dataclasses
import hashlib
from typing import NamedTuple, TypeAlias

from lib.feature.declaration import FeatureSet
from lib.feature.measures import EVENTS, Distinct, Key, Latest, Measure, Quantity, Streak, Total
from lib.feature.profile_exchange import CLOCK, FOR_EVER, NO_FIELD, RunTrim
from lib.feature.windows import DAY, SECOND, Window

SETTLING_SLACK = 2 * DAY
"""How long after it settled a tile may still change because a fact came through late."""
_EXPIRY_SLACK = DAY

Record: TypeAlias = tuple[Quantity | None, tuple[Quantity, ...]]
"""What is kept of the newest event; with a first quantity, of the newest for which it is not 0."""
Lane: TypeAlias = tuple[Quantity, str | None, int | None]
"""A quantity over all events or those with a fact; with a number, only what was known that many
microseconds after the event happened: the event itself, or the fact about it."""


@dataclasses.dataclass
class Run:
    """Tiles of one hop in one profile; each tile holds the sums of some quantities, in lanes.

    Args:
        field: its field in the profile.
        kind: what it holds; runs of a kind and hop are shared.
        hop: microseconds of a tile; None for one tile that holds everything.
        settles: for streaks, when an event settles; 0 for anything else.
        events, bad: for streaks, the places of the events and of the bad ones within a tile.
    """

    field: int
    kind: str
    hop: int | None
    settles: int = 0
    lanes: dict[Lane, int] = dataclasses.field(default_factory=dict)
    width: int = 1
    windows: dict[Window, None] = dataclasses.field(default_factory=dict)
    events: int = 0
    bad: int = 0

    def lane(self, quantity: Quantity, fact: str | None, within: int | None = None) -> int:
        """The place of a lane within a tile; made if absent."""
        lane_key = (quantity, fact, within)
        if lane_key not in self.lanes:
            self.lanes[lane_key] = self.width
            self.width += quantity.lanes
        return self.lanes[lane_key]

    def trim(self, time: int, received: int) -> RunTrim:
        """What no later event can reach once an event at `time`, received then, was processed."""
        first = min(int(window.first_tile(time)) for window in self.windows)
        if not self.settles:
            return RunTrim(self.field, self.width, first)
        settled = (min(time, received) - self.settles - SETTLING_SLACK) // (self.hop or 1)
        return RunTrim(self.field, self.width, first, settled, self.events, self.bad)


@dataclasses.dataclass
class ProfileLayout:
    """What is kept of one key.

    `clock` says whether the key's newest event time matters: windows end there for events that
    come late. `lasting` is the field of what counts for ever.
    """

    key: Key
    runs: dict[tuple[str, int | None], Run] = dataclasses.field(default_factory=dict)
    records: dict[Record, int] = dataclasses.field(default_factory=dict)
    horizon: int = 0
    clock: bool = False
    lasting: int = NO_FIELD

    @property
    def fields(self) -> int:
        """How many fields there are, the clock included."""
        return 1 + len(self.runs) + len(self.records)

    def run(self, kind: str, window: Window | None, settles: int = 0) -> Run:
        """The run that a window is read from; made if absent."""
        run_key = (kind, window.hop if window else None)
        if run_key not in self.runs:
            self.runs[run_key] = Run(self.fields, kind, run_key[1], settles)
        run = self.runs[run_key]
        if window:
            run.windows[window] = None
            self.clock = True
        else:
            self.lasting = run.field
        return run

    def record(self, only: Quantity | None, quantities: tuple[Quantity, ...]) -> int:
        """The field of the newest event's time and quantities; made if absent."""
        if only is None and not quantities:
            self.clock = True
            return CLOCK
        return self.records.setdefault((only, quantities), self.fields)

    @property
    def lifetime(self) -> int:
        """Seconds that the profile matters after its last event."""
        reaches = [window.reach for run in self.runs.values() for window in run.windows]
        furthest = max([self.horizon, *reaches])
        return (furthest + _EXPIRY_SLACK) // SECOND if furthest else FOR_EVER

    @property
    def digest(self) -> str:
        """Differs where what is kept, or its order, differs: old profiles are not misread."""
        parts: list[object] = [self.key, self.clock]
        for run in self.runs.values():
            lanes = [(q.name, *rest, lane) for (q, *rest), lane in run.lanes.items()]
            parts += [run.field, run.kind, run.hop, lanes]
        for (only, quantities), record_field in self.records.items():
            parts += [record_field, only and only.name, [q.name for q in quantities]]
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:8]


class TotalSlot(NamedTuple):
    """Where a total is read: lanes of a run; `without` is 0 where nothing is left out."""

    profile: ProfileLayout
    run: Run
    lane: int
    without: int
    squared: bool

    @property
    def special(self) -> bool:
        """Whether the total is more than the sum of one lane."""
        return self.squared or self.without > 0


class DistinctSlot(NamedTuple):
    """Where a distinct count is read, and the profile of its pairs."""

    profile: ProfileLayout
    run: Run
    pair: ProfileLayout


class LatestSlot(NamedTuple):
    """Where a newest event is read."""

    profile: ProfileLayout
    record: int


class StreakSlot(NamedTuple):
    """Where a streak is read, and the lane of its quantity."""

    profile: ProfileLayout
    run: Run
    total: int


Slot: TypeAlias = TotalSlot | DistinctSlot | LatestSlot | StreakSlot


class Layout:
    """The layout of a feature set; the same declarations always give the same one."""

    def __init__(self, features: FeatureSet) -> None:
        self._profiles: dict[Key, ProfileLayout] = {}
        self.places: dict[Measure, Slot] = {m: self._place_measure(m) for m in features.measures()}
        self.profiles = tuple(self._profiles.values())

    @property
    def distincts(self) -> list[DistinctSlot]:
        """Where pairs are counted: once for each run, however many windows are read from it."""
        slots = [slot for slot in self.places.values() if isinstance(slot, DistinctSlot)]
        return list({(slot.profile.key, slot.run.field): slot for slot in slots}.values())

    def _place_measure(self, measure: Measure) -> Slot:
        if isinstance(measure, Total):
            return self._place_total(measure)
        if isinstance(measure, Distinct):
            return self._place_distinct(measure)
        if isinstance(measure, Streak):
            return self._place_streak(measure)
        return self._place_latest(measure)

    def _profile(self, key: Key) -> ProfileLayout:
        # a device's users and a user's devices are the same pairs
        key = tuple(sorted(key))
        return self._profiles.setdefault(key, ProfileLayout(key))

    def _place_total(self, measure: Total) -> TotalSlot:
        profile = self._profile(measure.key)
        run = profile.run("totals", measure.window)
        lane = run.lane(measure.quantity, measure.fact)
        without = run.lane(measure.quantity, measure.without) if measure.without else 0
        return TotalSlot(profile, run, lane, without, measure.quantity.squared)

    def _place_distinct(self, measure: Distinct) -> DistinctSlot:
        profile, pair = self._profile(measure.key), self._profile(measure.pair)
        run = profile.run(f"distinct {measure.of}", measure.window)
        run.width = 2
        pair.horizon = max(pair.horizon, measure.window.reach)
        pair.clock = True
        return DistinctSlot(profile, run, pair)

    def _place_streak(self, measure: Streak) -> StreakSlot:
        profile = self._profile(measure.key)
        settles = measure.window.behind
        run = profile.run(f"streak {measure.fact} {settles}", measure.window, settles)
        run.events = run.lane(EVENTS, None, settles)
        run.bad = run.lane(EVENTS, measure.fact, settles)
        return StreakSlot(profile, run, run.lane(measure.quantity, None, settles))

    def _place_latest(self, measure: Latest) -> LatestSlot:
        profile = self._profile(measure.key)
        profile.horizon = max(profile.horizon, measure.horizon)
        return LatestSlot(profile, profile.record(measure.only, measure.quantities))
