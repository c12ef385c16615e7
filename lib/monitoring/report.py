"""The page of a monitoring run: incidents first, then what each day and week looked like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from lib.monitoring.assessment import AssessedModel, Assessment, ExplainedIncident
from lib.monitoring.incident import moment_text
from lib.monitoring.performance import Figure as Performance
from lib.monitoring.performance import number_text
from lib.monitoring.performance_history import Period
from lib.monitoring.request_quality import DailyCounts
from lib.monitoring.scored_rows import DAY
from lib.monitoring.system_figures import FigureTable
from lib.report import (
    Axis,
    Block,
    Cell,
    Curve,
    Figure,
    Figures,
    KeyFigure,
    KeyFigures,
    Note,
    Report,
    Section,
    Table,
    heat_map,
    line_plot,
)

_QUANTILES = {"highest 1%": 0.99, "highest 10%": 0.9, "median": 0.5}
_MOST_MEASURES = 60
_NO_INCIDENT = (
    "Nothing changed by more than days of the training differ from each other by nature and by "
    "more than is worth a look."
)

_NOT_COMPARED = "Nothing was compared: no model of the window remembers what it was trained on."


def monitoring_report(
    assessment: Assessment, requests: DailyCounts, *, pictures: bool = True
) -> Report:
    """The page, with the same figures as JSON.

    Args:
        assessment: of the window.
        requests: of access logs, empty without any.
        pictures: whether plots are drawn, which takes longer than all else.
    """
    open_count = sum(own.incident.is_open for own in assessment.incidents)
    title = f"Monitoring of {assessment.system}: {_count(open_count, 'open incident')}"
    sections = [
        Section("Now", [_key_figures(assessment, open_count)]),
        Section("Incidents", _incidents(assessment)),
        Section("Performance", [*_performance(assessment, pictures), *_tables(assessment.tables)]),
    ]
    if pictures:
        sections[2:2] = [
            *(_evidence(model) for model in assessment.models if model.evidence is not None),
            Section("Decisions and scores", _daily(assessment)),
        ]
    if incoming := _incoming(assessment, requests):
        sections.append(Section("Requests and tables", incoming))
    if notes := (*assessment.notes, *assessment.performance.notes):
        sections.append(
            Section("What could not be judged", [Note(_sentence(note)) for note in notes])
        )
    return Report(title, _subtitle(assessment), sections, to_json(assessment, requests))


def to_json(assessment: Assessment, requests: DailyCounts) -> dict[str, Any]:
    """The same as plain values; times are microseconds since 1970 UTC."""
    return {
        "system": assessment.system,
        "since": assessment.since,
        "until": assessment.until,
        "as_of": assessment.as_of,
        "models": [_model_json(model) for model in assessment.models],
        "incidents": [own.to_json() for own in assessment.incidents],
        "performance": assessment.performance.to_json(),
        "tables": [table.to_json() for table in assessment.tables],
        "sampled_share_of_entities": assessment.share,
        "requests": requests.rows(),
        "notes": list(assessment.notes),
    }


def _model_json(model: AssessedModel) -> dict[str, Any]:
    evidence = model.evidence
    return {
        "version": model.version,
        "rows": model.rows,
        "has_reference": model.has_reference,
        "days": [_date(window.since) for window in model.windows],
        "rows_by_day": [window.rows for window in model.windows],
        "evidence": {}
        if evidence is None
        else dict(zip(evidence.measures, evidence.values.tolist(), strict=True)),
    }


def _subtitle(assessment: Assessment) -> str:
    rows = sum(model.rows for model in assessment.models)
    models = ", ".join(model.version or "no model" for model in assessment.models)
    return (
        f"{rows:,} decisions from {_date(assessment.since)} to before {_date(assessment.until)} "
        f"(UTC), by {models}; labels as known on {moment_text(assessment.as_of)}"
    )


def _key_figures(assessment: Assessment, open_count: int) -> KeyFigures:
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
                return KeyFigure(_words(own.name), number_text(own.value), when)
    name = next(figures[index].name for p in periods for figures in (p.realised, p.estimated)
                if index < len(figures))  # fmt: skip
    return KeyFigure(_words(name), "–", "cannot be known yet")


def _incidents(assessment: Assessment) -> list[Block]:
    incidents = assessment.incidents
    if not incidents:
        compared = any(model.has_reference for model in assessment.models)
        return [Note(_NO_INCIDENT if compared else _NOT_COMPARED)]
    blocks: list[Block] = []
    for own in incidents:
        incident = own.incident
        state = "open" if incident.is_open else f"over since {moment_text(incident.closed_at or 0)}"
        blocks.append(Note(f"{incident.sentence} ({state})."))
        parts = [cause.sentence for cause in own.causes]
        if own.consequence is not None:
            parts.append(own.consequence.sentence)
        blocks += [Note(f"— {part}.") for part in parts]
    header = ("measure", "kind", "name", "since", "before", "after", "unit", "state")
    blocks.append(Table(header, tuple(_incident_row(own) for own in incidents), digits=4))
    return blocks


def _incident_row(own: ExplainedIncident) -> tuple[Cell, ...]:
    incident = own.incident
    return (
        incident.measure,
        str(incident.kind),
        incident.name,
        moment_text(incident.since),
        incident.before,
        incident.after,
        incident.unit,
        "open" if incident.is_open else "over",
    )


def _evidence(model: AssessedModel) -> Section:
    evidence = model.evidence
    if evidence is None:
        raise ValueError("expected a model with evidence")
    order = np.argsort(-np.nan_to_num(evidence.values).max(axis=1), kind="stable")
    order = order[:_MOST_MEASURES]
    caption = (
        "Evidence of a day that a measure differs from the training, as the logarithm of an "
        f"e-value; {evidence.threshold:.1f} over days that follow each other opens an incident. "
        "Grey: the day says nothing."
    )
    if len(evidence.measures) > _MOST_MEASURES:
        caption += f" The {_MOST_MEASURES} measures with most evidence of {len(evidence.measures)}."
    figure = heat_map(
        f"Measures by day, model {model.version}",
        [evidence.measures[at] for at in order],
        [_date(day * DAY)[5:] for day in evidence.days],
        evidence.values[order],
        most=evidence.threshold,
        label="log10 of the e-value",
        caption=caption,
    )
    return Section("What changed when", [figure])


def _daily(assessment: Assessment) -> list[Block]:
    outcomes = assessment.outcomes
    days = np.asarray(outcomes["event_time"].cast(pa.int64())) // DAY
    first, last = int(days.min()), int(days.max())
    x = np.arange(first, last + 1)
    totals = np.maximum(np.bincount(days - first, minlength=len(x)), 1)
    names = np.asarray(outcomes["decision"])
    shares = {
        str(name): Curve(
            x - first, np.bincount(days[names == name] - first, minlength=len(x)) / totals
        )
        for name in _rarer(names)
    }
    axis = Axis(f"day, from {_date(first * DAY)} on")
    plots = [line_plot("Share of decisions", shares, axis, Axis("share of a day"))]
    scores = np.asarray(outcomes["score"].fill_null(np.nan), dtype=np.float64)
    if np.isfinite(scores).any():
        curves = {
            name: Curve(x - first, [_quantile(scores[days == day], q) for day in x])
            for name, q in _QUANTILES.items()
        }
        plots.append(line_plot("Score", curves, axis, Axis("score")))
    sample = "" if assessment.share == 1 else f" ({assessment.share:.1%} of the entities, drawn)"
    return [Note(f"{outcomes.num_rows:,} decisions by day{sample}."), Figures(tuple(plots))]


def _rarer(names: Any) -> list[str]:
    """All decisions but the most frequent, whose share is what the others leave."""
    every, counts = np.unique(names, return_counts=True)
    return [str(name) for at, name in enumerate(every) if len(every) == 1 or at != counts.argmax()]


def _quantile(scores: Any, share: float) -> float:
    finite = scores[np.isfinite(scores)]
    return float(np.quantile(finite, share)) if len(finite) else float("nan")


def _performance(assessment: Assessment, pictures: bool) -> list[Block]:
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
        blocks.append(Note(_sentence("; ".join(parts))))
    return blocks


def _tables(tables: Sequence[FigureTable]) -> list[Block]:
    """Figures that the system alone has, those without a row left out."""
    blocks: list[Block] = []
    for table in tables:
        if table.rows:
            blocks.append(Note(_sentence(table.title)))
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
            _words((period.realised or period.estimated)[index].name),
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
    return f"{_date(period.since)} to {_date(period.until - 1)[5:]}"


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
    axis = Axis(f"day, from {_date(first)} on")
    return line_plot(_words(name), curves, axis, Axis(unit or "value"), points=True)


def _incoming(assessment: Assessment, requests: DailyCounts) -> list[Block]:
    """Requests that were refused, values that training did not have, rows that were set aside."""
    blocks: list[Block] = []
    if routes := _shares_of(requests, "requests", "refused"):
        blocks.append(Table(("route", "requests", "refused (422)", "share"), routes))
    days = requests.days() or (0, -1)
    for kind, header in _NAMED.items():
        names = requests.names(kind)
        totals = {name: int(requests.series(kind, name, *days).sum()) for name in names}
        if totals:
            rows = sorted(totals.items(), key=lambda own: (-own[1], own[0]))
            blocks.append(Table(header, tuple(rows)))
    if tables := _shares_of(requests, "rows", "quarantined"):
        blocks.append(Table(("table", "rows read", "set aside", "share"), tables))
    if unseen := tuple(_unseen(assessment)):
        blocks.append(Table(("measure", "decisions", "values unknown", "share", "such as"), unseen,
                            caption="values that were not among those of training"))  # fmt: skip
    return blocks


_NAMED = {
    "refused_field": ("field refused", "times"),
    "quarantine_reason": ("reason to set aside", "rows"),
}


def _shares_of(requests: DailyCounts, every: str, part: str) -> tuple[tuple[Cell, ...], ...]:
    days = requests.days() or (0, -1)
    rows = []
    for name in requests.names(every):
        total, some = (int(requests.series(kind, name, *days).sum()) for kind in (every, part))
        rows.append((name, total, some, f"{some / max(total, 1):.2%}"))
    return tuple(rows)


def _unseen(assessment: Assessment) -> Iterator[tuple[Cell, ...]]:
    """Of measures that are texts, in the windows of this run."""
    for model in assessment.models:
        windows = [window for window in model.windows if window.since >= assessment.since]
        parts = windows[0].bins.measures if windows else ()
        for name in (part.name for part in parts if part.kind == "category"):
            counts = [window.measures[name] for window in windows]
            total = sum(int(own.by_cell.sum()) for own in counts)
            unseen = sum(own.unseen for own in counts)
            names = sorted({text for own in counts for text in own.unseen_names})[:3]
            if unseen:
                yield name, total, unseen, f"{unseen / max(total, 1):.2%}", ", ".join(names)


def _date(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%d")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _words(name: str) -> str:
    return "AUC" if name == "auc" else name.replace("_", " ")


def _sentence(sentence: str) -> str:
    """A sentence with a capital at its begin and a full stop."""
    text = sentence[:1].upper() + sentence[1:]
    return text if text.endswith(".") else f"{text}."
