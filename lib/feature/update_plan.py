"""What an event, or a fact about it, changes in the profiles, laid out once per kind of event.

All whole numbers that an update may hold are put into one list, the *source*; an update is then a
selection from it, made in one step.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

from lib.feature.declaration import FeatureSet
from lib.feature.layout import Layout, ProfileLayout, Run
from lib.feature.measures import EVENTS, Quantity
from lib.feature.profile_exchange import KeyUpdate, RunTrim

Event: TypeAlias = Mapping[str, Any]
"""One event by column: times in microseconds UTC, missing floats NaN, missing strings None."""

LOW_BITS = 24
"""Squares are kept in two numbers, the low bits first; see `Quantity.squared`."""
_Select: TypeAlias = Callable[[Sequence[int]], tuple[int, ...]]


class Source:
    """The numbers that updates of a feature set are made of: time, tiles, quantities, constants."""

    def __init__(self, layout: Layout) -> None:
        runs = [run for profile in layout.profiles for run in profile.runs.values()]
        self._hops = list(dict.fromkeys(run.hop for run in runs if run.hop))
        all_quantities = [quantity for run in runs for quantity, _, _ in run.lanes]
        for profile in layout.profiles:
            for only, quantities in profile.records:
                all_quantities += [*quantities, *([only] if only else [])]
        self.time = 0
        self._first_lane: dict[Quantity, int] = {}
        self._reads: list[tuple[Callable[..., Any], tuple[str, ...], bool]] = []
        offset = 1 + len(self._hops)
        for quantity in dict.fromkeys(all_quantities):
            self._first_lane[quantity] = offset
            self._reads.append((quantity.read, quantity.columns, quantity.squared))
            offset += quantity.lanes
        self._first_constant = offset
        self._constants: list[int] = []

    def numbers(self, event: Event, time: int) -> list[int]:
        """The source for an event at `time`."""
        numbers = [time, *[time // hop for hop in self._hops]]
        for read, columns, squared in self._reads:
            amount = int(read(*[event[column] for column in columns]))
            if squared:
                square = amount * amount
                numbers.append(square & ((1 << LOW_BITS) - 1))
                amount = square >> LOW_BITS
            numbers.append(amount)
        return numbers + self._constants

    def tile(self, hop: int | None) -> int:
        """Where the tile of a hop is; that of a run without hop is always 0."""
        return 1 + self._hops.index(hop) if hop else self.constant(0)

    def lanes(self, quantity: Quantity) -> range:
        """Where a quantity's numbers are."""
        return range(self._first_lane[quantity], self._first_lane[quantity] + quantity.lanes)

    def constant(self, number: int) -> int:
        """Where a constant is; put there if absent."""
        if number not in self._constants:
            self._constants.append(number)
        return self._first_constant + self._constants.index(number)


class PartPlan(NamedTuple):
    """How one profile's share of an exchange is made.

    Args:
        columns, prefix: the profile's key is the prefix and the columns' values.
        static: fields, lifetime, lasting field and whether the clock moves, as in `KeyUpdate`.
        adds: selections; `unsure` ones may come to nothing but zeros, which are not sent.
        keeps: selections of records that are always kept, and of those kept only if the number at
            a place of the source is not 0.
        trims: runs whose old tiles can be dropped.
    """

    columns: tuple[str, ...]
    prefix: bytes
    static: tuple[int, int, int, bool]
    adds: tuple[_Select, ...]
    unsure: tuple[_Select, ...]
    keeps: tuple[_Select, ...]
    keeps_if: tuple[tuple[int, _Select], ...]
    trims: tuple[Run, ...]

    def part(
        self, texts: Mapping[str, bytes], source: list[int], trims: tuple[RunTrim, ...]
    ) -> KeyUpdate:
        """The share of one event.

        Args:
            texts: the values of the event's key columns.
            source: its numbers.
            trims: what may be dropped.
        """
        key = self.prefix + b"\x1f".join([texts[column] for column in self.columns])
        adds = tuple([select(source) for select in self.adds])
        if self.unsure:
            adds += tuple([a for select in self.unsure if any((a := select(source))[3:])])
        keeps = tuple([select(source) for select in self.keeps])
        if self.keeps_if:
            keeps += tuple([select(source) for only, select in self.keeps_if if source[only]])
        return KeyUpdate(key, *self.static, adds, keeps, trims)


