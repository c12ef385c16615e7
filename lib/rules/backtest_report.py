"""The backtest of a rule set as terminal table, JSON and one self-contained HTML page."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lib.contract.money import money_text
from lib.rules.measures import Costs, RuleMeasures
from lib.rules.ruleset import RuleSet
from lib.rules.tally import DAY_US, Tally

_STYLE = (
    "body{font:15px system-ui;margin:2em auto;max-width:75em;color:#222}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.3em .7em;text-align:right;"
    "border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}"
    "svg{max-width:100%;height:auto}"
)
Table = tuple[Sequence[str], Sequence[Sequence[str]]]


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

    def facts(self) -> list[str]:
        """Say what history the figures rest on, one sentence a line."""
        (frauds, goods, unlabelled), values = self.tally.totals.tolist()
        labelled = frauds + goods
        share = f" ({frauds / labelled:.3%} of those labelled)" if labelled else ""
        return [
            f"{labelled + unlabelled:,} payments on {len(self.tally.daily)} days {self._span()}",
            f"{frauds:,} frauds{share} worth {self._money(values[0])}; {goods:,} good payments",
            f"{unlabelled:,} payments without a label: in no share, never taken for good",
            f"rule set version {self.rules.version}, digest {self.rules.digest[:12]}",
        ]

    def assumptions(self) -> list[str]:
        """Say what the money is reckoned with."""
        costs = self.costs
        return [
            f"{costs.stopped_share:.0%} of a declined fraud's amount is saved",
            f"a declined good payment costs {self._money(costs.good_decline_minor)} and "
            f"{costs.good_decline_share:.1%} of its amount",
            f"a review costs {self._money(costs.review_minor)} and stops "
            f"{costs.review_catch_share:.0%} of frauds",
        ]

    def table(self) -> Table:
        """Return header and rows of the main table; money in units of the currency."""
        header = (
            "rule", "status", "action", "hits", "a day", "precision", "95% interval", "recall",
            "by value", "saved", "good hurt", "their value", "unlabelled", "decides",
        )  # fmt: skip
        return header, [self._cells(measure) for measure in self.measures]

    def overlap_table(self) -> Table:
        """Return payments hit by both the rule of the row and the rule of the column."""
        names = [rule.id for rule in self.rules.rules]
        counts = self.tally.overlap.tolist()
        rows = [[name, *(f"{n:,}" for n in row)] for name, row in zip(names, counts, strict=True)]
        return ("hit by both", *names), rows

    def to_json(self) -> dict[str, Any]:
        """Return every figure; shares that cannot be computed are null."""
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
            "rules": [_finite(asdict(measure)) for measure in self.measures],
            "overlap": {"rules": names, "payments": self.tally.overlap.tolist()},
            "daily_hits": {
                _date(day): dict(zip(names, counts.tolist(), strict=True))
                for day, counts in sorted(self.tally.daily.items())
            },
        }  # fmt: skip

    def to_html(self, title: str) -> str:
        """Return one page that needs no other file."""
        parts = [
            f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>",
            f"<style>{_STYLE}</style><h1>{escape(title)}</h1>",
            _html_list(self.facts()),
            _html_table(self.table()),
            "<h2>Assumptions</h2>",
            _html_list(self.assumptions()),
            "<h2>Overlap</h2>",
            _html_table(self.overlap_table()),
            "<h2>Hits per day</h2>",
            self._daily_plot(),
            "<h2>Rules</h2>",
            _html_table((("rule", "when"), [(rule.id, rule.when) for rule in self.rules.rules])),
            "</html>",
        ]
        return "\n".join(parts)

    def to_text(self) -> str:
        """Return the tables as aligned text for a terminal."""
        return "\n".join(
            [*self.facts(), "", _aligned(self.table()), "", _aligned(self.overlap_table()), "",
             "assuming that", *(f"  {line}" for line in self.assumptions())]
        )  # fmt: skip

    def _cells(self, measure: RuleMeasures) -> tuple[str, ...]:
        interval = f"{_percent(measure.precision_low)}..{_percent(measure.precision_high)}"
        saved, hurt = self._money(measure.saved_minor), self._money(measure.good_hurt_minor)
        return (
            measure.rule_id, measure.status, measure.action, f"{measure.hits:,}",
            f"{measure.hits_per_day:,.1f}", _percent(measure.precision), interval,
            _percent(measure.recall), _percent(measure.value_recall), saved,
            f"{measure.good_hurt:,}", hurt, f"{measure.unlabelled:,}", f"{measure.decides:,}",
        )  # fmt: skip

    def _money(self, minor: float) -> str:
        return money_text(minor, self.currency_digits)

    def _span(self) -> str:
        days = sorted(self.tally.daily)
        return f"({_date(days[0])} to {_date(days[-1])}, UTC)" if days else ""

    def _daily_plot(self) -> str:
        days = sorted(self.tally.daily)
        dates = np.array(days, "datetime64[D]")
        figure = Figure(figsize=(10, 3.2), layout="constrained")
        axes = figure.subplots()
        for index, rule in enumerate(self.rules.rules):
            axes.plot(dates, [self.tally.daily[day][index] for day in days], label=rule.id)
        axes.set_ylabel("hits")
        axes.tick_params(axis="x", rotation=30)
        axes.legend(fontsize="small")
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg")
        return drawn.getvalue()[drawn.getvalue().index("<svg") :]


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{share:.1%}"


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_US // 1_000_000, UTC).strftime("%Y-%m-%d")


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in values.items()
    }


def _aligned(table: Table) -> str:
    lines = [table[0], *table[1]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _html_table(table: Table) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return f"<table>{row(table[0], 'th')}{''.join(row(line, 'td') for line in table[1])}</table>"


def _html_list(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"
