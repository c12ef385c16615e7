"""Features as data: a name, a unit, and what is computed over which key and window.

An *aggregate* turns measures into one number per event. `Derived` turns other features of the same
event into one. Both are plain arithmetic from `lib.feature.exact_arithmetic`, used offline and
online.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lib.feature import exact_arithmetic
from lib.feature.exact_arithmetic import NAN, Value
from lib.feature.measures import (
    EVENTS,
    Distinct,
    Key,
    Latest,
    Measure,
    Quantity,
    Streak,
    Total,
    quantities_of,
)
from lib.feature.windows import DAY, MINUTE, Window, span

Columns = Mapping[str, Any]
"""Values by column name: of one event online, of all events offline."""


class Aggregate(Protocol):
    """What is computed over a key's earlier events."""

    def measures(self, key: Key, window: Window | None) -> tuple[Measure, ...]:
        """What must be accumulated."""
        ...

    def finish(self, parts: tuple[Value, ...], empty: float) -> Value:
        """The feature, from the measures' values in the order of `measures`."""
        ...


@dataclass(frozen=True)
class Count:
    """How many events; `fact` and `without` as in `Total`."""

    fact: str | None = None
    without: str | None = None

    def measures(self, key: Key, window: Window | None) -> tuple[Measure, ...]:
        return (Total(key, EVENTS, window, self.fact, self.without),)

    def finish(self, parts: tuple[Value, ...], empty: float) -> Value:  # noqa: ARG002
        return parts[0]


@dataclass(frozen=True)
class _OfQuantity:
    """What is computed of a quantity of events.

    Args:
        quantity: of each event.
        scale: by which the result is divided; 100 turns cents into currency units.
        without: a fact; events for which it is known do not count.
    """

    quantity: Quantity
    scale: float = 1.0
    without: str | None = None


@dataclass(frozen=True)
class Sum(_OfQuantity):
    """The sum of a quantity."""

    def measures(self, key: Key, window: Window | None) -> tuple[Measure, ...]:
        return (Total(key, self.quantity, window, without=self.without),)

    def finish(self, parts: tuple[Value, ...], empty: float) -> Value:  # noqa: ARG002
        return parts[0] / self.scale


@dataclass(frozen=True)
class Mean(_OfQuantity):
    """The mean of a quantity; `empty` where there is no event."""

    def measures(self, key: Key, window: Window | None) -> tuple[Measure, ...]:
        return (
            Total(key, EVENTS, window, without=self.without),
            Total(key, self.quantity, window, without=self.without),
        )

    def finish(self, parts: tuple[Value, ...], empty: float) -> Value:
        count, total = parts
        return exact_arithmetic.ratio(total, count * self.scale, empty)


@dataclass(frozen=True)
class Deviation:
    """The sample standard deviation (n - 1) of a quantity; `empty` below two events."""

    quantity: Quantity
    squares: Quantity
    scale: float = 1.0
    without: str | None = None

    def measures(self, key: Key, window: Window | None) -> tuple[Measure, ...]:
        return (
            *Mean(self.quantity, self.scale, self.without).measures(key, window),
            Total(key, self.squares, window, without=self.without),
        )

    def finish(self, parts: tuple[Value, ...], empty: float) -> Value:
        count, total, squares = parts
        spread = exact_arithmetic.at_least(count * squares - total * total, 0.0)
        pairs = exact_arithmetic.at_least(count * (count - 1.0), 1.0)
        deviation = exact_arithmetic.square_root(spread / pairs) / self.scale
        return exact_arithmetic.choose(count < 2.0, empty, deviation)


@dataclass(frozen=True)
class Rate:
    """Share of events with a known fact, drawn towards `prior` as if by `strength` more events."""

    fact: str
    prior: float
    strength: float

    def measures(self, key: Key, window: Window | None) -> tuple[Measure, ...]:
        return (Total(key, EVENTS, window), Total(key, EVENTS, window, fact=self.fact))

    def finish(self, parts: tuple[Value, ...], empty: float) -> Value:  # noqa: ARG002
        count, facts = parts
        return (facts + self.prior * self.strength) / (count + self.strength)


@dataclass(frozen=True)
class DistinctCount:
    """How many different values of the column `of`."""

    of: str

    def measures(self, key: Key, window: Window | None) -> tuple[Measure, ...]:
        if window is None:
            raise ValueError(f"a distinct count of {self.of} needs a window")
        return (Distinct(key, self.of, window),)

    def finish(self, parts: tuple[Value, ...], empty: float) -> Value:  # noqa: ARG002
        return parts[0]


