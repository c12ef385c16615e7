"""A backtest: what a text of rules would have hit among decisions that are stored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lib.console.rule_outcomes import DecisionOutcomes, read_outcomes
from lib.console.source import SystemSource
from lib.records.models import Decision
from lib.records.partitions import DAY
from lib.rules import RuleSet
from lib.rules.changes import SOURCE, RuleBook
from lib.rules.language import RuleLanguage
from lib.rules.measures import WHOLE_SET, Costs, RuleMeasures, measure_rules
from lib.rules.tally import AMOUNT, LABEL, TIME, Tally, tally, tally_columns

MOST_DECISIONS = 5_000
"""Decisions that a backtest reads, the newest ones."""
DAYS = 30
"""Days that it goes back, at most."""
_TYPES = {float: pa.float64(), int: pa.float64(), str: pa.string(), bool: pa.bool_()}


@dataclass(frozen=True, slots=True)
class BacktestRow:
    """A rule of the text beside the active one of the same id.

    Attributes:
        measures: of the rule, or of all together.
        present: of the active rule; None where there is none.
    """

    measures: RuleMeasures
    present: RuleMeasures | None

    @property
    def is_all(self) -> bool:
        """Whether all rules together are measured."""
        return self.measures.rule_id == WHOLE_SET


@dataclass(frozen=True)
class BacktestPage:
    """What a text would have hit.

    Attributes:
        rows: in the order in which rules decide, then all together.
        dropped: ids of active rules that the text has no more.
        decisions: that were read.
        since, until: their event times, microseconds UTC.
        finals: of them, those with a final outcome.
        positive: what a hit looks for, in words.
        fault: why no outcome is known; "" where some are.
        absent: fields that rules read and no stored decision has: such rules hit nothing here.
    """

    rows: tuple[BacktestRow, ...]
    dropped: tuple[str, ...]
    decisions: int
    since: int
    until: int
    finals: int
    positive: str
    fault: str
    absent: tuple[str, ...]


def backtest_rules(source: SystemSource, text: str, now: int) -> BacktestPage:
    """Evaluate a text and the active rules over the newest stored decisions.

    Args:
        source: of the system.
        text: YAML; its version may be any.
        now: microseconds since 1970 UTC.

    Raises:
        RuleError: the text, or that of the active rules, cannot be loaded.
        UnknownRulesError: no application has said what rules may read.
    """
    records, system = source.records, source.system
    declaration = records.find_rule_declaration(system)
    language, book = declaration.language, RuleBook(records, system)
    rules = language.load(text, SOURCE)
    present = language.load(book.active_text(declaration, records.active_rules(system)), "active")
    decisions = records.list_latest_of(system, now - DAYS * DAY, now + 1, MOST_DECISIONS)
    outcomes = read_outcomes(source, decisions, now)
    names = sorted({*tally_columns(rules), *tally_columns(present)} - {LABEL, AMOUNT, TIME})
    table = _table(language, names, decisions, outcomes)
    measured = {each.rule_id: each for each in _measures(present, table)}
    rows = tuple(BacktestRow(each, measured.get(each.rule_id)) for each in _measures(rules, table))
    times = [decision.event_time for decision in decisions]
    kept = {rule.id for rule in rules.rules}
    return BacktestPage(
        rows,
        tuple(rule.id for rule in present.rules if rule.id not in kept),
        len(decisions),
        min(times, default=now),
        max(times, default=now),
        int(np.isfinite(outcomes.label).sum()),
        outcomes.positive,
        outcomes.fault,
        tuple(name for name in names if table[name].null_count == len(decisions) > 0),
    )


def _measures(rules: RuleSet, table: pa.Table) -> tuple[RuleMeasures, ...]:
    counted: Tally = tally(rules, table)
    return measure_rules(rules, counted, Costs())


def _table(
    language: RuleLanguage,
    names: Sequence[str],
    decisions: Sequence[Decision],
    outcomes: DecisionOutcomes,
) -> pa.Table:
    """Decisions as rules read them; of no amount that would be money of another system."""
    label = outcomes.label
    columns = {
        LABEL: pa.array([None if value != value else int(value) for value in label], pa.int64()),  # noqa: PLR0124
        AMOUNT: pa.array([0] * len(decisions), pa.int64()),
        TIME: pa.array([decision.event_time for decision in decisions], pa.int64()),
    }
    for name in names:
        kind = language.fields[name]
        values = [_value(decision, name, kind) for decision in decisions]
        columns[name] = pa.array(values, _TYPES[kind])
    return pa.table(columns)


def _value(decision: Decision, name: str, kind: type) -> object:
    """What the decision saw of a field; None where it is missing or was not recorded."""
    attributes = decision.request.get("attributes")
    for values in (decision.features, decision.request, decision.entities, attributes):
        value = values.get(name) if isinstance(values, Mapping) else None
        if value is not None:
            return _typed(value, kind)
    return None


def _typed(value: object, kind: type) -> object:
    if kind is str:
        return value if isinstance(value, str) else json.dumps(value)
    if not isinstance(value, int | float):
        return None
    if kind is bool:
        return bool(value)
    return None if value != value else float(value)  # noqa: PLR0124
