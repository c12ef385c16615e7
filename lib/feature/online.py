"""Features of one event, from profiles kept as tiles.

`request` says what to ask of the profile store, `read` turns its reply into features; neither does
any I/O, so the same code serves a job, a test and an event loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lib.feature.declaration import Category, FeatureSet
from lib.feature.evaluate import evaluate
from lib.feature.measures import ONE, Distinct, Key, Latest, Quantity, Total
from lib.feature.profile import (
    Add,
    Exchange,
    Keep,
    Profile,
    Reply,
    Touch,
    split_tile_field,
    tile_field,
)
from lib.feature.windows import DAY, SECOND, Window

Event = Mapping[str, Any]
"""One event by column: times in microseconds UTC, missing floats NaN, missing strings None."""

CLOCK = b"\x00"
_LOW_BITS = 24
_FIRST_TILE_SLOT = 16
_SLACK = DAY


@dataclass
class _Slot:
    """Tiles of one hop in one profile; each tile holds some lanes."""

    id: int
    hop: int | None
    lanes: dict[tuple[Quantity, str | None], int] = field(default_factory=dict)
    width: int = 0
    windows: dict[Window, None] = field(default_factory=dict)

    def lane(self, quantity: Quantity, fact: str | None) -> int:
        """The first lane of a quantity, made if absent."""
        spot = (quantity, fact)
        if spot not in self.lanes:
            self.lanes[spot] = self.width
            self.width += quantity.lanes
        return self.lanes[spot]

    @property
    def reach(self) -> int:
        return max((w.reach for w in self.windows), default=0)

    def tile(self, time: int) -> int:
        return 0 if self.hop is None else time // self.hop


@dataclass
class _Plan:
    """What is kept of one key. `lasting` profiles hold what counts for ever."""

    key: Key
    lasting: bool
    prefix: bytes
    slots: dict[tuple[str, int | None], _Slot] = field(default_factory=dict)
    latest: dict[tuple[Quantity | None, tuple[Quantity, ...]], bytes] = field(default_factory=dict)
    horizon: int = 0

    def name(self, event: Event) -> bytes | None:
        """The profile's key for an event; None where the event lacks part of it."""
        parts = [event.get(column) for column in self.key]
        if any(part is None for part in parts):
            return None
        return self.prefix + b"\x1f".join(str(part).encode() for part in parts)

    @property
    def lifetime(self) -> int:
        """Seconds that a profile matters after its last event; 0: for ever."""
        reach = max([self.horizon, *(slot.reach for slot in self.slots.values())])
        return 0 if self.lasting else (reach + _SLACK) // SECOND


@dataclass(frozen=True)
class Observation:
    """What an event looked like when it was first seen.

    Args:
        values: every feature by name, NaN where missing.
        first: False for an event that was seen before (a retry).
        answer: the answer that was settled for it, if there is one; then `values` is empty.
    """

    values: dict[str, float]
    first: bool
    answer: bytes | None = None


