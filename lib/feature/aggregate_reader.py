"""Entries of feature files as aggregates over the earlier events of a key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from lib.contract.reading_keys import duration_us
from lib.declaration import did_you_mean
from lib.feature.column_measures import DeviationOfPresent, MeanOfPresent, NewestValue
from lib.feature.declaration import (
    Age,
    Aggregate,
    Count,
    Deviation,
    DistinctCount,
    Feature,
    IsFirstSeen,
    LabelledStreak,
    LastValue,
    Mean,
    Rate,
    Sum,
)
from lib.feature.feature_file import FeatureDeclaration
from lib.feature.feature_library import ColumnKind, FeatureLibrary, NamedQuantity
from lib.feature.measures import Key, Quantity
from lib.feature.windows import DAY, Window, span

MOST_TILES = 2_000
"""Of one feature and key: more is a hop that is too short for its window."""
EVER = "ever"
LONGEST_HORIZON = 100 * 365 * DAY
"""What `ever` means of a horizon, microseconds."""
_RESOLUTION = 0.01


class EntryError(ValueError):
    """What is wrong with a key of a feature."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class AggregateReader:
    """Turns entries with an aggregate into features.

    Args:
        columns: kinds of the columns that events have.
        library: what the system gives by name.
        facts: that become known of events.
    """

    def __init__(
        self, columns: Mapping[str, ColumnKind], library: FeatureLibrary, facts: Sequence[str]
    ) -> None:
        self._columns, self._library, self._facts = columns, library, facts
        self._resolutions: dict[str, float] = {}
        self.mixed_events = library.mixed_events
        self.tiles: dict[str, int] = {}

    def feature(self, entry: FeatureDeclaration) -> Feature:
        """The feature of an entry.

        Raises:
            EntryError: it cannot be meant.
        """
        key = self._key(entry)
        for name, fact in {"fact": entry.fact, "without": entry.without}.items():
            if fact is not None and fact not in self._facts:
                hint = did_you_mean(fact, self._facts)
                raise EntryError(name, f"unknown fact {fact!r}; {hint}")
        if entry.fact and entry.without:
            raise EntryError("without", "expected either 'fact' or 'without'")
        self._require_kind(entry)
        window = self._window(entry, key)
        aggregate = _AGGREGATES[str(entry.aggregate)](self, entry)
        empty = float("nan") if entry.empty is None else float(entry.empty)
        return Feature(entry.name, entry.unit, key, aggregate, window, empty, entry.hidden)

    def _key(self, entry: FeatureDeclaration) -> Key:
        for column in entry.key:
            self.readable(column, "key")
        if len(set(entry.key)) != len(entry.key):
            raise EntryError("key", f"expected different columns, got {', '.join(entry.key)}")
        return tuple(entry.key)

    def _require_kind(self, entry: FeatureDeclaration) -> None:
        """Refuse to count events of several tables as if they were of one kind."""
        if not self.mixed_events or entry.only is not None:
            return
        if entry.aggregate in ("count", "is_new"):
            raise EntryError(
                "aggregate",
                f"events are of several tables, got {entry.aggregate!r} of all; 'sum' counts one "
                f"kind, {did_you_mean('', self._library.quantities)}",
            )
        if entry.aggregate == "minutes_since":
            raise EntryError(
                "aggregate",
                "events are of several tables; say of which kind by 'only', "
                f"{did_you_mean('', self._library.quantities)}",
            )

    def _window(self, entry: FeatureDeclaration, key: Key) -> Window | None:
        if entry.window is None:
            return None
        if entry.window == EVER:
            self._require_no_window(entry, key)
            return None
        length, behind = self._duration(entry, "window"), self._duration(entry, "behind", least=0)
        hop = self._duration(entry, "hop") if entry.hop else _default_hop(length, behind)
        if hop > length:
            raise EntryError("hop", f"expected at most the window, {span(length)}, got {span(hop)}")
        for name, value in {"window": length, "behind": behind}.items():
            if value % hop:
                raise EntryError(
                    name, f"expected a multiple of the hop, {span(hop)}, got {span(value)}"
                )
        window = Window(length, hop, behind)
        tiles = window.reach // hop
        if tiles > MOST_TILES:
            least = _usual_hop(-(-window.reach // MOST_TILES))
            raise EntryError(
                "hop",
                f"{tiles:,} tiles would be kept for each key, expected at most {MOST_TILES:,}: "
                f"a hop of at least {least}",
            )
        self.tiles[entry.name] = tiles
        return window

    def _require_no_window(self, entry: FeatureDeclaration, key: Key) -> None:
        if entry.aggregate not in ("count", "sum"):
            raise EntryError("window", f"expected a duration, got {EVER!r} of {entry.aggregate}")
        for name in ("hop", "behind"):
            if getattr(entry, name) is not None:
                raise EntryError(name, f"expected none: a window of {EVER!r} has no edge")
        self._require_lasting("window", key, entry.fact)

    def _require_lasting(self, name: str, key: Key, fact: str | None = None) -> None:
        if self._library.keeps(key, fact):
            return
        kept = sorted(f"[{', '.join(each)}]" for each in self._library.lasting_keys)
        facts = " or ".join(sorted(self._library.lasting_facts or ()))
        counted = f"counts with 'fact: {facts}' by " if facts else ""
        raise EntryError(
            name,
            f"profiles of {', '.join(key)} are forgotten; expected a duration, as {EVER!r} is for "
            f"{counted}the keys {'; '.join(kept) or 'of packaged features'}",
        )

    def _duration(self, entry: FeatureDeclaration, key: str, least: int = 1) -> int:
        written = getattr(entry, key)
        if written is None:
            return 0
        try:
            value = duration_us(written)
        except ValueError as error:
            raise EntryError(key, str(error)) from error
        if value < least:
            raise EntryError(key, f"expected a duration above 0, got {written}")
        return value

    def horizon(self, entry: FeatureDeclaration) -> int:
        """How far back the newest event may lie, microseconds."""
        if entry.horizon == EVER:
            self._require_lasting("horizon", tuple(entry.key))
            return LONGEST_HORIZON
        return self._duration(entry, "horizon")

    def only(self, entry: FeatureDeclaration) -> Quantity | None:
        """The quantity that is 0 for events that are passed over."""
        return None if entry.only is None else self._named(entry.only, "only").quantity

    def text(self, entry: FeatureDeclaration) -> str:
        """The column whose values are distinguished."""
        column = self.column(str(entry.of), "of", ("category",))
        if column in entry.key:
            raise EntryError("of", f"{column!r} is of the key: each key has one value of it")
        if entry.behind:
            raise EntryError("behind", "a distinct count reaches up to now")
        return column

    def quantity(self, entry: FeatureDeclaration) -> NamedQuantity:
        """What is summed, averaged or remembered."""
        name = str(entry.of)
        if name in self._library.quantities:
            if entry.resolution is not None:
                raise EntryError("resolution", f"{name!r} is exact already: expected none")
            return self._library.quantities[name]
        column = self.column(name, "of", ("number", "flag"))
        standing = self._resolutions.get(column)
        resolution = entry.resolution if entry.resolution is not None else standing or _RESOLUTION
        if not 0 < resolution < float("inf"):
            raise EntryError("resolution", f"expected a number above 0, got {resolution}")
        if standing not in (None, float(resolution)):
            raise EntryError(
                "resolution", f"{column!r} has {standing} in another feature, got {resolution}"
            )
        self._resolutions[column] = float(resolution)
        return NamedQuantity.of_column(column, float(resolution))

    def newest(self, entry: FeatureDeclaration) -> Aggregate:
        """The number of the newest event, alone or of a record."""
        named, horizon = self.quantity(entry), self.horizon(entry)
        if entry.record is None:
            return NewestValue(named.quantity, named.present, horizon, named.resolution)
        records = self._library.records
        if entry.record not in records:
            hint = did_you_mean(entry.record, records)
            raise EntryError("record", f"unknown record {entry.record!r}; {hint}")
        record = records[entry.record]
        if named.quantity not in record.quantities:
            names = [quantity.name for quantity in record.quantities]
            raise EntryError(
                "of", f"{entry.record!r} does not remember {entry.of!r}; known: {', '.join(names)}"
            )
        if named.scale != 1.0:
            raise EntryError(
                "of", f"a record remembers whole numbers; {entry.of!r} is made of them"
            )
        return LastValue(named.quantity, record.quantities, horizon, record.only)

    def streak(self, entry: FeatureDeclaration) -> Aggregate:
        """One figure of the run of events with a fact."""
        named = self._named(str(entry.of), "of")
        return LabelledStreak(str(entry.part), named.quantity, str(entry.fact), named.scale)

    def column(self, name: str, key: str, kinds: Sequence[ColumnKind]) -> str:
        """A column of events, of one of some kinds."""
        kind = self._columns.get(name)
        if kind is None:
            known_names = [column for column, of in self._columns.items() if of in kinds]
            if key == "of" and "number" in kinds:
                known_names += self._library.quantities
            raise EntryError(
                key,
                f"unknown column {name!r}; {self._label_hint(name)}"
                f"{did_you_mean(name, known_names)}",
            )
        if kind not in kinds:
            raise EntryError(key, f"expected a {' or a '.join(kinds)}, and {name!r} is a {kind}")
        return name

    def readable(self, name: str, key: str) -> str:
        """A column of texts that what features are computed for has itself."""
        self.column(name, key, ("category",))
        allowed = self._library.key_columns
        if allowed is not None and name not in allowed:
            raise EntryError(
                key,
                f"expected {' or '.join(sorted(allowed))}, got {name!r}: what features are "
                "computed for has no other",
            )
        return name

    def _named(self, name: str, key: str) -> NamedQuantity:
        quantities = self._library.quantities
        if name not in quantities:
            hint = did_you_mean(name, quantities)
            raise EntryError(key, f"unknown quantity {name!r}; {hint}")
        return quantities[name]

    def _label_hint(self, name: str) -> str:
        if not any(part in self._facts for part in name.split("_")):
            return ""
        return (
            "a label is no column of events; 'aggregate: rate' or 'count' with "
            f"'fact: {self._facts[0]}' counts what was known by then; "
        )


_Make: TypeAlias = Callable[[AggregateReader, FeatureDeclaration], Aggregate]


def _usual_hop(least: int) -> str:
    """The shortest of the usual hops that is no shorter, or whole days."""
    usual = next((hop for hop in _HOPS if hop >= least), None)
    return span(usual if usual is not None else -(-least // DAY) * DAY)


def _default_hop(length: int, behind: int) -> int:
    """The shortest of the usual hops that cuts a window into at most 60 tiles."""
    for hop in _HOPS:
        if length // hop <= 60 and length % hop == 0 and behind % hop == 0:
            return hop
    return length


_HOPS = tuple(map(duration_us, ("1s", "10s", "1m", "10m", "1h", "6h", "1d", "7d")))


def _sum(reader: AggregateReader, entry: FeatureDeclaration) -> Aggregate:
    named = reader.quantity(entry)
    return Sum(named.quantity, named.scale, entry.without)


def _mean(reader: AggregateReader, entry: FeatureDeclaration) -> Aggregate:
    named = reader.quantity(entry)
    if named.present is None and reader.mixed_events:
        raise EntryError("of", f"it is not known which events have {entry.of!r}: no mean of it")
    if named.present is None:
        return Mean(named.quantity, named.scale, entry.without)
    return MeanOfPresent(named.quantity, named.scale, entry.without, present=named.present)


def _deviation(reader: AggregateReader, entry: FeatureDeclaration) -> Aggregate:
    named = reader.quantity(entry)
    squared = named.squared
    if squared is None:
        raise EntryError("of", f"the squares of {entry.of!r} do not add up: no deviation of it")
    numbers = (squared.quantity, squared.squares, squared.scale, entry.without)
    if named.present is None:
        return Deviation(*numbers)
    return DeviationOfPresent(*numbers, present=named.present)


def _rate(_reader: AggregateReader, entry: FeatureDeclaration) -> Aggregate:
    prior = 0.01 if entry.prior is None else float(entry.prior)
    strength = 10.0 if entry.strength is None else float(entry.strength)
    if not 0.0 <= prior <= 1.0:
        raise EntryError("prior", f"expected a share, 0 to 1, got {prior}")
    if not 0.0 < strength < float("inf"):
        raise EntryError("strength", f"expected a number of events above 0, got {strength}")
    return Rate(str(entry.fact), prior, strength)


_AGGREGATES: Mapping[str, _Make] = {
    "count": lambda _reader, entry: Count(entry.fact, entry.without),
    "sum": _sum,
    "mean": _mean,
    "deviation": _deviation,
    "rate": _rate,
    "distinct": lambda reader, entry: DistinctCount(reader.text(entry)),
    "latest": AggregateReader.newest,
    "is_new": lambda reader, entry: IsFirstSeen(reader.horizon(entry)),
    "minutes_since": lambda reader, entry: Age(reader.horizon(entry), reader.only(entry)),
    "streak": AggregateReader.streak,
}
