"""The report of a training: that of the model, beside simpler ways, with what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from lib.contract.matches import table_match_warnings
from lib.moderation.model.comparison import OURS, Evaluation, ordered
from lib.moderation.model.fitted import FittedModel
from lib.moderation.model.report import Measured
from lib.moderation.model.report import training_report as model_report
from lib.moderation.model.splits import PostSplit
from lib.report import Note, Report, Section, Table


@dataclass(frozen=True)
class Subject:
    """What the report is about.

    Attributes:
        source: what the data is, in words.
        simulated: whether the posts are simulated.
        note: what `jobs.moderation.preprocess` counted.
        split: into parts that teach and test.
        fit: the model and its test posts.
        seed: of the intervals.
    """

    source: str
    simulated: bool
    note: Mapping[str, Any]
    split: PostSplit
    fit: FittedModel
    seed: int


def training_report(subject: Subject, findings: Evaluation) -> Report:
    """The report, and its figures as JSON."""
    fit, counts = subject.fit, subject.split.counts
    report = model_report(
        Measured(
            source=subject.source,
            simulated=subject.simulated,
            policies=fit.model.policies,
            log_odds=fit.log_odds,
            targets=fit.targets,
            presence=fit.presence,
            authors=fit.authors.tolist(),
            answers=fit.answers,
            thresholds=fit.model.thresholds,
            training_posts=counts["members"] + counts["fusion"],
            quarantined=_quarantined(subject.note),
            seed=subject.seed,
        )
    )
    first, *others = report.sections
    sections = [first, _methods(findings), _routing(findings), *others, _data(subject)]
    return replace(report, sections=sections, facts=dict(report.facts) | facts(subject, findings))


def facts(subject: Subject, findings: Evaluation) -> dict[str, Any]:
    """Figures that the model's own report does not have, for programs."""
    names = ("posts", "labelled", "media", "broken_media", "repeated_posts", "tables")
    return {
        "methods": {name: dict(measures) for name, measures in findings.methods.items()},
        "mean_average_precision": asdict(findings.mean),
        "test_authors": findings.authors,
        "actions": dict(findings.actions),
        "automatic_accuracy": findings.automatic,
        "modalities": list(subject.fit.answers),
        "parts": subject.split.counts,
        "test_from_us": subject.split.test_from_us,
        "rows": {name: subject.note[name] for name in names},
    }


def _methods(findings: Evaluation) -> Section:
    policies = list(findings.errors)
    rows = tuple(
        (name, *(_cell(findings.methods[name].get(policy)) for policy in (*policies, "mean")))
        for name in ordered(findings.methods)
    )
    note = Note(
        f"Mean of {OURS}: {findings.mean.value:.3f}, 95% interval {findings.mean.low:.3f} to "
        f"{findings.mean.high:.3f} by drawing the {findings.authors:,} authors with replacement."
    )
    header = ("average precision", *policies, "mean")
    caption = "Of a method that knows nothing it is the share of violations."
    table = Table(header, rows, emphasis=0, caption=caption)
    return Section("Beside simpler methods", (table, note))


def _routing(findings: Evaluation) -> Section:
    actions = tuple((name, share) for name, share in findings.actions.items())
    text = (
        f"Of the posts that do not go to people, {findings.automatic:.1%} are decided rightly: "
        "removed where a policy is violated, allowed where none is. Posts of which something "
        "failed to decode are never allowed unseen."
    )
    return Section("What would happen to posts", (Table(("action", "share"), actions), Note(text)))


def _data(subject: Subject) -> Section:
    counts = tuple(subject.split.counts.items())
    note = subject.note
    tables = tuple(
        (
            name,
            summary["rows_in"],
            summary.get("left_out", 0),
            summary["repeats"],
            summary["quarantined"],
        )
        for name, summary in note["tables"].items()
    )
    day = datetime.fromtimestamp(subject.split.test_from_us / 1e6, UTC).date()
    text = (
        f"Models of {', '.join(subject.fit.answers)}. The test begins on {day}. Unused are posts "
        "without a label, and posts whose author or time belongs to the other side. "
        f"{note['repeated_posts']:,} posts say or show again what an earlier one did."
    )
    text += "".join(f" {n:,} {words}." for words, n in note.get("far_posts", {}).items())
    parts, read = Table(("part", "posts"), counts), Table(_TABLE_HEAD, tables)
    warnings = (Note(line) for line in table_match_warnings(note["tables"], "post"))
    return Section("What it rests on", (*warnings, Note(text), parts, read))


_TABLE_HEAD = ("table", "rows", "left out", "repeats", "quarantined")


def _quarantined(note: Mapping[str, Any]) -> dict[str, int]:
    return {
        f"{name}: {reason}": int(count)
        for name, summary in note["tables"].items()
        for reason, count in summary["reasons"].items()
    }


def _cell(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else value
