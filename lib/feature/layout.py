"""Where a feature set's measures are kept: profiles, their slots of tiles, and their records."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

from lib.feature.declaration import FeatureSet
from lib.feature.measures import ONE, Distinct, Key, Latest, Quantity, Streak, Total
from lib.feature.windows import DAY, SECOND, Window

CLOCK = b"\x00"
"""The field of a key's newest event time; other records of newest events follow it."""
FIRST_TILE_SLOT = 16
_TOUCH = b"\x0f"
_SLACK = DAY


@dataclass
class Slot:
    """Tiles of one hop in one profile; each tile holds the sums of some quantities, in lanes."""

    id: int
    hop: int | None
    lanes: dict[tuple[Quantity, str | None, int | None], int] = field(default_factory=dict)
    width: int = 0
    windows: dict[Window, None] = field(default_factory=dict)

    def lane(self, quantity: Quantity, fact: str | None, within: int | None = None) -> int:
        """The first lane of a quantity, over all events or those with a fact; made if absent.

        With `within`, only what was known that many microseconds after the event happened: the
        event itself, or the fact about it.
        """
        spot = (quantity, fact, within)
        if spot not in self.lanes:
            self.lanes[spot] = self.width
            self.width += quantity.lanes
        return self.lanes[spot]

    def tile(self, time: int) -> int:
        """The tile that an event time falls into."""
        return 0 if self.hop is None else time // self.hop

    def first_tile(self, time: int) -> int:
        """The first tile that any window can reach from `time` or later."""
        return min(int(window.first_tile(time)) for window in self.windows)


@dataclass
class ProfileLayout:
    """What is kept of one key. A `lasting` profile holds what counts for ever."""

    index: int
    key: Key
    lasting: bool
    prefix: bytes
    slots: dict[tuple[str, int | None], Slot] = field(default_factory=dict)
    records: dict[tuple[Quantity | None, tuple[Quantity, ...]], bytes] = field(default_factory=dict)
    horizon: int = 0
    lifetime: int = 0

    def name(self, event: Any) -> bytes | None:
        """The profile's key for an event; None where the event lacks part of it."""
        parts = [event.get(column) for column in self.key]
        if None in parts:
            return None
        return self.prefix + "\x1f".join(map(str, parts)).encode()


class TotalPlace(NamedTuple):
    """Where a total is read: lanes of a slot; `without` is -1 where nothing is left out.

    Totals of the same slot and window have the same `view`, so that they are summed once.
    """

    column: str
    profile: int
    slot: Slot
    window: Window | None
    view: int
    lane: int
    without: int
    squared: bool


class DistinctPlace(NamedTuple):
    """Where a distinct count is read, and where its pairs are marked."""

    column: str
    profile: int
    slot: Slot
    window: Window
    view: int
    pair: int
    mark: bytes


class LatestPlace(NamedTuple):
    """Where a newest event is read."""

    columns: tuple[str, ...]
    profile: int
    record: bytes
    horizon: int


class StreakPlace(NamedTuple):
    """Where a streak is read: lanes of events, of bad ones, and of the quantity."""

    columns: tuple[str, ...]
    profile: int
    slot: Slot
    window: Window
    events: int
    bad: int
    total: int


class Layout:
    """The layout of a feature set; the same declarations always give the same one."""

    def __init__(self, features: FeatureSet) -> None:
        self._name = features.name
        self._slot_ids = count(FIRST_TILE_SLOT)
        self._profiles: dict[tuple[Key, bool], ProfileLayout] = {}
        self._views: dict[tuple[int, Window | None], int] = {}
        self.totals: list[TotalPlace] = []
        self.distincts: list[DistinctPlace] = []
        self.latest: list[LatestPlace] = []
        self.streaks: list[StreakPlace] = []
        for wanted in features.measures():
            if isinstance(wanted, Total):
                self._place_total(wanted)
            elif isinstance(wanted, Distinct):
                self._place_distinct(wanted)
            elif isinstance(wanted, Streak):
                self._place_streak(wanted)
            else:
                self._place_latest(wanted)
        self.profiles = tuple(self._profiles.values())
        for profile in self.profiles:
            profile.lifetime = _lifetime(profile)

    def _profile(self, key: Key, lasting: bool = False) -> ProfileLayout:
        spot = (key, lasting)
        if spot not in self._profiles:
            index = len(self._profiles)
            prefix = f"{self._name}:{index}:".encode()
            self._profiles[spot] = ProfileLayout(index, key, lasting, prefix)
            if not lasting:
                self._profiles[spot].records[(None, ())] = CLOCK
        return self._profiles[spot]

    def _slot(self, profile: ProfileLayout, kind: str, window: Window | None) -> Slot:
        spot = (kind, window.hop if window else None)
        if spot not in profile.slots:
            profile.slots[spot] = Slot(next(self._slot_ids), spot[1])
        slot = profile.slots[spot]
        if window:
            slot.windows[window] = None
        return slot

    def _view(self, slot: Slot, window: Window | None) -> int:
        return self._views.setdefault((slot.id, window), len(self._views))

    def _place_total(self, wanted: Total) -> None:
        profile = self._profile(wanted.key, wanted.window is None)
        slot = self._slot(profile, "totals", wanted.window)
        lane = slot.lane(wanted.quantity, wanted.fact)
        without = slot.lane(wanted.quantity, wanted.without) if wanted.without else -1
        squared = wanted.quantity.squared
        view = self._view(slot, wanted.window)
        self.totals.append(
            TotalPlace(
                wanted.column, profile.index, slot, wanted.window, view, lane, without, squared
            )
        )

    def _place_distinct(self, wanted: Distinct) -> None:
        profile = self._profile(wanted.key)
        slot = self._slot(profile, f"distinct {wanted.of}", wanted.window)
        pair = self._profile(wanted.pair)
        pair.horizon = max(pair.horizon, wanted.window.reach)
        mark = _TOUCH + bytes((slot.id,))
        view = self._view(slot, wanted.window)
        self.distincts.append(
            DistinctPlace(wanted.column, profile.index, slot, wanted.window, view, pair.index, mark)
        )

    def _place_streak(self, wanted: Streak) -> None:
        profile = self._profile(wanted.key)
        slot = self._slot(profile, "totals", wanted.window)
        settles = wanted.window.behind
        events = slot.lane(ONE, None, settles)
        bad = slot.lane(ONE, wanted.fact, settles)
        total = slot.lane(wanted.quantity, None, settles)
        self.streaks.append(
            StreakPlace(wanted.columns, profile.index, slot, wanted.window, events, bad, total)
        )

    def _place_latest(self, wanted: Latest) -> None:
        profile = self._profile(wanted.key)
        spot = (wanted.only, wanted.quantities)
        record = profile.records.setdefault(spot, bytes((len(profile.records),)))
        profile.horizon = max(profile.horizon, wanted.horizon)
        self.latest.append(LatestPlace(wanted.columns, profile.index, record, wanted.horizon))


def _lifetime(profile: ProfileLayout) -> int:
    """Seconds that a profile matters after its last event; 0: for ever."""
    if profile.lasting:
        return 0
    reaches = [window.reach for slot in profile.slots.values() for window in slot.windows]
    return (max([profile.horizon, *reaches]) + _SLACK) // SECOND
