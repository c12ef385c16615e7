"""A rule set: the front node that may decide before any model is asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import pyarrow as pa

from lib.declaration import did_you_mean
from lib.rules.columns import Columns
from lib.rules.condition import Condition, fields_of
from lib.rules.exploration import ExplorationSample
from lib.rules.problems import RowError
from lib.rules.row import Row, Test, row_test

Status = Literal["active", "shadow", "off"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, as read.

    Attributes:
        id: name of the rule, unique in its set.
        when: the expression as written.
        condition: the expression as read.
        action: what the rule decides, one of the system's actions.
        reason: said to whoever asks why.
        confidence: how sure the rule's author is, 0..1.
        status: active rules decide; shadow rules are evaluated and reported; off rules are not
            evaluated, except by a backtest.
        priority: lower decides first; equal priorities in file order.
        owner: who answers for the rule.
        note: why the rule is as it is.
        line: line of the rule in its file, from 1.
    """

    id: str
    when: str
    condition: Condition
    action: str
    reason: str
    confidence: float
    status: Status
    priority: int
    owner: str
    note: str
    line: int

    @property
    def fields(self) -> frozenset[str]:
        """Names of the fields that the condition reads."""
        return frozenset(rule_field.name for rule_field in fields_of(self.condition))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule set says about one row.

    Attributes:
        action: decision of the first active rule that fires; None leaves it to the model.
        rule_id: the rule that decided, or would have if `passed`; None if no active rule fired.
        reason: that rule's reason, else "".
        confidence: that rule's confidence, else 0.
        hits: ids of all active rules that fired, in order of priority.
        shadow_hits: ids of the shadow rules that fired.
        passed: whether the decision was waived for exploration.
    """

    action: str | None = None
    rule_id: str | None = None
    reason: str = ""
    confidence: float = 0.0
    hits: tuple[str, ...] = ()
    shadow_hits: tuple[str, ...] = ()
    passed: bool = False


NO_RULE = Verdict()
"""The verdict where no rule fires."""


@dataclass(frozen=True)
class RuleSet:
    """Rules in order of priority, compiled for rows and for tables.

    Attributes:
        version: revision of the set, as its file says.
        rules: all rules, whatever their status, in order of priority.
        actions: the system's actions, from the mildest to the hardest.
        passing: the exploration sample.
    """

    version: int
    rules: tuple[Rule, ...]
    actions: tuple[str, ...]
    passing: ExplorationSample = field(default_factory=ExplorationSample)

    @cached_property
    def fields(self) -> frozenset[str]:
        """Names of the fields that `evaluate` reads: those of active and shadow rules."""
        return frozenset[str]().union(*(rule.fields for rule in self._on()))

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of all that bears on a verdict; comments and notes do not."""
        rules = [
            [rule.id, str(rule.condition), rule.action, rule.reason,
             rule.confidence, rule.status, rule.priority]
            for rule in self.rules
        ]  # fmt: skip
        content = [self.version, self.actions, self.passing.share, rules]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def evaluate(self, row: Row, entity_id: str | None = None) -> Verdict:
        """Decide one row.

        Args:
            row: value per field of `self.fields` (more are ignored): number, text, bool, or
                None/NaN where missing.
            entity_id: whom the exploration sample is drawn by; None never passes.

        Raises:
            RowError: a field is absent from the row or holds another type than declared.
        """
        active, in_shadow = self._tests
        try:
            hits = [rule for rule, test in active if test(row)]
            shadow = [rule.id for rule, test in in_shadow if test(row)]
        except (KeyError, TypeError) as error:
            raise self._row_problem(row, error) from error
        if not hits:
            return Verdict(shadow_hits=tuple(shadow)) if shadow else NO_RULE
        return self._verdict(hits, tuple(shadow), entity_id)

    def evaluate_table(self, table: pa.Table) -> pa.Table:
        """Say for every row which rules fire, off rules included.

        Args:
            table: one column per field that any rule reads; see `Columns` for types.

        Returns:
            One boolean column per rule, named by its id, in order of priority.

        Raises:
            RowError: columns are absent, or one holds another type than declared.
        """
        self._check_columns(table)
        columns = Columns(table)
        masks = [columns.mask(rule.condition) for rule in self.rules]
        return pa.table({rule.id: mask for rule, mask in zip(self.rules, masks, strict=True)})

    def restrict(self, available: Iterable[str]) -> RuleSet:
        """Return the rules that can be evaluated on the available fields alone.

        For when a store is out: a rule that needs history says nothing then, rather than
        reading history as missing.
        """
        field_names = frozenset(available)
        return replace(self, rules=tuple(rule for rule in self.rules if rule.fields <= field_names))

    @cached_property
    def _tests(self) -> tuple[tuple[tuple[Rule, Test], ...], ...]:
        """The active and the shadow rules, compiled for rows."""
        return tuple(
            tuple((rule, row_test(rule.condition)) for rule in self.rules if rule.status == status)
            for status in ("active", "shadow")
        )

    def _on(self) -> list[Rule]:
        return [rule for rule in self.rules if rule.status != "off"]

    def _verdict(self, hits: list[Rule], shadow: tuple[str, ...], entity_id: str | None) -> Verdict:
        first = hits[0]
        passed = first.action == self.actions[-1] and self.passing.passes(entity_id)
        return Verdict(
            None if passed else first.action,
            first.id,
            first.reason,
            first.confidence,
            tuple([rule.id for rule in hits]),
            shadow,
            passed,
        )

    def _row_problem(self, row: Row, error: Exception) -> RowError:
        absent = sorted(self.fields - row.keys())
        if absent:
            return RowError(
                f"the row lacks {', '.join(absent)}: give None where a value is missing, or "
                "restrict() the rules to the fields at hand"
            )
        declared = {
            rule_field.name: rule_field.kind
            for rule in self._on()
            for rule_field in fields_of(rule.condition)
        }
        faults = [
            f"{name}: a {kind} is expected, got {row[name]!r}"
            for name, kind in sorted(declared.items())
            if row[name] is not None and isinstance(row[name], str) != (kind == "text")
        ]
        return RowError("; ".join(faults) or f"the row cannot be evaluated: {error}")

    def _check_columns(self, table: pa.Table) -> None:
        names, absent = set(table.column_names), []
        for name in sorted(frozenset[str]().union(*(rule.fields for rule in self.rules)) - names):
            readers = ", ".join(rule.id for rule in self.rules if name in rule.fields)
            hint = did_you_mean(name, names)
            absent.append(f"column {name!r} is absent (rule {readers} reads it){hint}")
        if absent:
            raise RowError("; ".join(absent))


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """One version of the rules of a service.

    Attributes:
        all_rules: every rule.
        restricted: those that read only what is known without a store.
        version: revision and digest.
    """

    all_rules: RuleSet
    restricted: RuleSet
    version: str

    def select(self, complete: bool) -> RuleSet:
        """The rules: all, or those that need no history."""
        return self.all_rules if complete else self.restricted
