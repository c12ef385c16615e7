"""The report of a training: what the model finds, how it compares, and what it rests on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import starmap
from typing import Any

import numpy as np

from lib import report
from lib.churn.model.evaluation import MEASURES, OURS, PRECISION, RECALL, Evaluation, ordered
from lib.churn.model.fitting import Split
from lib.churn.model.model import ChurnModel
from lib.churn.reasons import words_for
from lib.churn.vocabulary import CustomerVocabulary
from lib.contract import MatchCounts
from lib.contract.matches import match_figures, match_warnings

_SHOWN = 15


@dataclass(frozen=True)
class Subject:
    """What the report is about."""

    source: str
    simulated: bool
    split: Split
    model: ChurnModel
    contradictions: Mapping[str, int]
    tables: Mapping[str, Mapping[str, Any]]
    matches: Mapping[str, MatchCounts]
    untold: tuple[str, ...]


def training_report(subject: Subject, findings: Evaluation) -> report.Report:
    """The report, and its figures as JSON."""
    target = subject.model.target
    outcome = f"leave within {target.window_days} days"
    outcome += f", {target.lead_days} days ahead" if target.lead_days else ""
    first = datetime.fromtimestamp(subject.split.first_test_us / 1e6, UTC)
    simulated = "simulated customers; " if subject.simulated else ""
    return report.Report(
        title="Churn model: training report",
        subtitle=f"{simulated}{subject.source}; tested on snapshot times from "
        f"{first:%Y-%m-%d} on, whose outcomes were not known in training",
        sections=[
            _overview(findings, outcome),
            _methods(findings),
            _pictures(findings),
            _why(findings, subject.model.base),
            _early(findings),
            _groups(subject, findings),
            _data(subject),
        ],
        facts=facts(subject, findings),
    )


def facts(subject: Subject, findings: Evaluation) -> dict[str, Any]:
    """The figures, for programs."""
    return {
        "simulated": subject.simulated,
        "test_rows": findings.rows,
        "test_customers": findings.customers,
        "training_rows": len(subject.split.train),
        "prevalence": findings.prevalence,
        "methods": {name: dict(measures) for name, measures in findings.measures.items()},
        "auc": vars(findings.auc),
        "ap": vars(findings.ap),
        "ece": findings.calibration_error,
        "unseen_customers": {"rows": findings.unseen[0], "auc": findings.unseen[1]},
        "warned": warned(findings),
        "drivers": dict(list(findings.importance.items())[:_SHOWN]),
        "capacity": findings.capacity,
        "contradictions": dict(subject.contradictions),
        "matches": {table: counts.to_json() for table, counts in subject.matches.items()},
        "untold_features": list(subject.untold),
    }


def warned(findings: Evaluation) -> dict[str, float]:
    """Shares of leavers by how early they were first flagged."""
    days = findings.warned_days
    if not len(days):
        return {"leavers": 0}
    early = {f"flagged_{n}_days_before": float(np.mean(days >= n)) for n in (30, 60, 90)}
    return {"leavers": len(days), "flagged": float(np.mean(~np.isnan(days))), **early}


def _overview(findings: Evaluation, outcome: str) -> report.Section:
    ours = findings.measures[OURS]
    auc, ap = findings.auc, findings.ap
    figures = (
        ("customers who " + outcome, f"{findings.prevalence:.1%}", "of the test's rows"),
        (
            "recall at capacity",
            f"{ours[RECALL]:.0%}",
            f"of leavers among the riskiest {findings.capacity:.0%} of customers",
        ),
        ("precision at capacity", f"{ours[PRECISION]:.1%}", "of the flagged customers leave"),
        ("AUC", f"{auc.value:.3f}", f"{auc.low:.3f} to {auc.high:.3f}"),
        ("average precision", f"{ap.value:.3f}", f"{ap.low:.3f} to {ap.high:.3f}"),
        ("calibration error", f"{findings.calibration_error:.3f}", "predicted against observed"),
    )
    text = (
        f"{findings.rows:,} rows of {findings.customers:,} customers. Intervals are 95% "
        "bootstrap intervals over customers. Compare average precision with the share of customers "
        "who leave, which a random order reaches."
    )
    return report.Section(
        "Summary", [report.KeyFigures(tuple(starmap(report.KeyFigure, figures))), report.Note(text)]
    )


def _methods(findings: Evaluation) -> report.Section:
    rows: list[tuple[report.Cell, ...]] = [
        (name, *(findings.measures[name][key] for key in MEASURES))
        for name in ordered(findings.measures)
    ]
    header = (
        *("method", "AUC", "average precision", "leavers found"),
        *("precision", "leaving revenue found"),
    )
    caption = (
        f"The last three columns are measured among the riskiest {findings.capacity:.0%} at each "
        "snapshot time. All methods use the same training rows and the same test rows."
    )
    return report.Section(
        "Beside simpler methods",
        [report.Table(header, tuple(rows), emphasis=len(rows) - 1, caption=caption)],
    )


def _pictures(findings: Evaluation) -> report.Section:
    percent = np.arange(101) / 100.0
    curves = {OURS: findings.lift[OURS], **findings.lift}
    lift = {name: report.Curve(percent, curve) for name, curve in curves.items()}
    stated = [reliability_bin.stated for reliability_bin in findings.calibration]
    observed = [reliability_bin.observed for reliability_bin in findings.calibration]
    top = max(*stated, *observed, 1e-9)
    figures = [
        report.line_plot(
            "Leavers found by share of customers contacted, riskiest first",
            dict(list(lift.items())[:6]),
            report.Axis("share of customers contacted"),
            report.Axis("share of leavers found"),
            diagonal=True,
        ),
        report.line_plot(
            "Predicted and observed probability",
            {
                "customers of similar probability": report.Curve(stated, observed),
                "perfect calibration": report.Curve([0, top], [0, top]),
            },
            report.Axis("predicted probability"),
            report.Axis("share that left"),
            points=True,
        ),
    ]
    return report.Section("Quality", [report.Figures(tuple(figures))])


def _why(findings: Evaluation, base: CustomerVocabulary) -> report.Section:
    top = list(findings.importance.items())[:_SHOWN]
    plot = report.bar_plot(
        "Most important features",
        [words_for(name, base) for name, _ in top],
        [share for _, share in top],
        report.Axis("share of all contributions"),
    )
    text = (
        "Mean absolute SHAP values of the model's log-odds. They show which "
        "features the model uses, not the effect of changing them, which only a control group "
        "measures."
    )
    return report.Section("Reasons", [report.Figures((plot,)), report.Note(text)])


def _early(findings: Evaluation) -> report.Section:
    days = findings.warned_days
    flagged_days = days[~np.isnan(days)]
    if not len(days):
        return report.Section(
            "Lead time", [report.Note("No leaver has a full window of data before its notice.")]
        )
    shares = warned(findings)
    text = (
        f"Of {len(days):,} leavers with a full window of data before their notice, "
        f"{shares['flagged']:.0%} were flagged before it, {shares['flagged_30_days_before']:.0%} "
        f"at least 30 and {shares['flagged_60_days_before']:.0%} at least 60 days ahead. A "
        "customer is flagged if its probability is among the riskiest "
        f"{findings.capacity:.0%} of the training data."
    )
    blocks: list[Any] = [report.Note(text)]
    if len(flagged_days):
        axis = report.Axis("days before notice")
        leavers = {"leavers": flagged_days}
        plot = report.histogram("First flagged", leavers, axis, bins=20, logarithmic=False)
        blocks.append(report.Figures((plot,)))
    return report.Section("Lead time", blocks)


def _groups(subject: Subject, findings: Evaluation) -> report.Section:
    names = subject.model.base.segments
    rows: list[tuple[report.Cell, ...]] = [
        (names[int(code) - 1] if 0 < code <= len(names) else "other", count, share, auc)
        for code, count, share, auc in findings.segments
    ]
    rows.append(("customers never seen in training", findings.unseen[0], None, findings.unseen[1]))
    return report.Section(
        "By segment", [report.Table(("segment", "rows", "share that leaves", "AUC"), tuple(rows))]
    )


def _data(subject: Subject) -> report.Section:
    counts = ("rows_in", "left_out", "repeats", "merged", "quarantined")
    rows: list[tuple[report.Cell, ...]] = [
        (name, *(int(table.get(count, 0)) for count in counts))
        for name, table in subject.tables.items()
    ]
    blocks: list[Any] = [
        *map(report.Note, match_warnings(subject.matches, "customer")),
        report.Table(
            ("table", "rows", "left out", "repeats dropped", "merged", "quarantined"), tuple(rows)
        ),
    ]
    reasons = [
        (f"{name}: {reason}", int(count))
        for name, table in subject.tables.items()
        for reason, count in table["reasons"].items()
    ]
    if reasons:
        blocks.append(report.Table(("reason of the quarantine", "rows"), tuple(reasons)))
    if strangers := match_figures(subject.matches, "customer"):
        blocks.append(
            report.Table(("rows whose customer is unknown", "rows"), tuple(strangers.items()))
        )
    if subject.contradictions:
        caption = "Contradictions are counted and not corrected: events are used, flags are not."
        header = ("contradictions between tables", "times")
        table_rows = tuple(subject.contradictions.items())
        blocks.append(report.Table(header, table_rows, caption=caption))
    if subject.untold:
        blocks.append(
            report.Note(
                f"{len(subject.untold)} of {len(subject.model.names)} features are missing, since "
                "their tables are not given: " + ", ".join(map(words_for, subject.untold)) + "."
            )
        )
    return report.Section("The data", blocks)