@dataclass(frozen=True)
class Age:
    """Minutes since the key's newest event within `horizon`; `empty` where there is none."""

    horizon: int
    only: Quantity | None = None

    def measures(self, key: Key, window: Window | None) -> tuple[Measure, ...]:  # noqa: ARG002
        return (Latest(key, self.horizon, (), self.only),)

    def finish(self, parts: tuple[Value, ...], empty: float) -> Value:
        return exact_arithmetic.choose(parts[0] < 0.0, empty, parts[0] / MINUTE)


@dataclass(frozen=True)
class IsFirstSeen:
    """1 where the key (say a user and a device together) had no event within `horizon`, else 0."""

    horizon: int

    def measures(self, key: Key, window: Window | None) -> tuple[Measure, ...]:  # noqa: ARG002
        return (Latest(key, self.horizon),)

    def finish(self, parts: tuple[Value, ...], empty: float) -> Value:  # noqa: ARG002
        return exact_arithmetic.choose(parts[0] < 0.0, 1.0, 0.0)


@dataclass(frozen=True)
class LastValue:
    """A quantity of the key's newest event within `horizon`; `empty` where there is none."""

    quantity: Quantity
    all_quantities: tuple[Quantity, ...]
    horizon: int
    only: Quantity | None = None

    def measures(self, key: Key, window: Window | None) -> tuple[Measure, ...]:  # noqa: ARG002
        return (Latest(key, self.horizon, self.all_quantities, self.only),)

    def finish(self, parts: tuple[Value, ...], empty: float) -> Value:
        value = parts[1 + self.all_quantities.index(self.quantity)]
        return exact_arithmetic.choose(parts[0] < 0.0, empty, value)


@dataclass(frozen=True)
class LabelledStreak:
    """One figure of the run of settled events with a fact; see `Streak`.

    Args:
        part: `days_since_good`, `count`, `days` (since its oldest event), `mean` (of the quantity,
            divided by `scale`) or `days_since_settled`. All but the count are `empty` where there
            is none; times are to the start of a tile.
        quantity: what `mean` averages.
        fact: what makes an event bad.
        scale: 100 turns cents into currency units.
    """

    part: str
    quantity: Quantity
    fact: str
    scale: float = 1.0

    def measures(self, key: Key, window: Window | None) -> tuple[Measure, ...]:
        if window is None:
            raise ValueError(f"a streak of {self.fact} needs a window")
        return (Streak(key, self.quantity, window, self.fact),)

    def finish(self, parts: tuple[Value, ...], empty: float) -> Value:
        good_age, count, oldest_age, total, newest_age = parts
        if self.part == "count":
            return count
        if self.part == "mean":
            return exact_arithmetic.ratio(total, count * self.scale, empty)
        ages = {
            "days_since_good": good_age,
            "days": oldest_age,
            "days_since_settled": newest_age,
        }
        age = ages[self.part]
        return exact_arithmetic.choose(age < 0.0, empty, age / DAY)


