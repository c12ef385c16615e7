"""Rules: each with its hits by day and what came of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import binomtest

from lib.console.rows_csv import rows_csv
from lib.console.rule_outcomes import DecisionOutcomes, read_outcomes
from lib.console.rule_records import DecisionHits
from lib.console.rule_versions import find_declaration
from lib.console.source import SystemSource
from lib.records.models import Decision
from lib.records.partitions import DAY
from lib.registry import to_iso
from lib.rules import Rule, RuleError, RuleSet
from lib.rules.changes import SOURCE, RuleBook
from lib.rules.language import revision_of
from lib.rules.repository import RuleChange, RuleDeclaration

DAYS = 14
"""Days of which hits are counted."""
MOST_DECISIONS = 20_000
"""Decisions that are looked at for hits, the newest ones."""
MOST_HITS = 2_000
"""Decisions with a hit whose outcome is read, the newest ones."""
_COLUMNS = (
    *("system", "rules", "rule", "status", "action", "priority", "when"),
    *("hits", "looked_at", "positives", "negatives", "silent"),
    *("precision", "low", "high"),
)
_IN_USE, _OVERVIEW_CHANGES = 5, 8
_BAR_WIDTH, _BAR_HEIGHT = 8, 28


@dataclass(frozen=True, slots=True)
class Bar:
    """A day's hits as they are drawn, 8 by 28 units a day.

    Attributes:
        day: its start, microseconds since 1970 UTC.
        hits: decisions that the rule hit.
        x, y: upper left corner of the bar.
        height: of the bar.
    """

    day: int
    hits: int
    x: float
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class RuleUse:
    """What a rule hit, and what came of it.

    Attributes:
        bars: by day, the earliest first; the last is today's.
        hits: decisions that it hit.
        looked_at: of them, those whose outcome was read.
        positives, negatives: of those, with a final outcome that was, or was not, looked for.
        silent: of the final ones, those of which nobody said anything.
        precision: share of final outcomes that were; None without one.
        low, high: its 95% interval (Wilson, JASA 22, 1927).
    """

    bars: tuple[Bar, ...]
    hits: int = 0
    looked_at: int = 0
    positives: int = 0
    negatives: int = 0
    silent: int = 0
    precision: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class RuleRow:
    """A rule with its use.

    Attributes:
        rule: as it is written.
        use: its hits among the decisions that were counted.
    """

    rule: Rule
    use: RuleUse


@dataclass(frozen=True)
class CountedDecisions:
    """The decisions that hits are counted over.

    Attributes:
        since: the earliest one's event time, microseconds UTC; where not all were counted.
        decisions: how many.
        is_cut: whether the window has more than were counted.
        positive: what a hit looks for, in words.
        fault: why no outcome is known; "" where some are.
        in_use: versions of rules that decided, the most recent first, with decisions.
    """

    since: int
    decisions: int
    is_cut: bool
    positive: str
    fault: str
    in_use: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class RulesPage:
    """The active rules of a system.

    Attributes:
        system: its name.
        active: the stored version; None is the service's file.
        declaration: what rules may read; None where no application has said so.
        text: YAML.
        revision: version and digest; "" where the text cannot be loaded.
        rules: in the order in which they decide.
        counted: over which decisions hits were counted.
        changes: the last steps, the newest first.
        fault: why the text cannot be loaded by what the application declared; "" where it can.
    """

    system: str
    active: int | None
    declaration: RuleDeclaration | None
    text: str = ""
    revision: str = ""
    rules: tuple[RuleRow, ...] = ()
    counted: CountedDecisions | None = None
    changes: tuple[RuleChange, ...] = ()
    fault: str = ""

    def row(self, rule_id: str) -> RuleRow | None:
        """The rule of this id; None where there is none."""
        return next((row for row in self.rules if row.rule.id == rule_id), None)


def read_rules(source: SystemSource, now: int) -> RulesPage:
    """Read the active rules with their hits of the last days.

    Args:
        source: of the system.
        now: microseconds since 1970 UTC.
    """
    records, system = source.records, source.system
    active = records.active_rules(system)
    changes = tuple(records.list_rule_changes(system, _OVERVIEW_CHANGES))
    declaration = find_declaration(source)
    if declaration is None:
        return RulesPage(system, active, None, changes=changes)
    text = RuleBook(records, system).active_text(declaration, active)
    try:
        rules = declaration.language.load(text, SOURCE)
    except RuleError as error:
        return RulesPage(
            system, active, declaration, text, changes=changes, fault=str(error)
        )  # fmt: skip
    rows, counted = _use(source, rules, now)
    revision = revision_of(rules)
    return RulesPage(system, active, declaration, text, revision, rows, counted, changes)


def rules_csv(page: RulesPage) -> str:
    """The active rules with their use as CSV, a column for each day's hits."""
    days = [to_iso(bar.day)[:10] for bar in page.rules[0].use.bars] if page.rules else []
    header = (*_COLUMNS, *(f"hits {day}" for day in days))
    rows = [_csv_row(page, row.rule, row.use) for row in page.rules]
    return rows_csv(header, rows)


