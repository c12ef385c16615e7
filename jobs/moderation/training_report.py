"""The report of a training: that of the model, beside simpler ways, with what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from jobs.moderation.findings import OURS, Findings, ordered
from jobs.moderation.fits import Fitted
from jobs.moderation.parting import Parting
from jobs.moderation.prepared import Prepared
from jobs.moderation.sources import table_warnings
from lib.moderation.model.report import Measured
from lib.moderation.model.report import training_report as model_report
from lib.report import Note, Report, Section, Table


@dataclass(frozen=True)
class Subject:
    """What the report is about."""

    source: str
    simulated: bool
    prepared: Prepared
    parting: Parting
    fit: Fitted
    seed: int


def training_report(subject: Subject, found: Findings) -> Report:
    """The report, and its figures as JSON."""
    fit, prepared = subject.fit, subject.prepared
    counts = subject.parting.counts
    whole = model_report(
        Measured(
            source=subject.source,
            simulated=subject.simulated,
            policies=fit.model.policies,
            log_odds=fit.log_odds,
            targets=prepared.targets[fit.rows],
            presence=fit.presence,
            authors=prepared.posts["author_id"].take(fit.rows).to_pylist(),
            answers=fit.answers,
            thresholds=fit.model.thresholds,
            training_posts=counts["members"] + counts["fusion"],
            quarantined=_quarantined(prepared.note),
            seed=subject.seed,
        )
    )
    first, *others = whole.sections
    sections = [first, _methods(found), _routing(found), *others, _data(subject)]
    return replace(whole, sections=sections, facts=dict(whole.facts) | facts(subject, found))


def facts(subject: Subject, found: Findings) -> dict[str, Any]:
    """Figures that the model's own report does not have, for programs."""
    names = ("posts", "labelled", "media", "broken_media", "repeated_posts", "tables")
    return {
        "methods": {name: dict(one) for name, one in found.methods.items()},
        "mean_average_precision": asdict(found.mean),
        "test_authors": found.authors,
        "actions": dict(found.actions),
        "automatic_accuracy": found.automatic,
        "modalities": list(subject.fit.answers),
        "parts": subject.parting.counts,
        "test_from_us": subject.parting.test_from_us,
        "rows": {name: subject.prepared.note[name] for name in names},
    }


def _methods(found: Findings) -> Section:
    policies = list(found.errors)
    rows = tuple(
        (name, *(_cell(found.methods[name].get(one)) for one in (*policies, "mean")))
        for name in ordered(found.methods)
    )
    note = Note(
        f"Mean of {OURS}: {found.mean.value:.3f}, 95% interval {found.mean.low:.3f} to "
        f"{found.mean.high:.3f} by drawing the {found.authors:,} authors with replacement."
    )
    header = ("average precision", *policies, "mean")
    caption = "Of a method that knows nothing it is the share of violations."
    table = Table(header, rows, emphasis=0, caption=caption)
    return Section("Beside simpler methods", (table, note))


def _routing(found: Findings) -> Section:
    actions = tuple((name, share) for name, share in found.actions.items())
    text = (
        f"Of the posts that do not go to people, {found.automatic:.1%} are decided rightly: "
        "removed where a policy is violated, allowed where none is. Posts of which something "
        "failed to decode are never allowed unseen."
    )
    return Section("What would happen to posts", (Table(("action", "share"), actions), Note(text)))


def _data(subject: Subject) -> Section:
    counts = tuple(subject.parting.counts.items())
    note = subject.prepared.note
    tables = tuple(
        (name, one["rows_in"], one.get("left_out", 0), one["repeats"], one["quarantined"])
        for name, one in note["tables"].items()
    )
    day = datetime.fromtimestamp(subject.parting.test_from_us / 1e6, UTC).date()
    text = (
        f"Models of {', '.join(subject.fit.answers)}. The test begins on {day}. Unused are posts "
        "without a label, and posts whose author or time belongs to the other side. "
        f"{note['repeated_posts']:,} posts say or show again what an earlier one did."
    )
    text += "".join(f" {n:,} {words}." for words, n in note.get("far_posts", {}).items())
    parts, read = Table(("part", "posts"), counts), Table(_TABLE_HEAD, tables)
    warnings = (Note(line) for line in table_warnings(note["tables"]))
    return Section("What it rests on", (*warnings, Note(text), parts, read))


_TABLE_HEAD = ("table", "rows", "left out", "repeats", "quarantined")


def _quarantined(note: Mapping[str, Any]) -> dict[str, int]:
    return {
        f"{name}: {reason}": int(count)
        for name, one in note["tables"].items()
        for reason, count in one["reasons"].items()
    }


def _cell(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else value
