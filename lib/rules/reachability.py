"""Find rules that can never decide.

Detected, exactly:
- a condition that folds to true or false whatever the row holds;
- a condition that contradicts itself: every alternative of its top-level `or` demands of one field
  an empty range (`x > 5 and x < 3`), an empty choice (`x in [1] and x != 1`), or both a value and
  its absence;
- a condition that implies that of an active rule before it, which therefore always decides
  first: the same condition in any order, a narrower range, or further `and` parts. The
  earlier rule must read no field that the later one does not, so that the later one never is
  the fallback for when a field is unavailable.
Comparisons between two fields, arithmetic and an `or` inside an `and` count as opaque: equal only
to themselves. What is reported is always true; what is not reported may still be unreachable.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from lib.rules.condition import (
    All,
    Any,
    Compare,
    Condition,
    Constant,
    Field,
    Flag,
    Member,
    Missing,
    Scalar,
    fields_of,
)


@dataclass(frozen=True, slots=True)
class _Demand:
    """What one alternative demands of one field: a range, a choice, exclusions, or absence."""

    low: tuple[float, bool] = (-math.inf, False)  # bound, open
    high: tuple[float, bool] = (math.inf, False)
    among: frozenset[Scalar] | None = None
    excluded: frozenset[Scalar] = field(default_factory=frozenset)
    present: bool = False
    absent: bool = False

    def choice(self) -> frozenset[Scalar]:
        return frozenset(value for value in self.among or () if self.admits(value))

    def admits(self, value: Scalar) -> bool:
        chosen = self.among is None or value in self.among
        return chosen and value not in self.excluded and self._in_range(value)

    def _in_range(self, value: Scalar) -> bool:
        if isinstance(value, str):
            return True
        above = value > self.low[0] or (value == self.low[0] and not self.low[1])
        below = value < self.high[0] or (value == self.high[0] and not self.high[1])
        return above and below

    def empty(self) -> bool:
        if self.absent:
            return self.present
        if self.among is not None:
            return not self.choice()
        if self.low[0] == self.high[0]:
            return not self.admits(self.low[0])
        return self.low[0] > self.high[0]

    def within(self, other: _Demand) -> bool:
        """Whether every value that meets this demand meets the other too."""
        if other.absent or self.absent:
            return other.absent and self.absent and not other.present
        if self.among is not None:
            return all(other.admits(value) for value in self.choice())
        return (
            other.among is None
            and all(not self.admits(value) for value in other.excluded)
            and (-self.low[0], not self.low[1]) <= (-other.low[0], not other.low[1])
            and (self.high[0], not self.high[1]) <= (other.high[0], not other.high[1])
        )


@dataclass(frozen=True, slots=True)
class _Alternative:
    """A conjunction: demands per field, and opaque parts."""

    demands: dict[str, _Demand]
    opaque: frozenset[Condition]

    def empty(self) -> bool:
        return any(demand.empty() for demand in self.demands.values())

    def implies(self, other: _Alternative) -> bool:
        return other.opaque <= self.opaque and all(
            name in self.demands and self.demands[name].within(demand)
            for name, demand in other.demands.items()
        )


def never_true(condition: Condition) -> bool:
    """Whether the condition contradicts itself, as far as this module detects."""
    return all(alternative.empty() for alternative in _alternatives(condition))


@dataclass(frozen=True, slots=True)
class Reach:
    """A condition taken apart once, to be compared with many others.

    Attributes:
        fields: that it reads.
        alternatives: its `or` parts, without those that nothing can meet.
    """

    fields: frozenset[Field]
    alternatives: tuple[_Alternative, ...]

    def implies(self, other: Reach) -> bool:
        """Whether every row that meets this certainly meets the other, as far as detected.

        False also where the other reads a field that this does not.
        """
        return other.fields <= self.fields and all(
            any(alternative.implies(target) for target in other.alternatives)
            for alternative in self.alternatives
        )


def reach_of(condition: Condition) -> Reach:
    """What the condition demands."""
    alternatives = (part for part in _alternatives(condition) if not part.empty())
    return Reach(frozenset(fields_of(condition)), tuple(alternatives))


def _alternatives(condition: Condition) -> list[_Alternative]:
    parts = condition.parts if isinstance(condition, Any) else (condition,)
    return [_alternative(part) for part in parts]


def _alternative(condition: Condition) -> _Alternative:
    demands: dict[str, _Demand] = {}
    opaque: set[Condition] = set()
    for part in condition.parts if isinstance(condition, All) else (condition,):
        name = _single_field(part)
        if name is None:
            opaque.add(_sorted(part))
        else:
            demands[name] = _tightened(demands.get(name, _Demand()), part)
    return _Alternative(demands, frozenset(opaque))


def _single_field(part: Condition) -> str | None:
    match part:
        case Compare(left=Field(name=name), right=Constant()):
            return name
        case Member(value=Field(name=name)) | Missing(value=Field(name=name)):
            return name
        case Flag():
            return part.field.name
    return None


def _sorted(part: Condition) -> Condition:
    if isinstance(part, All | Any):
        return type(part)(tuple(sorted(map(_sorted, part.parts), key=str)))
    return part


def _tightened(demand: _Demand, part: Condition) -> _Demand:
    match part:
        case Missing(negated=False):
            return replace(demand, absent=True)
        case Compare(op=op, right=Constant(value=value)):
            return _compared(replace(demand, present=True), op, value)
        case Member(among=among, negated=True):
            return replace(demand, present=True, excluded=demand.excluded | among)
        case Member(among=among):
            return replace(demand, present=True, among=_narrowed(demand, among))
        case Flag(expected=expected):
            among = _narrowed(demand, frozenset({float(expected)}))
            return replace(demand, present=True, among=among)
    return replace(demand, present=True)


def _narrowed(demand: _Demand, among: frozenset[Scalar]) -> frozenset[Scalar]:
    return among if demand.among is None else demand.among & among


def _compared(demand: _Demand, op: str, value: Scalar) -> _Demand:
    if op == "==":
        return replace(demand, among=_narrowed(demand, frozenset({value})))
    if op == "!=":
        return replace(demand, excluded=demand.excluded | {value})
    bound = float(value)
    is_open = op in {"<", ">"}
    if op in {"<", "<="}:
        high = min(demand.high, (bound, is_open), key=lambda limit: (limit[0], not limit[1]))
        return replace(demand, high=high)
    low = max(demand.low, (bound, is_open), key=lambda limit: (limit[0], limit[1]))
    return replace(demand, low=low)
