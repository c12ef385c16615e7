"""The report of a training: what the model finds, what it leaves to people, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lib import report
from lib.calibration import calibration_error_by_chance, reliability, sigmoid
from lib.moderation.model import evaluation
from lib.moderation.model.inputs import Marks
from lib.moderation.model.outputs import Floats, ModalityAnswer

_COVERAGES = (0.5, 0.8, 0.9, 1.0)
_POINTS = 100


@dataclass(frozen=True)
class Measured:
    """What was measured on test posts.

    Attributes:
        source: where the posts came from.
        simulated: whether they are simulated.
        policies: names.
        log_odds, targets: (n, policies) calibrated answers and labels; NaN unknown.
        presence: (n, modalities).
        authors: (n,) whose each post is; intervals are drawn by author.
        answers: by modality, a row for each post.
        thresholds: by policy.
        training_posts: of all steps together.
        quarantined: posts and media that were left out, by reason.
        seed: of intervals.
    """

    source: str
    simulated: bool
    policies: tuple[str, ...]
    log_odds: Floats
    targets: Floats
    presence: Marks
    authors: Sequence[str]
    answers: Mapping[str, ModalityAnswer]
    thresholds: Mapping[str, float]
    training_posts: int
    quarantined: Mapping[str, int]
    seed: int


def training_report(tested: Measured) -> report.Report:
    """The report, and its figures as JSON."""
    authors = np.unique(np.asarray(tested.authors), return_inverse=True)[1]
    compared = evaluation.compare(
        tested.log_odds, tested.answers, tested.presence, tested.targets, tested.policies,
        tested.seed, groups=np.tile(authors[:, None], len(tested.policies)),
    )  # fmt: skip
    metrics = facts(tested, compared)
    simulated = "simulated posts; " if tested.simulated else ""
    return report.Report(
        title="Moderation model: training report",
        subtitle=f"{simulated}{tested.source}; tested on {len(tested.targets):,} posts of authors "
        "outside the training",
        sections=[
            _overview(tested, metrics),
            _policies(metrics),
            _coverage(tested),
            _fusion(compared),
            _calibration(tested, metrics),
            _data(tested),
        ],
        facts=metrics,
    )


def facts(tested: Measured, compared: Sequence[evaluation.Comparison]) -> dict[str, Any]:
    """The figures, for programs."""
    odds, targets = tested.log_odds, tested.targets
    return {
        "simulated": tested.simulated,
        "test_posts": len(targets),
        "training_posts": tested.training_posts,
        "policies": evaluation.precision_recall(odds, targets, tested.thresholds),
        "thresholds": dict(tested.thresholds),
        "ece": evaluation.calibration_errors(odds, targets, tested.policies),
        "ece_by_chance": _by_chance(tested),
        "ece_by_pattern": evaluation.by_pattern(odds, tested.presence, targets, tested.policies),
        "accuracy_at_coverage": {
            str(coverage): evaluation.accuracy_at(odds, targets, coverage)
            for coverage in _COVERAGES
        },
        "always_allow_accuracy": _clean_share(targets),
        "failed_to_decode": evaluation.failed_share(tested.presence),
        "fusion": [asdict(comparison) for comparison in compared],
        "quarantined": dict(tested.quarantined),
    }


def _overview(tested: Measured, metrics: Mapping[str, Any]) -> report.Section:
    clean = metrics["always_allow_accuracy"]
    figures = (
        report.KeyFigure(
            "posts that violate a policy", f"{1.0 - clean:.1%}", "of the test's posts"
        ),
        report.KeyFigure(
            "accuracy without review",
            f"{metrics['accuracy_at_coverage']['0.8']:.1%}",
            "if the least certain fifth is reviewed",
        ),
        report.KeyFigure(
            "accuracy without any review",
            f"{metrics['accuracy_at_coverage']['1.0']:.1%}",
            f"allowing every post reaches {clean:.1%}",
        ),
        report.KeyFigure(
            "calibration error", f"{max(metrics['ece'].values(), default=0.0):.3f}", "worst policy"
        ),
    )
    text = (
        f"Trained on {tested.training_posts:,} posts. A decision is correct if it is correct for "
        "every policy. Compare the accuracy with that of allowing every post."
    )
    return report.Section("Summary", [report.KeyFigures(figures), report.Note(text)])


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


def _coverage(tested: Measured) -> report.Section:
    coverage, accuracy = evaluation.risk_coverage(tested.log_odds, tested.targets)
    positions = np.unique(np.linspace(0, len(coverage) - 1, _POINTS).round().astype(int))
    plot = report.line_plot(
        "Accuracy by share of automatic decisions",
        {"most certain first": report.Curve(coverage[positions], accuracy[positions])},
        report.Axis("share of posts decided automatically"),
        report.Axis("accuracy of these decisions"),
    )
    return report.Section("Automation", [report.Figures((plot,))])


def _fusion(compared: Sequence[evaluation.Comparison]) -> report.Section:
    rows = tuple(
        (
            *(comparison.pattern, comparison.policy, comparison.posts, comparison.fused),
            *(comparison.best_single, comparison.modality, comparison.low, comparison.high),
        )
        for comparison in compared
    )
    if not compared:
        few = "Too few test posts of one set of modalities, with both outcomes, to compare on."
        return report.Section("Fusion against the best single modality", [report.Note(few)])
    header = ("modalities", "policy", "posts", "fused", "best single", "which", "from", "to")
    worse = sum(comparison.high < 0.0 for comparison in compared)
    text = (
        f"Average precision; the last two are the 95% interval of the difference. Fusion is worse "
        f"beyond chance in {worse} of {len(compared)} cases."
    )
    return report.Section(
        "Fusion against the best single modality", [report.Note(text), report.Table(header, rows)]
    )


def _calibration(tested: Measured, metrics: Mapping[str, Any]) -> report.Section:
    curves = {}
    for p, name in enumerate(tested.policies):
        is_known = ~np.isnan(tested.targets[:, p])
        if is_known.any():
            table = reliability(
                tested.targets[is_known, p] >= 0.5, sigmoid(tested.log_odds[is_known, p]), 10
            )
            curves[name] = report.Curve(
                [row.stated for row in table], [row.observed for row in table]
            )
    plot = report.line_plot(
        "Predicted and observed probability", dict(list(curves.items())[:6]),
        report.Axis("predicted probability"),
        report.Axis("share that violates"), points=True, diagonal=True,
    )  # fmt: skip
    rows = tuple(
        (pattern, *(errors.get(name) for name in tested.policies))
        for pattern, errors in metrics["ece_by_pattern"].items()
    )
    blocks: list[Any] = [report.Figures((plot,))]
    if rows:
        blocks.append(report.Table(("calibration error of", *tested.policies), rows))
    return report.Section("Calibration", blocks)


def _by_chance(tested: Measured) -> dict[str, float]:
    errors = {}
    for p, name in enumerate(tested.policies):
        is_known = ~np.isnan(tested.targets[:, p])
        if is_known.any():
            probabilities = sigmoid(tested.log_odds[is_known, p])
            errors[name] = calibration_error_by_chance(probabilities, 10, seed=tested.seed)
    return errors


def _data(tested: Measured) -> report.Section:
    failed = evaluation.failed_share(tested.presence)
    text = f"{failed:.1%} of test posts had media that did not decode."
    blocks: list[Any] = [report.Note(text)]
    if tested.quarantined:
        rows = tuple((reason, count) for reason, count in tested.quarantined.items())
        blocks.append(report.Table(("reason of exclusion", "rows"), rows))
    return report.Section("The data", blocks)


def _clean_share(targets: Floats) -> float:
    return float((np.nan_to_num(targets) < 0.5).all(axis=1).mean())
