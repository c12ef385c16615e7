"""The report of a training: what the model finds, what it leaves to people, what it rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from lib import report
from lib.calibration import calibration_error_by_chance, reliability
from lib.contract.matches import table_match_warnings
from lib.moderation.model import evaluation
from lib.moderation.model.attribute_report import attribute_facts, attribute_sections
from lib.moderation.model.comparison import OURS, Evaluation, FittedModel, ordered
from lib.moderation.model.splits import PostSplit

_COVERAGES = (0.5, 0.8, 0.9, 1.0)
_POINTS = 100
_TABLE_HEAD = ("table", "rows", "left out", "repeats", "quarantined")


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

    @property
    def training_posts(self) -> int:
        """Posts of all steps together."""
        counts = self.split.counts
        return counts["members"] + counts["fusion"]

    @property
    def quarantined(self) -> dict[str, int]:
        """Posts and media that were left out, by reason."""
        return {
            f"{name}: {reason}": int(count)
            for name, summary in self.note["tables"].items()
            for reason, count in summary["reasons"].items()
        }


def training_report(subject: Subject, findings: Evaluation) -> report.Report:
    """The report, and its figures as JSON."""
    fit = subject.fit
    authors = np.unique(fit.authors, return_inverse=True)[1]
    compared = evaluation.compare(
        fit.log_odds, fit.answers, fit.presence, fit.targets, fit.model.policies,
        subject.seed, groups=np.tile(authors[:, None], len(fit.model.policies)),
    )  # fmt: skip
    metrics = facts(subject, findings, compared)
    simulated = "simulated posts; " if subject.simulated else ""
    return report.Report(
        title="Moderation model: training report",
        subtitle=f"{simulated}{subject.source}; tested on {len(fit.targets):,} posts of authors "
        "outside the training",
        sections=[
            _overview(subject, findings, metrics),
            _methods(findings),
            _routing(findings),
            _policies(metrics),
            _coverage(fit),
            _fusion(compared),
            *attribute_sections(metrics.get("attributes", {})),
            _calibration(fit, metrics),
            *findings.identity.sections(),
            _excluded(subject, metrics),
            _data(subject),
        ],
        facts=metrics,
    )


def facts(
    subject: Subject, findings: Evaluation, compared: Sequence[evaluation.Comparison]
) -> dict[str, Any]:
    """The figures, for programs."""
    fit, odds, targets = subject.fit, subject.fit.log_odds, subject.fit.targets
    policies = fit.model.policies
    names = ("posts", "labelled", "media", "broken_media", "repeated_posts", "tables")
    return {
        "simulated": subject.simulated,
        "test_posts": len(targets),
        "training_posts": subject.training_posts,
        "policies": evaluation.precision_recall(odds, targets, fit.model.thresholds),
        "thresholds": dict(fit.model.thresholds),
        "ece": evaluation.calibration_errors(odds, targets, policies),
        "ece_by_chance": {
            name: calibration_error_by_chance(probabilities, 10, seed=subject.seed)
            for name, _, probabilities in evaluation.known_outcomes(odds, targets, policies)
        },
        "ece_by_pattern": evaluation.by_pattern(odds, fit.presence, targets, policies),
        "accuracy_at_coverage": {
            str(coverage): evaluation.accuracy_at(odds, targets, coverage)
            for coverage in _COVERAGES
        },
        "always_allow_accuracy": findings.always_allow,
        "failed_to_decode": evaluation.failed_share(fit.presence),
        "fusion": [asdict(comparison) for comparison in compared],
        "quarantined": subject.quarantined,
        "methods": {name: dict(measures) for name, measures in findings.methods.items()},
        "mean_average_precision": asdict(findings.mean),
        "test_authors": findings.authors,
        "actions": dict(findings.actions),
        "automatic_accuracy": findings.automatic,
        "modalities": list(fit.answers),
        "identity": findings.identity.to_json(),
        "parts": subject.split.counts,
        "test_from_us": subject.split.test_from_us,
        "rows": {name: subject.note[name] for name in names},
        **({"attributes": own} if (own := attribute_facts(fit, subject.seed)) else {}),
    }


def _overview(subject: Subject, findings: Evaluation, metrics: Mapping[str, Any]) -> report.Section:
    clean, accuracy = metrics["always_allow_accuracy"], metrics["accuracy_at_coverage"]
    figures = (
        report.KeyFigure(
            "posts that violate a policy", f"{1.0 - clean:.1%}", "of the test's posts"
        ),
        report.KeyFigure(
            "accuracy without review",
            f"{accuracy['0.8']:.1%}",
            "if the least certain fifth is reviewed",
        ),
        report.KeyFigure(
            "accuracy without any review",
            f"{accuracy['1.0']:.1%}",
            f"allowing every post reaches {clean:.1%}",
        ),
        report.KeyFigure(
            "calibration error", f"{max(metrics['ece'].values(), default=0.0):.3f}", "worst policy"
        ),
        *findings.identity.key_figures(),
    )
    text = (
        f"Trained on {subject.training_posts:,} posts. A decision is correct if it is correct for "
        "every policy. Compare the accuracy with that of allowing every post."
    )
    warnings = [report.Note(line) for line in findings.identity.warnings()]
    return report.Section("Summary", [report.KeyFigures(figures), *warnings, report.Note(text)])


def _methods(findings: Evaluation) -> report.Section:
    policies = list(findings.errors)
    rows = tuple(
        (name, *(_cell(findings.methods[name].get(policy)) for policy in (*policies, "mean")))
        for name in ordered(findings.methods)
    )
    note = report.Note(
        f"Mean of {OURS}: {findings.mean.value:.3f}, 95% interval {findings.mean.low:.3f} to "
        f"{findings.mean.high:.3f} by drawing the {findings.authors:,} authors with replacement."
    )
    header = ("average precision", *policies, "mean")
    caption = "Of a method that knows nothing it is the share of violations."
    table = report.Table(header, rows, emphasis=0, caption=caption)
    return report.Section("Beside simpler methods", (table, note))


def _routing(findings: Evaluation) -> report.Section:
    table = report.Table(("action", "share"), tuple(findings.actions.items()))
    text = (
        f"Of the posts that do not go to people, {findings.automatic:.1%} are decided rightly: "
        "removed where a policy is violated, allowed where none is. Posts of which something "
        "failed to decode are never allowed unseen."
    )
    return report.Section("What would happen to posts", (table, report.Note(text)))


def _policies(metrics: Mapping[str, Any]) -> report.Section:
    rows = tuple(
        (
            *(name, scores["prevalence"], scores["average_precision"]),
            *(scores["precision"], scores["recall"]),
            *(metrics["ece"].get(name), metrics["ece_by_chance"].get(name)),
        )
        for name, scores in metrics["policies"].items()
    )
    header = (
        "policy", "share", "average precision", "precision", "recall", "calibration error",
        "by chance",
    )  # fmt: skip
    caption = (
        "Precision and recall at the threshold with the best F1 on training posts; by chance is "
        "the calibration error that true probabilities would show on this number of posts."
    )
    return report.Section("By policy", [report.Table(header, rows, caption=caption)])


def _coverage(fit: FittedModel) -> report.Section:
    coverage, accuracy = evaluation.risk_coverage(fit.log_odds, fit.targets)
    positions = np.unique(np.linspace(0, len(coverage) - 1, _POINTS).round().astype(int))
    plot = report.line_plot(
        "Accuracy by share of automatic decisions",
        {"most certain first": report.Curve(coverage[positions], accuracy[positions])},
        report.Axis("share of posts decided automatically"),
        report.Axis("accuracy of these decisions"),
    )
    return report.Section("Automation", [report.Figures((plot,))])


def _fusion(compared: Sequence[evaluation.Comparison]) -> report.Section:
    title = "Fusion against the best single modality"
    if not compared:
        few = "Too few test posts of one set of modalities, with both outcomes, to compare on."
        return report.Section(title, [report.Note(few)])
    rows = tuple(
        (
            *(comparison.pattern, comparison.policy, comparison.posts, comparison.fused),
            *(comparison.best_single, comparison.modality, comparison.low, comparison.high),
        )
        for comparison in compared
    )
    header = ("modalities", "policy", "posts", "fused", "best single", "which", "from", "to")
    worse = sum(comparison.high < 0.0 for comparison in compared)
    text = (
        f"Average precision; the last two are the 95% interval of the difference. Fusion is worse "
        f"beyond chance in {worse} of {len(compared)} cases."
    )
    return report.Section(title, [report.Note(text), report.Table(header, rows)])


def _calibration(fit: FittedModel, metrics: Mapping[str, Any]) -> report.Section:
    policies, curves = fit.model.policies, {}
    for name, flags, probabilities in evaluation.known_outcomes(
        fit.log_odds, fit.targets, policies
    ):
        table = reliability(flags, probabilities, 10)
        curves[name] = report.Curve([row.stated for row in table], [row.observed for row in table])
    plot = report.line_plot(
        "Predicted and observed probability", dict(list(curves.items())[:6]),
        report.Axis("predicted probability"),
        report.Axis("share that violates"), points=True, diagonal=True,
    )  # fmt: skip
    rows = tuple(
        (pattern, *(errors.get(name) for name in policies))
        for pattern, errors in metrics["ece_by_pattern"].items()
    )
    blocks: list[Any] = [report.Figures((plot,))]
    if rows:
        blocks.append(report.Table(("calibration error of", *policies), rows))
    return report.Section("Calibration", blocks)


def _excluded(subject: Subject, metrics: Mapping[str, Any]) -> report.Section:
    text = f"{metrics['failed_to_decode']:.1%} of test posts had media that did not decode."
    blocks: list[Any] = [report.Note(text)]
    if rows := tuple(subject.quarantined.items()):
        blocks.append(report.Table(("reason of exclusion", "rows"), rows))
    return report.Section("The data", blocks)


def _data(subject: Subject) -> report.Section:
    note = subject.note
    tables = tuple(
        (
            *(name, summary["rows_in"], summary.get("left_out", 0)),
            *(summary["repeats"], summary["quarantined"]),
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
    parts = report.Table(("part", "posts"), tuple(subject.split.counts.items()))
    warnings = (report.Note(line) for line in table_match_warnings(note["tables"], "post"))
    return report.Section(
        "What it rests on",
        (*warnings, report.Note(text), parts, report.Table(_TABLE_HEAD, tables)),
    )


def _cell(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else value