class OnlineFeatures:
    """Plans the exchanges of a feature set.

    Args:
        features: the declarations.
        receipt_seconds: how long a retry is recognised.
    """

    def __init__(self, features: FeatureSet, receipt_seconds: int = 3600) -> None:
        self.features = features
        self.receipt_seconds = receipt_seconds
        self._slot_ids = iter(range(_FIRST_TILE_SLOT, 256))
        self._plans: dict[tuple[Key, bool], _Plan] = {}
        self._touches: dict[Distinct, tuple[_Plan, bytes, _Plan, _Slot]] = {}
        self._totals: dict[Total, tuple[_Plan, _Slot]] = {}
        self._latest: dict[Latest, tuple[_Plan, bytes]] = {}
        self._codes = {f.name: f.codes for f in features.features if isinstance(f, Category)}
        for wanted in features.measures():
            self._place(wanted)
        self._order = tuple(self._plans.values())

    def request(self, event: Event) -> Exchange:
        """The exchange that reads an event's history and adds the event to it."""
        time = int(event[self.features.time_column])
        used = [(plan, name) for plan in self._order if (name := plan.name(event)) is not None]
        place = {id(plan): i for i, (plan, _) in enumerate(used)}
        amounts = _Amounts(event)
        adds = tuple(
            Add(place[id(plan)], tile_field(slot.id, slot.tile(time)), lanes)
            for plan, _ in used
            for slot in plan.slots.values()
            if (lanes := _lanes(slot, amounts, None)) is not None
        )
        keeps = tuple(
            Keep(place[id(plan)], name, (time, *(amounts[q] for q in quantities)))
            for plan, _ in used
            for (only, quantities), name in plan.latest.items()
            if only is None or amounts[only]
        )
        touches = tuple(
            Touch(place[id(pair)], mark, place[id(plan)], slot.id, slot.tile(time))
            for pair, mark, plan, slot in self._touches.values()
            if id(pair) in place
        )
        return Exchange(
            receipt=str(event[self.features.id_column]),
            keys=tuple(name for _, name in used),
            lifetimes=tuple(plan.lifetime for plan, _ in used),
            expired=tuple(_expired(plan, time) for plan, _ in used),
            adds=adds,
            keeps=keeps,
            touches=touches,
            receipt_seconds=self.receipt_seconds,
        )

    def read(self, event: Event, reply: Reply) -> Observation:
        """The event's features, from the profiles as they were before it."""
        if reply.answer is not None:
            return Observation({}, reply.first, reply.answer)
        names = [plan for plan in self._order if plan.name(event) is not None]
        profiles = {
            id(plan): _Read(profile) for plan, profile in zip(names, reply.profiles, strict=True)
        }
        time = int(event[self.features.time_column])
        measured = self._measured(profiles, time)
        values = evaluate(
            self.features,
            event,
            measured,
            lambda key: all(event.get(column) is not None for column in key),
            lambda c: self._codes[c.name].get(str(event.get(c.column)), 0.0),
        )
        return Observation({n: float(values[n]) for n in self.features.names}, reply.first)

    def learn(self, event: Event, fact: str, known: bool = True, revision: int = 0) -> Exchange:
        """The exchange that makes a fact about an earlier event count from now on.

        Args:
            event: the event as it was first seen.
            fact: one of the feature set's facts.
            known: False withdraws it.
            revision: the number of the statement about this event, so that each counts once.

        Raises:
            ValueError: for a fact that is not declared.
        """
        if fact not in self.features.facts:
            raise ValueError(f"fact must be one of {', '.join(self.features.facts)}, got {fact!r}")
        time = int(event[self.features.time_column])
        amounts = _Amounts(event)
        keys: list[bytes] = []
        lifetimes: list[int] = []
        adds: list[Add] = []
        for plan in self._order:
            name = plan.name(event)
            changes = [
                (slot, lanes)
                for slot in plan.slots.values()
                if (lanes := _lanes(slot, amounts, fact)) is not None
            ]
            if name is None or not changes:
                continue
            for slot, lanes in changes:
                signed = lanes if known else tuple(-lane for lane in lanes)
                adds.append(Add(len(keys), tile_field(slot.id, slot.tile(time)), signed))
            keys.append(name)
            lifetimes.append(plan.lifetime)
        receipt = f"{fact}:{event[self.features.id_column]}:{revision}"
        return Exchange(
            receipt=receipt,
            keys=tuple(keys),
            lifetimes=tuple(lifetimes),
            expired=((),) * len(keys),
            adds=tuple(adds),
            receipt_seconds=400 * DAY // SECOND,
        )

    def _plan(self, key: Key, lasting: bool = False) -> _Plan:
        spot = (key, lasting)
        if spot not in self._plans:
            prefix = f"{self.features.name}:{len(self._plans)}:".encode()
            self._plans[spot] = _Plan(key, lasting, prefix)
            if not lasting:
                self._plans[spot].latest[(None, ())] = CLOCK
        return self._plans[spot]

    def _slot(self, plan: _Plan, kind: str, window: Window | None) -> _Slot:
        hop = window.hop if window else None
        if (kind, hop) not in plan.slots:
            plan.slots[(kind, hop)] = _Slot(next(self._slot_ids), hop)
        slot = plan.slots[(kind, hop)]
        if window:
            slot.windows[window] = None
        return slot

    def _place(self, wanted: Total | Distinct | Latest) -> None:
        if isinstance(wanted, Total):
            plan = self._plan(wanted.key, wanted.window is None)
            slot = self._slot(plan, "totals", wanted.window)
            slot.lane(wanted.quantity, wanted.fact)
            if wanted.without:
                slot.lane(wanted.quantity, wanted.without)
            self._totals[wanted] = (plan, slot)
        elif isinstance(wanted, Latest):
            plan = self._plan(wanted.key)
            spot = (wanted.only, wanted.quantities)
            name = plan.latest.setdefault(spot, bytes((len(plan.latest),)))
            plan.horizon = max(plan.horizon, wanted.horizon)
            self._latest[wanted] = (plan, name)
        else:
            plan = self._plan(wanted.key)
            slot = self._slot(plan, f"distinct {wanted.of}", wanted.window)
            pair = self._plan(wanted.pair)
            pair.horizon = max(pair.horizon, slot.reach)
            self._touches[wanted] = (pair, b"\x01" + bytes((slot.id,)), plan, slot)

    def _measured(self, profiles: Mapping[int, _Read], time: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for total, (plan, slot) in self._totals.items():
            if (profile := profiles.get(id(plan))) is not None:
                found[total.column] = float(_total(profile, slot, total, time))
        for distinct, (_, _, plan, slot) in self._touches.items():
            if (profile := profiles.get(id(plan))) is not None:
                sums = profile.sums(slot, distinct.window, time)
                found[distinct.column] = float(sums[0]) if sums else 0.0
        for latest, (plan, name) in self._latest.items():
            if (profile := profiles.get(id(plan))) is not None:
                found.update(_newest(profile.fields.get(name), latest, time))
        return found


class _Amounts(dict[Quantity, int]):
    """Quantities of one event, read when first asked for."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self._event = event

    def __missing__(self, quantity: Quantity) -> int:
        self[quantity] = int(quantity.read(*(self._event[c] for c in quantity.columns)))
        return self[quantity]


class _Read:
    """One profile, its tiles sorted into slots; window sums are made once."""

    def __init__(self, fields: Profile) -> None:
        self.fields = fields
        self.tiles: dict[int, list[tuple[int, list[int]]]] = {}
        self._sums: dict[tuple[int, Window | None], list[int]] = {}
        for name, numbers in fields.items():
            if name[0] >= _FIRST_TILE_SLOT:
                slot, tile = split_tile_field(name)
                self.tiles.setdefault(slot, []).append((tile, numbers))

    def sums(self, slot: _Slot, window: Window | None, time: int) -> list[int]:
        """The sum of each lane over a window; empty where no tile is in it."""
        spot = (slot.id, window)
        if spot not in self._sums:
            tiles: Iterable[tuple[int, list[int]]] = self.tiles.get(slot.id, ())
            if window is not None:
                clock = self.fields.get(CLOCK)
                now = time if clock is None else max(time, clock[0])
                first = window.first_tile(now)
                end = window.end_tile(now) if window.behind else None
                tiles = [t for t in tiles if t[0] >= first and (end is None or t[0] < end)]
            inside = [numbers for _, numbers in tiles]
            self._sums[spot] = (
                inside[0] if len(inside) == 1 else [sum(lane) for lane in zip(*inside, strict=True)]
            )
        return self._sums[spot]


def _total(profile: _Read, slot: _Slot, wanted: Total, time: int) -> int:
    sums = profile.sums(slot, wanted.window, time)
    if not sums:
        return 0
    total = _joined(sums, slot, wanted.quantity, wanted.fact)
    if wanted.without:
        total -= _joined(sums, slot, wanted.quantity, wanted.without)
    return total


def _joined(sums: list[int], slot: _Slot, quantity: Quantity, fact: str | None) -> int:
    lane = slot.lanes[(quantity, fact)]
    low = sums[lane]
    return low + (sums[lane + 1] << _LOW_BITS) if quantity.squared else low


def _lanes(slot: _Slot, amounts: _Amounts, fact: str | None) -> tuple[int, ...] | None:
    """What an event adds to a slot's lanes for one fact; None if nothing."""
    lanes = [0] * slot.width
    for (quantity, of), lane in slot.lanes.items():
        if of == fact:
            amount = 1 if quantity is ONE else amounts[quantity]
            if quantity.squared:
                high, low = divmod(amount * amount, 1 << _LOW_BITS)
                lanes[lane : lane + 2] = low, high
            else:
                lanes[lane] = amount
    return tuple(lanes) if any(lanes) else None


def _expired(plan: _Plan, time: int) -> tuple[tuple[int, int], ...]:
    """The first tile of each slot that any window at `time` or later can reach."""
    return tuple(
        (slot.id, min(int(w.first_tile(time)) for w in slot.windows))
        for slot in plan.slots.values()
        if slot.windows
    )


def _newest(numbers: list[int] | None, latest: Latest, time: int) -> dict[str, float]:
    age = abs(time - numbers[0]) if numbers else -1
    if numbers is None or age > latest.horizon:
        return dict.fromkeys(latest.columns, 0.0) | {latest.name: -1.0}
    return dict(zip(latest.columns, map(float, (age, *numbers[1:])), strict=True))


__all__ = ["Event", "Observation", "OnlineFeatures"]
