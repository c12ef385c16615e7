"""The page of a retraining: what the challenger gains, in money and in the system's measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from lib.report import Axis, Curve, KeyFigure, KeyFigures, Note, Report, Section, Table, line_plot
from lib.retraining.comparison import Comparison, Verdict

_COMPARISON = TypeAdapter(Comparison)
_DAY_FORMAT = "%Y-%m-%d %H:%M UTC"


def build_report(
    system: str, retraining_id: str, comparison: Comparison, verdict: Verdict, new_labels: int
) -> Report:
    """The page, and its figures as JSON with the decision in words.

    Args:
        system: the risk system.
        retraining_id: of the retraining in the records.
        comparison: challenger and champion on the same rows.
        verdict: whether it is published.
        new_labels: that became known since the last time.
    """
    start, end = (_day(time_us) for time_us in (comparison.start_us, comparison.end_us))
    return Report(
        title=f"Retraining of {system}: {'published' if verdict.won else 'not published'}",
        subtitle=f"{comparison.rows:,} rows of {comparison.entities:,} entities from {start} to "
        f"{end} that neither model saw; {new_labels:,} new labels; {retraining_id}",
        sections=[
            Section("Decision", [Note(f"{verdict.reason}."), _figures(comparison)]),
            Section(
                "Both models on the same rows",
                [_table(comparison), *_guarded(comparison), _plot(comparison)],
            ),
        ],
        facts={
            "system": system,
            "retraining": retraining_id,
            "decision": verdict.reason,
            "won": verdict.won,
            "new_labels": new_labels,
            **comparison_facts(comparison),
        },
    )


def comparison_facts(comparison: Comparison) -> dict[str, Any]:
    """The figures of a comparison as JSON, without the daily ones."""
    facts = asdict(comparison)
    del facts["cumulative_gain"]
    return facts


def read_comparison(facts: Mapping[str, Any]) -> Comparison:
    """A comparison of its fields as JSON, as a step of a retraining keeps them."""
    return _COMPARISON.validate_python(facts)


def _figures(comparison: Comparison) -> KeyFigures:
    money, measure = comparison.money_gain, comparison.measure_gain
    return KeyFigures(
        (
            KeyFigure(
                "gain a week, currency units",
                f"{money.value:+,.0f}",
                f"95%: {money.low:+,.0f} to {money.high:+,.0f}",
            ),
            KeyFigure(
                comparison.measure,
                f"{measure.value:+.4f}",
                f"95%: {measure.low:+.4f} to {measure.high:+.4f}",
            ),
            KeyFigure("rows", f"{comparison.rows:,}", f"{comparison.positives:,} with the outcome"),
        )
    )


def _table(comparison: Comparison) -> Table:
    models = (("champion", comparison.champion), ("challenger", comparison.challenger))
    rows = tuple(
        (name, model.version, model.measure, model.money_per_week) for name, model in models
    )
    return Table(
        ("model", "version", comparison.measure, "money a week"),
        rows,
        digits=4,
        emphasis=1,
        caption="Money is what decisions bring less what they cost, in currency units.",
        column_digits={"money a week": 0},
    )


def _guarded(comparison: Comparison) -> list[Table]:
    """Figures that may not grow beyond their margins; none where there are none."""
    rows = tuple(
        (own.name, own.champion, own.challenger, own.margin, "yes" if own.is_kept else "no")
        for own in comparison.guarded
    )
    header = ("figure, lower is better", "champion", "challenger", "may grow by", "kept")
    return [Table(header, rows)] if rows else []


def _plot(comparison: Comparison) -> Any:
    gain = np.asarray(comparison.cumulative_gain)
    days = np.arange(len(gain))
    return line_plot(
        "Gain of the challenger, added up",
        {"challenger less champion": Curve(days, gain), "no difference": Curve(days, 0.0 * gain)},
        Axis("days since the slice began"),
        Axis("currency units"),
    )


def _day(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime(_DAY_FORMAT)
