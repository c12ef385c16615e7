"""The page of a monitoring run: incidents first, then what each day and week looked like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from lib.monitoring.assessment import AssessedModel, Assessment, ExplainedIncident
from lib.monitoring.incident import moment_text
from lib.monitoring.performance_report import (
    date_text,
    key_figures,
    performance_blocks,
    sentence_text,
    table_blocks,
)
from lib.monitoring.request_quality import DailyCounts
from lib.monitoring.scored_rows import DAY
from lib.report import (
    Axis,
    Block,
    Cell,
    Curve,
    Figures,
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
        Section("Now", [key_figures(assessment, open_count)]),
        Section("Incidents", _incidents(assessment)),
        Section(
            "Performance",
            [*performance_blocks(assessment, pictures), *table_blocks(assessment.tables)],
        ),
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
            Section("What could not be judged", [Note(sentence_text(note)) for note in notes])
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
        "days": [date_text(window.since) for window in model.windows],
        "rows_by_day": [window.rows for window in model.windows],
        "evidence": {}
        if evidence is None
        else dict(zip(evidence.measures, evidence.values.tolist(), strict=True)),
    }


def _subtitle(assessment: Assessment) -> str:
    rows = sum(model.rows for model in assessment.models)
    models = ", ".join(model.version or "no model" for model in assessment.models)
    days = f"from {date_text(assessment.since)} to before {date_text(assessment.until)} (UTC)"
    known = f"labels as known on {moment_text(assessment.as_of)}"
    return f"{rows:,} decisions {days}, by {models}; {known}"


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
        [date_text(day * DAY)[5:] for day in evidence.days],
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
    axis = Axis(f"day, from {date_text(first * DAY)} on")
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


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