@dataclass(frozen=True)
class Feature:
    """One aggregate of a key's earlier events.

    Args:
        name: what, over what, by what, in which unit, e.g. `amount_sum_by_user_7d`.
        unit: physical or business unit, for people.
        key: whose events; where a column of it is missing, the feature is missing (NaN).
        aggregate: what is computed.
        window: over which of them; None where the aggregate has a horizon or counts for ever.
        empty: the value where there is nothing to compute from.
        hidden: an intermediate that no model sees.
    """

    name: str
    unit: str
    key: Key
    aggregate: Aggregate
    window: Window | None = None
    empty: float = NAN
    hidden: bool = False

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What must be accumulated for it."""
        return self.aggregate.measures(self.key, self.window)


@dataclass(frozen=True)
class _Named:
    """What a feature is called; see `Feature`."""

    name: str
    unit: str


@dataclass(frozen=True)
class Direct(_Named):
    """A feature of the event alone: `formula` over its columns, in their order."""

    columns: tuple[str, ...]
    formula: Callable[..., Value]
    hidden: bool = False


@dataclass(frozen=True)
class Derived(_Named):
    """A feature made of others.

    Args:
        inputs: names of features that are declared before it.
        formula: over their values, in their order.
        hidden: an intermediate that no model sees.
    """

    inputs: tuple[str, ...]
    formula: Callable[..., Value]
    hidden: bool = False


@dataclass(frozen=True)
class Category(_Named):
    """The place of a column's value in a frozen vocabulary, from 1; 0 for any other value.

    The vocabulary never changes under a trained model: it is part of the feature set's digest.

    Args:
        column: of the event.
        vocabulary: values in their order.
        hidden: an intermediate that no model sees.
    """

    column: str
    vocabulary: tuple[str, ...]
    hidden: bool = False

    @property
    def codes(self) -> dict[str, float]:
        """The code of each known value."""
        return {value: float(code) for code, value in enumerate(self.vocabulary, start=1)}

    @property
    def missing_code(self) -> float:
        """The code where there is no value."""
        return 0.0


@dataclass(frozen=True)
class OptionalCategory(Category):
    """As `Category`, and missing (NaN) where the event has no value of the column."""

    @property
    def missing_code(self) -> float:
        """See `Category`."""
        return NAN


Declaration = Feature | Direct | Category | Derived


@dataclass(frozen=True)
class FeatureSet:
    """All features of one system, in order.

    Args:
        name: the system.
        version: raise it when a formula's meaning changes under an unchanged declaration.
        features: the declarations; `Derived` ones after their inputs.
        time_column: event time, timestamp[us, UTC].
        id_column: the event's id; breaks ties of time.
        received_column: when the event was received, timestamp[us, UTC]; the column may be absent
            and then events were received when they happened.
        facts: facts that become known later; `<fact>_from` and `<fact>_until` are the columns that
            say from when (and until when, if withdrawn) each was known.

    Raises:
        ValueError: for a name declared twice or an input not declared before, naming it.
    """

    name: str
    version: int
    features: tuple[Declaration, ...]
    time_column: str = "event_time"
    id_column: str = "transaction_id"
    received_column: str = "received_at"
    facts: tuple[str, ...] = ()
    names: tuple[str, ...] = field(init=False)
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        seen_names: set[str] = set()
        for feature in self.features:
            if feature.name in seen_names:
                raise ValueError(f"feature {feature.name!r} is declared twice")
            if isinstance(feature, Derived):
                for absent in set(feature.inputs) - seen_names:
                    raise ValueError(
                        f"feature {feature.name!r} needs {absent!r}, which is not declared before"
                    )
            seen_names.add(feature.name)
        names = tuple(f.name for f in self.features if not f.hidden)
        object.__setattr__(self, "names", names)
        text = json.dumps(self.describe(), sort_keys=True)
        object.__setattr__(self, "digest", hashlib.sha256(text.encode()).hexdigest())

    def describe(self) -> dict[str, Any]:
        """The declarations as plain JSON values: what the digest is taken of."""
        return {
            "name": self.name,
            "version": self.version,
            "facts": list(self.facts),
            "features": [_describe(f) for f in self.features],
        }

    @property
    def kept_columns(self) -> frozenset[str]:
        """Columns of numbers that are features under their own names."""
        return frozenset(
            feature.name
            for feature in self.features
            if isinstance(feature, Direct) and feature.columns == (feature.name,)
        )

    def measures(self) -> tuple[Measure, ...]:
        """Every measure needed, once each, in a stable order."""
        measures: dict[Measure, None] = {}
        for feature in self.features:
            if isinstance(feature, Feature):
                measures.update(dict.fromkeys(feature.measures))
        return tuple(measures)

    def input_columns(self) -> tuple[str, ...]:
        """The columns of an event that the features read."""
        return tuple(dict.fromkeys(self._input_columns()))

    def measured_columns(self, present: Sequence[str]) -> list[str]:
        """Those of the columns `present` that measures read, times of facts among them."""
        ways = ("fact", "without")
        counted = (getattr(measure, way, None) for measure in self.measures() for way in ways)
        facts = {*self.facts, *filter(None, counted)}
        times = {f"{fact}_{end}" for fact in facts for end in ("from", "until")}
        read = {*self._input_columns(), *times, self.received_column}
        return [name for name in present if name in read]

    def _input_columns(self) -> Iterator[str]:
        yield from (self.time_column, self.id_column)
        for feature in self.features:
            if isinstance(feature, Direct):
                yield from feature.columns
            elif isinstance(feature, Category):
                yield feature.column
        for measure in self.measures():
            yield from measure.key
            if isinstance(measure, Distinct):
                yield measure.of
            for quantity in quantities_of(measure):
                yield from quantity.columns


def _describe(item: Any) -> Any:
    if isinstance(item, Window):
        return f"{item.label}@{span(item.hop)}"
    if callable(item) and hasattr(item, "__qualname__"):
        return item.__qualname__
    if hasattr(item, "__dataclass_fields__"):
        compared = (k for k, field in item.__dataclass_fields__.items() if field.compare)
        values = {k: _describe(getattr(item, k)) for k in compared}
        return {"kind": type(item).__name__, **values}
    if isinstance(item, tuple):
        return [_describe(part) for part in item]
    if isinstance(item, float) and item != item:  # noqa: PLR0124
        return "missing"
    return item