def _csv_row(page: RulesPage, rule: Rule, use: RuleUse) -> tuple[object, ...]:
    return (
        *(page.system, page.revision, rule.id, rule.status, rule.action, rule.priority, rule.when),
        *(use.hits, use.looked_at, use.positives, use.negatives, use.silent),
        *(use.precision, use.low, use.high),
        *(bar.hits for bar in use.bars),
    )


def _use(
    source: SystemSource, rules: RuleSet, now: int
) -> tuple[tuple[RuleRow, ...], CountedDecisions]:
    since = now - now % DAY - (DAYS - 1) * DAY
    decisions = source.records.list_hits(source.system, since, now + 1, MOST_DECISIONS + 1)
    is_cut = len(decisions) > MOST_DECISIONS
    decisions = decisions[:MOST_DECISIONS]
    names = {rule.id for rule in rules.rules}
    hits = [hit for hit in decisions if not names.isdisjoint((*hit.hits, *hit.shadow_hits))]
    hits = hits[:MOST_HITS]
    kept = source.records.list_decisions(source.system, [hit.subject_id for hit in hits])
    outcomes = read_outcomes(source, kept, now)
    labels = _by_rule(rules, kept, outcomes)
    by_day = _days(decisions)
    days = range(since // DAY, since // DAY + DAYS)
    rows = tuple(RuleRow(rule, _rule_use(rule.id, days, by_day, labels)) for rule in rules.rules)
    versions = Counter(hit.rules_version or "none" for hit in decisions)
    earliest = decisions[-1].event_time if decisions else since
    return rows, CountedDecisions(
        earliest if is_cut else since,
        len(decisions),
        is_cut,
        outcomes.positive,
        outcomes.fault,
        tuple(versions.items())[:_IN_USE],
    )


def _days(decisions: Sequence[DecisionHits]) -> Counter[tuple[str, int]]:
    return Counter(
        (rule, hit.event_time // DAY) for hit in decisions for rule in (*hit.hits, *hit.shadow_hits)
    )


_Labels = dict[str, list[tuple[float, bool]]]


def _by_rule(rules: RuleSet, kept: Sequence[Decision], outcomes: DecisionOutcomes) -> _Labels:
    """By rule the labels of what it hit, and whether each is by silence."""
    labels: _Labels = {rule.id: [] for rule in rules.rules}
    for row, decision in enumerate(kept):
        for rule in (*decision.rule_hits, *decision.shadow_hits):
            if rule in labels:
                labels[rule].append((float(outcomes.label[row]), bool(outcomes.is_silent[row])))
    return labels


def _rule_use(
    rule_id: str, days: range, by_day: Counter[tuple[str, int]], labels: _Labels
) -> RuleUse:
    counts = [by_day[rule_id, day] for day in days]
    known = [(label, silent) for label, silent in labels[rule_id] if not math.isnan(label)]
    positives = sum(label == 1.0 for label, _ in known)
    share = low = high = None
    if known:
        share = positives / len(known)
        low, high = map(float, binomtest(positives, len(known)).proportion_ci(method="wilson"))
    return RuleUse(
        _bars(days, counts),
        sum(counts),
        len(labels[rule_id]),
        positives,
        len(known) - positives,
        sum(silent for _, silent in known),
        share,
        low,
        high,
    )


def _bars(days: range, counts: Sequence[int]) -> tuple[Bar, ...]:
    most = max(counts, default=0) or 1
    bars = []
    for position, (day, hits) in enumerate(zip(days, counts, strict=True)):
        height = max(1.5, round(hits / most * _BAR_HEIGHT, 1)) if hits else 0.0
        x = float(position * _BAR_WIDTH)
        bars.append(Bar(day * DAY, hits, x, round(_BAR_HEIGHT - height, 1), height))
    return tuple(bars)