class UpdatePlan(NamedTuple):
    """How exchanges of one kind of event are made."""

    parts: tuple[PartPlan, ...]
    touches: tuple[_Select, ...]


class Planner:
    """Makes plans.

    Args:
        features: the declarations.
        layout: where their measures are kept.
    """

    def __init__(self, features: FeatureSet, layout: Layout) -> None:
        self._layout = layout
        self._source = source = Source(layout)
        self.numbers = source.numbers
        self._prefixes = [
            f"{features.name}:{profile.digest}:".encode() for profile in layout.profiles
        ]
        runs = [run for profile in layout.profiles for run in profile.runs.values()]
        lanes = [lane for run in runs for lane in run.lanes]
        self.delays = tuple(sorted({within for *_, within in lanes if within is not None}))

    def plan(self, absent: frozenset[str], fact: str | None, in_time: frozenset[int]) -> UpdatePlan:
        """The plan for an event, or for a fact about one.

        Args:
            absent: columns that the event lacks.
            fact: what became known of it; None: the event itself.
            in_time: those of `delays` within which it was known.
        """
        parts = [
            self._part(index, profile, fact, in_time)
            for index, profile in enumerate(self._layout.profiles)
            if absent.isdisjoint(profile.key)
        ]
        if fact is not None:
            return UpdatePlan(tuple(part for part in parts if part.adds or part.unsure), ())
        return UpdatePlan(tuple(parts), self._touches(parts))

    def _part(
        self, index: int, profile: ProfileLayout, fact: str | None, in_time: frozenset[int]
    ) -> PartPlan:
        candidates = [self._add(run, fact, in_time) for run in profile.runs.values()]
        adds = [add for add in candidates if add is not None]
        records = profile.records.items() if fact is None else ()
        keeps = [(only, self._keep(field, kept)) for (only, kept), field in records]
        return PartPlan(
            profile.key,
            self._prefixes[index],
            (profile.fields, profile.lifetime, profile.lasting, profile.clock and fact is None),
            tuple(select for sure, select in adds if sure),
            tuple(select for sure, select in adds if not sure),
            tuple(select for only, select in keeps if only is None),
            tuple((self._source.lanes(only)[0], select) for only, select in keeps if only),
            tuple(run for run in profile.runs.values() if run.windows),
        )

    def _add(
        self, run: Run, fact: str | None, in_time: frozenset[int]
    ) -> tuple[bool, _Select] | None:
        """What is added to a run, and whether that is surely not nothing."""
        constant = self._source.constant
        zero = constant(0)
        positions = [constant(run.field), constant(run.width), self._source.tile(run.hop)]
        positions += [zero] * (run.width - 1)
        sure = False
        for (quantity, of, within), lane in run.lanes.items():
            if of == fact and (within is None or within in in_time):
                positions[2 + lane : 2 + lane + quantity.lanes] = self._source.lanes(quantity)
                sure = sure or quantity is EVENTS
        return (sure, itemgetter(*positions)) if set(positions[3:]) != {zero} else None

    def _keep(self, field: int, quantities: tuple[Quantity, ...]) -> _Select:
        kept = [position for quantity in quantities for position in self._source.lanes(quantity)]
        constant = self._source.constant
        return itemgetter(*[constant(field), constant(1 + len(kept)), self._source.time, *kept])

    def _touches(self, parts: list[PartPlan]) -> tuple[_Select, ...]:
        part = {plan.columns: index for index, plan in enumerate(parts)}
        constant = self._source.constant
        return tuple(
            itemgetter(
                *[constant(n) for n in (part[d.pair.key], part[d.profile.key], d.run.field, hop)]
            )
            for d in self._layout.distincts
            if d.pair.key in part and (hop := d.run.hop)
        )
