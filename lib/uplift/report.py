"""The report of an experiment: what each intervention changed, for whom, and what is not shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lib import report
from lib.contract import QuarantineSummary
from lib.evaluation import Interval
from lib.uplift.comparison import Comparison
from lib.uplift.evaluation import (
    FIFTHS,
    OURS,
    Method,
    UpliftEvaluation,
    pooled,
    uplift_curve,
)

_PER = 10_000.0


@dataclass(frozen=True)
class Subject:
    """What the report is about.

    Attributes:
        source: of the data, in words.
        outcome: source column of the outcome.
        control: name of the arm that got nothing.
        is_unwanted: whether the outcome is to be prevented.
        comparisons: customers by intervention.
        evaluations: by intervention.
        left_out: attributes that are no inputs, with the reason.
        rows: what became of the rows of the table.
    """

    source: str
    outcome: str
    control: str
    is_unwanted: bool
    comparisons: Mapping[str, Comparison]
    evaluations: Mapping[str, UpliftEvaluation]
    left_out: Mapping[str, str]
    rows: QuarantineSummary


def uplift_report(subject: Subject) -> report.Report:
    """The report, and its figures as JSON."""
    return report.Report(
        title="Effects of interventions by customer",
        subtitle=f"{subject.source}; outcome: {subject.outcome}; control: {subject.control}",
        sections=[
            _summary(subject),
            *(_intervention(subject, name) for name in subject.evaluations),
            _method_section(),
            _data(subject),
        ],
        facts=facts(subject),
    )


def facts(subject: Subject) -> dict[str, Any]:
    """The figures, for programs."""
    return {
        "outcome": subject.outcome,
        "control": subject.control,
        "is_unwanted": subject.is_unwanted,
        "rows": asdict(subject.rows),
        "left_out": dict(subject.left_out),
        "interventions": {name: _figures(own) for name, own in subject.evaluations.items()},
        "methods": _method_figures(pooled(list(subject.evaluations.values()))),
    }


def _figures(evaluation: UpliftEvaluation) -> dict[str, Any]:
    return {
        "treated": evaluation.treated,
        "untreated": evaluation.untreated,
        "outcomes_untreated": evaluation.outcomes,
        "effect": vars(evaluation.mean),
        "suffices": evaluation.suffices,
        "methods": _method_figures(evaluation.methods),
        "fifths": [
            {"expected": fifth.expected, **vars(fifth.measured), "customers": fifth.customers}
            for fifth in evaluation.fifths
        ],
    }


def _method_figures(methods: Mapping[str, Method]) -> dict[str, Any]:
    return {
        name: {
            "qini": vars(method.qini),
            "auuc": vars(method.auuc),
            "behind": None if method.behind is None else vars(method.behind),
        }
        for name, method in methods.items()
    }


def verdict(name: str, evaluation: UpliftEvaluation, is_unwanted: bool) -> str:
    """What may be said of an intervention, in a sentence."""
    effect = evaluation.mean
    what = "prevents the outcome" if is_unwanted else "brings the outcome"
    changed = (
        f"{name}: {what} in {_points(effect)} of customers"
        if effect.is_shown
        else f"{name}: no effect is shown ({_points(effect)} of customers)"
    )
    if not evaluation.suffices:
        return (
            f"{changed}; its outcomes do not tell customers apart, so nothing is claimed about "
            "whom it suits"
        )
    ahead = [
        other
        for other, method in evaluation.methods.items()
        if method.behind is not None and method.behind.low > 0.0
    ]
    beyond = f"better than {', '.join(ahead)}" if ahead else "not shown to be better than any"
    return f"{changed}; effects by customer are {beyond}"


def _points(interval: Interval) -> str:
    return f"{interval.value:+.2%} ({interval.low:+.2%} to {interval.high:+.2%})"


def method_rows(methods: Mapping[str, Method]) -> list[tuple[str, str, str, str]]:
    """By way to choose: Qini, AUUC, and how far ours lies above, each with its interval."""
    rows = [("sorted by", f"Qini, outcomes/{_PER:,.0f}", "AUUC", "ours above")]
    for name, method in methods.items():
        behind = "" if method.behind is None else _scaled(method.behind)
        rows.append((name, _scaled(method.qini), _scaled(method.auuc), behind))
    return rows


def _scaled(interval: Interval) -> str:
    value, low, high = (_PER * end for end in (interval.value, interval.low, interval.high))
    return f"{value:.1f} ({low:.1f} to {high:.1f})"


def _summary(subject: Subject) -> report.Section:
    figures = tuple(
        report.KeyFigure(
            name,
            f"{evaluation.mean.value:+.2%}",
            f"{evaluation.mean.low:+.2%} to {evaluation.mean.high:+.2%}; "
            f"{evaluation.treated:,} customers, {evaluation.untreated:,} without",
        )
        for name, evaluation in subject.evaluations.items()
    )
    notes = [
        report.Note(verdict(name, own, subject.is_unwanted))
        for name, own in subject.evaluations.items()
    ]
    header, *rows = method_rows(pooled(list(subject.evaluations.values())))
    caption = "Mean over the interventions, the same drawn customers in all."
    table = report.Table(header, tuple(rows), emphasis=0, caption=caption)
    several = [table] if len(subject.evaluations) > 1 else []
    return report.Section("Summary", [report.KeyFigures(figures), *notes, *several])


def _intervention(subject: Subject, name: str) -> report.Section:
    evaluation, customers = subject.evaluations[name], subject.comparisons[name]
    header, *rows = method_rows(evaluation.methods)
    fifths = [
        (
            f"{number} of {FIFTHS}",
            fifth.customers,
            f"{fifth.expected:+.2%}",
            _points(fifth.measured),
        )
        for number, fifth in enumerate(evaluation.fifths, start=1)
    ]
    return report.Section(
        name,
        [
            report.Table(header, tuple(rows), emphasis=0),
            report.Figures((_curves(customers, evaluation), _bars(evaluation))),
            report.Table(
                ("customers by expected effect", "customers", "expected", "measured"),
                tuple(fifths),
                digits=0,
                caption="The fifth with the largest expected effect comes first.",
            ),
        ],
    )


def _curves(customers: Comparison, evaluation: UpliftEvaluation) -> report.Figure:
    share = np.arange(1, len(customers) + 1) / len(customers)
    curves = {
        name: report.Curve(share, _PER * uplift_curve(customers, method.scores))
        for name, method in evaluation.methods.items()
    }
    what = "prevented" if customers.is_unwanted else "gained"
    return report.line_plot(
        f"Outcomes {what} by share of customers treated",
        curves,
        report.Axis("share of customers treated"),
        report.Axis(f"outcomes per {_PER:,.0f} customers"),
    )


def _bars(evaluation: UpliftEvaluation) -> report.Figure:
    names = [f"fifth {number}" for number in range(1, FIFTHS + 1)]
    measured = [100.0 * fifth.measured.value for fifth in evaluation.fifths]
    axis = report.Axis("measured effect, percent of customers")
    return report.bar_plot("Effect by fifth of the expected effect", names, measured, axis)


def _method_section() -> report.Section:
    text = (
        f"{OURS.capitalize()} is the weighed mean of five learners, in standard deviations; every "
        "customer is scored by models that did not see it. Qini is the area between the curve of "
        "outcomes gained (prevented, if unwanted) and the straight line to its end, which is what "
        "treating customers at random comes to; AUUC is the area below the curve. Intervals are "
        "95% bootstrap intervals "
        "over customers. Where an interval holds 0, nothing is claimed."
    )
    return report.Section("How it was measured", [report.Note(text)])


def _data(subject: Subject) -> report.Section:
    rows = subject.rows
    notes: Sequence[str] = (
        f"{rows.rows_in:,} rows: {rows.quarantined:,} set aside, {rows.left_out:,} left out, "
        f"{rows.repeats:,} repeats.",
        *(f"Left out: {name}: {why}." for name, why in subject.left_out.items()),
    )
    return report.Section("Data", [report.Note(note) for note in notes])
