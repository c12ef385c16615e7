"""The backtest of a rule set as terminal table and as a report with the same figures as JSON."""

import math
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from lib.contract.money import money_text
from lib.report import Axis, Cell, Curve, Figure, Note, Report, Section, Table, line_plot
from lib.report.page import written
from lib.rules.measures import Costs, RuleMeasures
from lib.rules.ruleset import RuleSet
from lib.rules.tally import DAY_US, Tally

_HEADER = (
    "rule", "status", "action", "hits", "a day", "precision", "95% interval", "recall", "by value",
    "saved", "good hurt", "their value", "unlabelled", "decides",
)  # fmt: skip


@dataclass(frozen=True)
class Backtest:
    """A rule set over labelled history.

    Attributes:
        rules: the rule set.
        tally: what it hit.
        measures: one per rule and one for the whole set, see `measure_rules`.
        costs: the assumptions behind the money.
        currency_digits: decimals of the settlement currency (ISO 4217): 2 for EUR, 0 for JPY.
    """

    rules: RuleSet
    tally: Tally
    measures: tuple[RuleMeasures, ...]
    costs: Costs
    currency_digits: int = 2

    def report(self, title: str) -> Report:
        """The page, and `to_json` as its facts."""
        return Report(
            title,
            self._facts()[0],
            [
                Section("Payments", [Note(line) for line in self._facts()]),
                Section("Rules", [self._table()]),
                Section("Assumptions", [Note(line) for line in self._assumptions()]),
                Section("Overlap", [self._overlap()]),
                Section("Hits per day", [self._daily()]),
                Section(
                    "Conditions",
                    [Table(("rule", "when"), tuple((r.id, r.when) for r in self.rules.rules))],
                ),
            ],
            self.to_json(),
        )

    def to_json(self) -> dict[str, Any]:
        """Every figure; shares that cannot be computed are NaN, null in a file."""
        (frauds, goods, unlabelled), values = self.tally.totals.tolist()
        names = [rule.id for rule in self.rules.rules]
        return {
            "rule_set": {"version": self.rules.version, "digest": self.rules.digest},
            "history": {
                "days": len(self.tally.daily), "frauds": frauds, "goods": goods,
                "unlabelled": unlabelled, "fraud_value_minor": values[0],
                "good_value_minor": values[1], "unlabelled_value_minor": values[2],
            },
            "currency_digits": self.currency_digits,
            "assumptions": asdict(self.costs),
            "rules": [asdict(measure) for measure in self.measures],
            "overlap": {"rules": names, "payments": self.tally.overlap.tolist()},
            "daily_hits": {
                _date(day): dict(zip(names, counts.tolist(), strict=True))
                for day, counts in sorted(self.tally.daily.items())
            },
        }  # fmt: skip

    def to_text(self) -> str:
        """The tables as aligned text for a terminal."""
        return "\n".join(
            [*self._facts(), "", _aligned(self._table()), "", _aligned(self._overlap()), "",
             "assuming that", *(f"  {line}" for line in self._assumptions())]
        )  # fmt: skip

    def _facts(self) -> list[str]:
        """What history the figures rest on, one sentence a line."""
        (frauds, goods, unlabelled), values = self.tally.totals.tolist()
        labelled, days = frauds + goods, sorted(self.tally.daily)
        share = f" ({frauds / labelled:.3%} of those labelled)" if labelled else ""
        span = f"({_date(days[0])} to {_date(days[-1])}, UTC)" if days else ""
        return [
            f"{labelled + unlabelled:,} payments on {len(days)} days {span}",
            f"{frauds:,} frauds{share} worth {self._money(values[0])}; {goods:,} good payments",
            f"{unlabelled:,} payments without a label: in no share, never taken for good",
            f"rule set version {self.rules.version}, digest {self.rules.digest[:12]}",
        ]

    def _assumptions(self) -> list[str]:
        """What the money is computed with."""
        costs = self.costs
        return [
            f"{costs.stopped_share:.0%} of a declined fraud's amount is saved",
            f"a declined good payment costs {self._money(costs.good_decline_minor)} and "
            f"{costs.good_decline_share:.1%} of its amount",
            f"a review costs {self._money(costs.review_minor)} and stops "
            f"{costs.review_catch_share:.0%} of frauds",
        ]

    def _table(self) -> Table:
        """The main table; money in units of the currency."""
        return Table(_HEADER, tuple(map(self._cells, self.measures)), digits=1)

    def _overlap(self) -> Table:
        """Payments hit by both the rule of the row and the rule of the column."""
        names = [rule.id for rule in self.rules.rules]
        counts = zip(names, self.tally.overlap.tolist(), strict=True)
        return Table(("hit by both", *names), tuple((name, *row) for name, row in counts))

    def _daily(self) -> Figure:
        days = sorted(self.tally.daily)
        hits = [self.tally.daily[day] for day in days]
        curves = {
            rule.id: Curve([day - days[0] for day in days], [counts[index] for counts in hits])
            for index, rule in enumerate(self.rules.rules)
        }
        return line_plot("", curves, Axis("day, from the first on"), Axis("hits"))

    def _cells(self, measure: RuleMeasures) -> tuple[Cell, ...]:
        interval = f"{_percent(measure.precision_low)}..{_percent(measure.precision_high)}"
        saved, hurt = self._money(measure.saved_minor), self._money(measure.good_hurt_minor)
        return (
            measure.rule_id, measure.status, measure.action, measure.hits, measure.hits_per_day,
            _percent(measure.precision), interval, _percent(measure.recall),
            _percent(measure.value_recall), saved, measure.good_hurt, hurt, measure.unlabelled,
            measure.decides,
        )  # fmt: skip

    def _money(self, minor: float) -> str:
        return money_text(minor, self.currency_digits)


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{share:.1%}"


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_US // 1_000_000, UTC).strftime("%Y-%m-%d")


def _aligned(table: Table) -> str:
    lines = [[written(cell, table.digits) for cell in row] for row in (table.header, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
