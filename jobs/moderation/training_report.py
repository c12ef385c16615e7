"""The report of a training: what is found, beside what, how sure, and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from jobs.moderation.findings import COVERAGES, OURS, Findings
from jobs.moderation.parting import Parting
from lib.report import (
    Axis,
    Curve,
    Figures,
    KeyFigure,
    KeyFigures,
    Note,
    Report,
    Section,
    Table,
    line_plot,
)

_POINTS = 200


@dataclass(frozen=True)
class Subject:
    """What the report is about."""

    source: str
    simulated: bool
    parting: Parting
    modalities: tuple[str, ...]
    note: Mapping[str, Any]


def training_report(subject: Subject, found: Findings) -> Report:
    """The report, and its figures as JSON."""
    simulated = "simulated posts; " if subject.simulated else ""
    day = datetime.fromtimestamp(subject.parting.test_from_us / 1e6, UTC).date()
    return Report(
        title="Moderation: what violates a policy, and how sure that is",
        subtitle=f"{simulated}{subject.source}; tested on posts from {day} on, of authors that "
        "taught nothing",
        sections=[
            _overview(found),
            _methods(found),
            _decisions(found),
            _calibration(found),
            _fusion(found),
            _data(subject),
        ],
        facts=facts(subject, found),
    )


def facts(subject: Subject, found: Findings) -> dict[str, Any]:
    """The figures, for programs."""
    told = asdict(found)
    told["curve"] = None
    told["accuracy"] = {f"{share:g}": value for share, value in found.accuracy.items()}
    return {
        **{name: value for name, value in told.items() if value is not None},
        "simulated": subject.simulated,
        "modalities": list(subject.modalities),
        "parts": subject.parting.counts,
        "test_from_us": subject.parting.test_from_us,
        "rows": {
            name: subject.note[name]
            for name in ("posts", "labelled", "media", "broken_media", "repeated_posts", "tables")
        },
    }


def _overview(found: Findings) -> Section:
    figures = (
        KeyFigure(
            "mean average precision", f"{found.mean.value:.3f}",
            f"{found.mean.low:.3f} to {found.mean.high:.3f}, over policies",
        ),
        KeyFigure(
            "decided automatically", f"{1 - found.actions['REVIEW']:.0%}",
            f"{found.automatic:.1%} of these right",
        ),
        KeyFigure(
            "accuracy at 80%", f"{found.accuracy[0.8]:.1%}",
            "of posts, the surest, with every policy right",
        ),
        KeyFigure("always allow", f"{found.always_allow:.1%}", "right without any model"),
    )  # fmt: skip
    text = (
        f"{found.posts:,} posts of {found.authors:,} authors. Intervals are 95%, by drawing authors "
        f"with replacement. Of {found.failed:.1%} of the posts something could not be decoded; such "
        "posts are never allowed unseen."
    )
    return Section("In short", (KeyFigures(figures), Note(text)))


def _methods(found: Findings) -> Section:
    policies = list(found.errors)
    names = sorted(found.methods, key=lambda one: (one != OURS, -_number(found.methods[one]["mean"])))
    rows = tuple(
        (name, *(_cell(found.methods[name].get(p)) for p in (*policies, "mean"))) for name in names
    )
    return Section(
        "Beside simpler methods",
        (
            Table(
                ("average precision", *policies, "mean"), rows, emphasis=0,
                caption="Of a method that knows nothing it is the share of violations.",
            ),
        ),
    )  # fmt: skip


def _decisions(found: Findings) -> Section:
    places = np.unique(np.linspace(0, len(found.curve) - 1, _POINTS).round().astype(int))
    curve = found.curve[places]
    plot = line_plot(
        "Accuracy of automatic decisions",
        {"ours": Curve(curve[:, 0], curve[:, 1])},
        Axis("share decided automatically"),
        Axis("share of these right"),
    )
    operating = tuple(
        (name, one["prevalence"], one["precision"], one["recall"])
        for name, one in found.operating.items()
    )
    actions = tuple((name, share) for name, share in found.actions.items())
    return Section(
        "Decisions",
        (
            Figures((plot,)),
            Table(
                ("share decided", "accuracy"),
                tuple((f"{one:.0%}", found.accuracy[one]) for one in COVERAGES),
            ),
            Table(("policy", "violations", "precision", "recall"), operating,
                  caption="At the threshold of the best F1 on the calibration posts."),
            Table(("routing", "share of posts"), actions),
        ),
    )  # fmt: skip


def _calibration(found: Findings) -> Section:
    policies = list(found.errors)
    rows = [("all", *(found.errors[name] for name in policies))]
    rows += [
        (pattern, *(_cell(one.get(name)) for name in policies))
        for pattern, one in found.pattern_errors.items()
    ]
    return Section(
        "Probabilities that mean what they say",
        (Table(("expected calibration error", *policies), tuple(rows)),),
    )


def _fusion(found: Findings) -> Section:
    rows = tuple(
        (one.pattern, one.policy, one.posts, one.fused, one.best_single, one.modality,
         one.difference, one.low, one.high)
        for one in found.comparisons
    )  # fmt: skip
    head = ("pattern", "policy", "posts", "fused", "best alone", "which", "gain", "low", "high")
    note = Note(
        "The single modality is chosen on the same posts, which favours it. Only patterns and "
        "policies with enough posts of both outcomes are shown."
    )
    return Section("Fusion beside the best single modality", (Table(head, rows), note))


def _data(subject: Subject) -> Section:
    counts = tuple((name, count) for name, count in subject.parting.counts.items())
    tables = tuple(
        (name, one["rows_in"], one["repeats"], one["quarantined"])
        for name, one in subject.note["tables"].items()
    )
    text = (
        f"Models of {', '.join(subject.modalities)}. {subject.note['repeated_posts']:,} posts say "
        "or show again what an earlier one did. Unused are posts without a label, posts whose label "
        "was not known when the test begins, and posts of authors or times of the other side."
    )
    return Section(
        "What it rests on",
        (
            Note(text),
            Table(("part", "posts"), counts),
            Table(("table", "rows", "repeats", "quarantined"), tables),
        ),
    )


def _cell(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else value


def _number(value: float) -> float:
    return value if np.isfinite(value) else -1.0
