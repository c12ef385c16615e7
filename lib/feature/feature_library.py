"""What a system gives its feature files by name: formulas, quantities, records of newest events.

The packaged features of a system are a feature file over its library. Files of data sets have the
same language, without what holds for packaged features alone; see `FeatureLibrary.published`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, TypeVar

from lib.contract import TIME, Contract
from lib.feature.column_measures import multiples_of, present_in
from lib.feature.declaration import FeatureSet
from lib.feature.exact_arithmetic import Value
from lib.feature.measures import Key, Quantity

ColumnKind: TypeAlias = Literal["category", "number", "flag"]
"""What a column of events holds: texts, numbers, or true and false."""
Formula: TypeAlias = Callable[..., Value]
Named = TypeVar("Named")


def column_kinds(contract: Contract, features: FeatureSet) -> dict[str, ColumnKind]:
    """What the columns of events hold, without times and what names an event.

    Args:
        contract: of the events.
        features: says which columns name an event.
    """
    never = (features.time_column, features.id_column, features.received_column)
    return {
        column.name: "category" if str(column.type) == "string" else "number"
        for column in contract.columns
        if column.name not in never and column.type != TIME
    }


@dataclass(frozen=True)
class SquaredQuantity:
    """A quantity whose squares add up exactly.

    Attributes:
        quantity: whole numbers.
        squares: of them.
        scale: how many of them are one of the unit.
    """

    quantity: Quantity
    squares: Quantity
    scale: float


@dataclass(frozen=True)
class NamedQuantity:
    """What `of` names.

    Attributes:
        quantity: whole numbers.
        meaning: for people, with its unit.
        scale: how many of them are one of the unit.
        resolution: one of them in the unit.
        present: 1 for events that have one; None where all have.
        squared: for deviations; None where there is none.
    """

    quantity: Quantity
    meaning: str = ""
    scale: float = 1.0
    resolution: float = 1.0
    present: Quantity | None = None
    squared: SquaredQuantity | None = None

    @classmethod
    def of_column(cls, column: str, resolution: float) -> NamedQuantity:
        """A column that may be missing, in whole multiples of a resolution."""
        quantity, squares = (multiples_of(column, resolution, squared) for squared in (False, True))
        scale = 1.0 / resolution
        return cls(
            quantity,
            scale=scale,
            resolution=resolution,
            present=present_in(column),
            squared=SquaredQuantity(quantity, squares, scale),
        )


@dataclass(frozen=True)
class NamedRecord:
    """What is remembered together of a newest event.

    Attributes:
        quantities: in their order.
        only: events for which it is 0 are passed over; None passes over none.
        meaning: for people.
    """

    quantities: tuple[Quantity, ...]
    only: Quantity | None = None
    meaning: str = ""


@dataclass(frozen=True, kw_only=True)
class FeatureLibrary:
    """What feature files of a system may name beside columns, facts and features.

    Attributes:
        formulas: over features, by name.
        column_formulas: over columns of an event.
        quantities: what `of` and `only` may name.
        records: what `record` may name.
        groups: of features; () where a system has none.
        packaged_only: names that files of data sets may not use: what holds for some numbers
            alone.
        key_columns: columns that may be keys; None: all that are texts.
        lasting_keys: keys of which something may be kept for ever.
        lasting_facts: facts whose counts may be; None: anything, as profiles stay anyway.
        mixed_events: whether events are of several tables, so that only quantities count one kind.
        is_published: whether files of data sets are read with it.
    """

    formulas: Mapping[str, Formula] = field(default_factory=dict)
    column_formulas: Mapping[str, Formula] = field(default_factory=dict)
    quantities: Mapping[str, NamedQuantity] = field(default_factory=dict)
    records: Mapping[str, NamedRecord] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    packaged_only: frozenset[str] = frozenset()
    key_columns: frozenset[str] | None = None
    lasting_keys: frozenset[Key] = frozenset()
    lasting_facts: frozenset[str] | None = None
    mixed_events: bool = False
    is_published: bool = False

    def published(self) -> FeatureLibrary:
        """What files of data sets may name."""
        return replace(
            self,
            formulas=self._open(self.formulas),
            column_formulas={},
            quantities=self._open(self.quantities),
            records=self._open(self.records),
            is_published=True,
        )

    def keeps(self, key: Key, fact: str | None) -> bool:
        """Whether what is counted of a key, of events with a fact or all, may be kept for ever."""
        if not self.is_published:
            return True
        return key in self.lasting_keys and (
            self.lasting_facts is None or fact in self.lasting_facts
        )

    def _open(self, named: Mapping[str, Named]) -> Mapping[str, Named]:
        return {name: each for name, each in named.items() if name not in self.packaged_only}
