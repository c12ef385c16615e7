"""Key figures, tables and plots of performance on the page of a monitoring run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from lib.monitoring.assessment import Assessment
from lib.monitoring.performance import Figure as Performance
from lib.monitoring.performance import number_text
from lib.monitoring.performance_history import Period
from lib.monitoring.scored_rows import DAY
from lib.monitoring.system_figures import FigureTable
from lib.report import (
    Axis,
    Block,
    Curve,
    Figure,
    Figures,
    KeyFigure,
    KeyFigures,
    Note,
    Table,
    line_plot,
)


def key_figures(assessment: Assessment, open_count: int) -> KeyFigures:
    """Incidents, decisions, final labels and the newest values of three measures."""
    closed = len(assessment.incidents) - open_count
    figures = [
        KeyFigure("open incidents", str(open_count), f"{closed} over in the window"),
        KeyFigure("decisions", f"{sum(model.rows for model in assessment.models):,}"),
    ]
    periods = assessment.performance.periods
    if periods:
        latest = periods[-1]
        days = round((latest.until - latest.since) / DAY)
        figures.append(
            KeyFigure("labels that are final", f"{latest.ripe:.0%}", f"of the last {days} days")
        )
        figures += [_latest_figure(periods, index) for index in range(_measures(periods))][:3]
    return KeyFigures(tuple(figures))


def _measures(periods: Sequence[Period]) -> int:
    return max((max(len(p.realised), len(p.estimated)) for p in periods), default=0)


def _latest_figure(periods: Sequence[Period], index: int) -> KeyFigure:
    """The newest value of a measure, with what it rests on."""
    for period in reversed(periods):
        for figures in (period.realised if period.ripe >= 0.9 else (), period.estimated):
            if index < len(figures) and np.isfinite(figures[index].value):
                own = figures[index]
                when = f"{own.basis}, {_days(period)}"
                return KeyFigure(words_of(own.name), number_text(own.value), when)
    name = next(figures[index].name for p in periods for figures in (p.realised, p.estimated)
                if index < len(figures))  # fmt: skip
    return KeyFigure(words_of(name), "–", "cannot be known yet")


def performance_blocks(assessment: Assessment, pictures: bool) -> list[Block]:
    """Labels and measures by period, with plots if `pictures` are wanted."""
    periods = assessment.performance.periods
    if not periods:
        return [Note("Nothing could be measured; the last section says why.")]
    blocks: list[Block] = [_label_table(periods), _figure_table(periods)]
    measures = range(_measures(periods) if pictures else 0)
    plots = [_measure_plot(periods, index) for index in measures]
    if shown := tuple(plot for plot in plots if plot is not None):
        blocks.append(Figures(shown))
    delays = assessment.performance.to_json()["label_delay_days"]
    if delays:
        parts = [
            f"{share} of positive labels are in after {d:.1f} days" for share, d in delays.items()
        ]
        blocks.append(Note(sentence_text("; ".join(parts))))
    return blocks


def table_blocks(tables: Sequence[FigureTable]) -> list[Block]:
    """Figures that the system alone has, those without a row left out."""
    blocks: list[Block] = []
    for table in tables:
        if table.rows:
            blocks.append(Note(sentence_text(table.title)))
            blocks.append(Table(table.header, table.rows, caption=table.caption))
    return blocks


def _label_table(periods: Sequence[Period]) -> Table:
    header = ("days", "decisions", "final", "positives of these", "expected in the end")
    rows = [
        (
            _days(period),
            period.rows,
            f"{period.ripe:.0%}",
            f"{period.positives:.2%}" if np.isfinite(period.positives) else None,
            _rate(period),
        )
        for period in periods
    ]
    caption = (
        "final: decisions whose outcome is known for good; in brackets 95% limits over entities"
    )
    return Table(header, tuple(rows), caption=caption)


def _figure_table(periods: Sequence[Period]) -> Table:
    header = ("days", "measure", "on final labels", "estimated before labels", "estimate")
    rows = [
        (
            _days(period),
            words_of((period.realised or period.estimated)[index].name),
            _figure_text(period.realised, index),
            _figure_text(period.estimated, index),
            {None: None, True: "trusted", False: "not trusted"}[period.trusted],
        )
        for period in periods
        for index in range(_measures([period]))
    ]
    caption = "not trusted: outcomes that came since contradict the estimates"
    return Table(header, tuple(rows), caption=caption)


def _days(period: Period) -> str:
    return f"{date_text(period.since)} to {date_text(period.until - 1)[5:]}"


def _rate(period: Period) -> str | None:
    rate = period.expected_rate
    return None if rate is None else f"{rate.value:.2%} ({rate.low:.2%} to {rate.high:.2%})"


def _figure_text(figures: Sequence[Performance], index: int) -> str | None:
    if index >= len(figures) or not np.isfinite(figures[index].value):
        return None
    own = figures[index]
    limits = f"({number_text(own.low)} to {number_text(own.high)})"
    return f"{number_text(own.value)} {own.unit} {limits}".replace("  ", " ")


def _measure_plot(periods: Sequence[Period], index: int) -> Figure | None:
    """A measure by week: on labels, and estimated."""
    curves = {}
    name = unit = ""
    first = periods[0].since
    for label in ("realised", "estimated"):
        points = [
            ((period.since + period.until) / 2, getattr(period, label)[index])
            for period in periods
            if index < len(getattr(period, label))
        ]
        points = [(at, own) for at, own in points if np.isfinite(own.value)]
        if points:
            name, unit = points[0][1].name, points[0][1].unit
            curves[label] = Curve(
                [(at - first) / DAY for at, _ in points], [own.value for _, own in points]
            )
    if not curves:
        return None
    axis = Axis(f"day, from {date_text(first)} on")
    return line_plot(words_of(name), curves, axis, Axis(unit or "value"), points=True)


def date_text(time_us: int) -> str:
    """The day in UTC, ISO 8601, of microseconds since 1970 UTC."""
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%d")


def words_of(name: str) -> str:
    """The name of a measure, for people."""
    return "AUC" if name == "auc" else name.replace("_", " ")


def sentence_text(sentence: str) -> str:
    """A sentence with a capital at its begin and a full stop."""
    text = sentence[:1].upper() + sentence[1:]
    return text if text.endswith(".") else f"{text}."
