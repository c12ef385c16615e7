"""Features of one event, from profiles kept as tiles.

`request` says what to ask of the profile store, `read` turns its reply into features; neither does
any I/O, so the same code serves a job, a test and an event loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from lib.feature.declaration import Category, FeatureSet
from lib.feature.evaluate import Evaluator
from lib.feature.layout import (
    CLOCK,
    FIRST_TILE_SLOT,
    DistinctPlace,
    LatestPlace,
    Layout,
    Slot,
    StreakPlace,
    TotalPlace,
)
from lib.feature.measures import ONE, Quantity
from lib.feature.profile import Add, Exchange, Keep, Profile, Reply, Touch, tile_field
from lib.feature.windows import DAY, SECOND, Window

Event = Mapping[str, Any]
"""One event by column: times in microseconds UTC, missing floats NaN, missing strings None."""

_LOW_BITS = 24
_FACT_RECEIPT_SECONDS = 400 * DAY // SECOND
_TIDY_ONE_IN = 16


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
        self._layout = Layout(features)
        self._evaluate = Evaluator(features)
        self._codes = {f.name: f.codes for f in features.features if isinstance(f, Category)}

    def request(self, event: Event) -> Exchange:
        """The exchange that reads an event's history and adds the event to it."""
        time = int(event[self.features.time_column])
        receipt = str(event[self.features.id_column])
        # old tiles are passed over in reading, so tidying up now and then is enough
        tidy = crc32(receipt.encode()) % _TIDY_ONE_IN == 0
        delay = _received(event, self.features) - time
        amounts = _Amounts(event)
        keys: list[bytes] = []
        places: dict[int, int] = {}
        lifetimes: list[int] = []
        expired: list[tuple[tuple[int, int], ...]] = []
        adds: list[Add] = []
        keeps: list[Keep] = []
        for profile in self._layout.profiles:
            name = profile.name(event)
            if name is None:
                continue
            place = places[profile.index] = len(keys)
            keys.append(name)
            lifetimes.append(profile.lifetime)
            slots = profile.slots.values()
            expired.append(
                tuple((s.id, s.first_tile(time)) for s in slots if s.windows) if tidy else ()
            )
            for slot in slots:
                if (lanes := _lanes(slot, amounts, None, delay)) is not None:
                    adds.append(Add(place, tile_field(slot.id, slot.tile(time)), lanes))
            for (only, quantities), record in profile.records.items():
                if only is None or amounts[only]:
                    keeps.append(Keep(place, record, (time, *[amounts[q] for q in quantities])))
        touches = [
            Touch(places[d.pair], d.mark, places[d.profile], d.slot.id, d.slot.tile(time))
            for d in self._layout.distincts
            if d.pair in places
        ]
        return Exchange(
            receipt=receipt,
            keys=tuple(keys),
            lifetimes=tuple(lifetimes),
            expired=tuple(expired),
            adds=tuple(adds),
            keeps=tuple(keeps),
            touches=tuple(touches),
            receipt_seconds=self.receipt_seconds,
        )

    def read(self, event: Event, reply: Reply) -> Observation:
        """The event's features, from the profiles as they were before it."""
        if reply.answer is not None:
            return Observation({}, reply.first, reply.answer)
        time = int(event[self.features.time_column])
        present = {column for column in event if event[column] is not None}
        found = iter(reply.profiles)
        profiles = [
            _Read(next(found), time) if present.issuperset(profile.key) else None
            for profile in self._layout.profiles
        ]
        values = self._evaluate(
            event,
            self._measured(profiles, time),
            {key: present.issuperset(key) for key in self._evaluate.keys},
            lambda c: self._codes[c.name].get(str(event.get(c.column)), 0.0),
        )
        return Observation({n: float(values[n]) for n in self.features.names}, reply.first)

    def learn(
        self, event: Event, fact: str, at: int, known: bool = True, revision: int = 0
    ) -> Exchange:
        """The exchange that makes a fact about an earlier event count from now on.

        Args:
            event: the event as it was first seen.
            fact: one of the feature set's facts.
            at: when it became known, microseconds UTC.
            known: False withdraws it.
            revision: the number of the statement about this event, so that each counts once.

        Raises:
            ValueError: for a fact that is not declared.
        """
        if fact not in self.features.facts:
            raise ValueError(f"fact must be one of {', '.join(self.features.facts)}, got {fact!r}")
        time = int(event[self.features.time_column])
        delay = at - time
        amounts = _Amounts(event)
        keys: list[bytes] = []
        lifetimes: list[int] = []
        adds: list[Add] = []
        for profile in self._layout.profiles:
            name = profile.name(event)
            changes = [
                (slot, _lanes(slot, amounts, fact, delay)) for slot in profile.slots.values()
            ]
            if name is None or not any(lanes for _, lanes in changes):
                continue
            for slot, lanes in changes:
                if lanes is not None:
                    signed = lanes if known else tuple(-lane for lane in lanes)
                    adds.append(Add(len(keys), tile_field(slot.id, slot.tile(time)), signed))
            keys.append(name)
            lifetimes.append(profile.lifetime)
        return Exchange(
            receipt=f"{fact}:{event[self.features.id_column]}:{revision}",
            keys=tuple(keys),
            lifetimes=tuple(lifetimes),
            expired=((),) * len(keys),
            adds=tuple(adds),
            receipt_seconds=_FACT_RECEIPT_SECONDS,
        )

    def _measured(self, profiles: list[_Read | None], time: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for total in self._layout.totals:
            if (profile := profiles[total.profile]) is not None:
                found[total.column] = float(_total(profile, total))
        for distinct in self._layout.distincts:
            if (profile := profiles[distinct.profile]) is not None:
                sums = profile.sums(distinct)
                found[distinct.column] = float(sums[0]) if sums else 0.0
        for streak in self._layout.streaks:
            if (profile := profiles[streak.profile]) is not None:
                found.update(zip(streak.columns, profile.streak(streak), strict=True))
        for latest in self._layout.latest:
            if (profile := profiles[latest.profile]) is not None:
                _newest(found, profile.fields.get(latest.record), latest, time)
        return found


class _Amounts(dict[Quantity, int]):
    """Quantities of one event, read when first asked for."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self[ONE] = 1
        self._event = event

    def __missing__(self, quantity: Quantity) -> int:
        amount = int(quantity.read(*[self._event[c] for c in quantity.columns]))
        self[quantity] = amount * amount if quantity.squared else amount
        return self[quantity]


class _Read:
    """One profile as seen from an event; its tiles sorted into slots, window sums made once."""

    __slots__ = ("_now", "_sums", "_tiles", "fields")

    def __init__(self, fields: Profile, time: int) -> None:
        self.fields = fields
        self._tiles: dict[int, list[tuple[int, list[int]]]] = {}
        self._sums: dict[int, list[int]] = {}
        clock = fields.get(CLOCK)
        self._now = time if clock is None or clock[0] < time else clock[0]
        for name, numbers in fields.items():
            slot = name[0]
            if slot >= FIRST_TILE_SLOT:
                tile = int.from_bytes(name[1:], "big", signed=True)
                self._tiles.setdefault(slot, []).append((tile, numbers))

    def sums(self, place: TotalPlace | DistinctPlace) -> list[int]:
        """The sum of each lane over a window; empty where no tile is in it."""
        found = self._sums.get(place.view)
        if found is None:
            inside = self._inside(place.slot.id, place.window)
            found = inside[0] if len(inside) == 1 else list(map(sum, zip(*inside, strict=True)))
            self._sums[place.view] = found
        return found

    def streak(self, place: StreakPlace) -> tuple[float, ...]:
        """The figures of `Streak.columns`: settled tiles from the newest back to a good one."""
        first, end = place.window.first_tile(self._now), place.window.end_tile(self._now)
        settled = sorted(
            (
                (tile, numbers)
                for tile, numbers in self._tiles.get(place.slot.id, ())
                if first <= tile < end and numbers[place.events]
            ),
            reverse=True,
        )
        good = oldest = newest = -1
        count = total = 0
        for tile, numbers in settled:
            age = self._now - tile * place.window.hop
            newest = age if newest < 0 else newest
            if numbers[place.events] > numbers[place.bad]:
                good = age
                break
            count += numbers[place.events]
            total += numbers[place.total]
            oldest = age
        return float(good), float(count), float(oldest), float(total), float(newest)

    def _inside(self, slot: int, window: Window | None) -> list[list[int]]:
        tiles = self._tiles.get(slot, ())
        if window is None:
            return [numbers for _, numbers in tiles]
        first = window.first_tile(self._now)
        if not window.behind:
            return [numbers for tile, numbers in tiles if tile >= first]
        end = window.end_tile(self._now)
        return [numbers for tile, numbers in tiles if first <= tile < end]


def _total(profile: _Read, place: TotalPlace) -> int:
    sums = profile.sums(place)
    if not sums:
        return 0
    total = _joined(sums, place.lane, place.squared)
    return total if place.without < 0 else total - _joined(sums, place.without, place.squared)


def _joined(sums: list[int], lane: int, squared: bool) -> int:
    return (sums[lane + 1] << _LOW_BITS) + sums[lane] if squared else sums[lane]


def _received(event: Event, features: FeatureSet) -> int:
    return int(event.get(features.received_column) or event[features.time_column])


def _lanes(slot: Slot, amounts: _Amounts, fact: str | None, delay: int) -> tuple[int, ...] | None:
    """What an event, or a fact about it known `delay` later, adds to a slot; None if nothing."""
    lanes = [0] * slot.width
    for (quantity, of, within), lane in slot.lanes.items():
        if of == fact and (within is None or delay <= within):
            amount = amounts[quantity]
            if quantity.squared:
                lanes[lane] = amount & ((1 << _LOW_BITS) - 1)
                lanes[lane + 1] = amount >> _LOW_BITS
            else:
                lanes[lane] = amount
    return tuple(lanes) if any(lanes) else None


def _newest(
    found: dict[str, float], numbers: list[int] | None, place: LatestPlace, time: int
) -> None:
    if numbers is None or abs(time - numbers[0]) > place.horizon:
        found.update(dict.fromkeys(place.columns, 0.0))
        found[place.columns[0]] = -1.0
        return
    found[place.columns[0]] = float(abs(time - numbers[0]))
    for column, number in zip(place.columns[1:], numbers[1:], strict=False):
        found[column] = float(number)
