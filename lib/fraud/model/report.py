"""The training report of the fraud model: what it catches, what it costs, beside its baselines."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from lib import report
from lib.calibration import expected_calibration_error, reliability
from lib.evaluation import Interval
from lib.fraud.amounts import AmountScale
from lib.fraud.model.evaluation import TestRows
from lib.fraud.model.inputs import Floats
from lib.fraud.model.model import Ensemble
from lib.fraud.model.outcome import Outcome
from lib.fraud.model.payments import Payments
from lib.fraud.model.policy import Costs
from lib.fraud.model.report_tables import (
    business_table,
    comparison_tables,
    interval_table,
    money_blocks,
    profile_blocks,
    reliability_table,
    slices_table,
)
from lib.fraud.model.time_split import Plan

OURS = "ensemble"


@dataclass(frozen=True)
class Findings:
    """Everything a training run found out.

    Args:
        source: what the data is, in words.
        simulated: whether the payments were simulated.
        plan: slices.
        payments: all of them.
        rows: test rows.
        scores: for each method, scores (n,) of the test rows; `ensemble` is the model.
        probabilities: of the model, calibrated (n,).
        before: of the model, without calibration (n,).
        measures: for each method, its measures.
        intervals: of the model's main measures.
        outcomes: for each policy by name, what it would have done; `ensemble` is the model's.
        costs: what decisions cost.
        ensemble: the model.
        importance: gain by feature.
        served_difference: largest difference in probability between trained and served form.
        labels: counts of the labels that were read, of those that match no payment, ...
        scale: the digits of the settlement currency.
    """

    source: str
    simulated: bool
    plan: Plan
    payments: Payments
    rows: TestRows
    scores: Mapping[str, Floats]
    probabilities: Floats
    before: Floats
    measures: Mapping[str, Mapping[str, float]]
    intervals: Mapping[str, Interval]
    outcomes: Mapping[str, Outcome]
    costs: Costs
    ensemble: Ensemble
    importance: Mapping[str, float]
    served_difference: float
    labels: Mapping[str, int] = field(default_factory=dict)
    scale: AmountScale = field(default_factory=AmountScale)


def build_report(findings: Findings) -> report.Report:
    """The report as data, for `lib.report.write_report`."""
    rows, labels = findings.rows, tuple(findings.labels.items())
    subtitle = (
        f"{findings.source}: {len(rows.labels):,} test payments over "
        f"{findings.plan.test.days:.0f} days, "
        f"{int(rows.labels.sum()):,} frauds ({rows.labels.mean():.3%})"
    )
    sections = [
        report.Section("Summary", _summary(findings)),
        report.Section(
            "Against the goals",
            [
                business_table(findings.measures[OURS], findings.outcomes, rows),
                report.Note(
                    f"The prevalence is {rows.labels.mean():.3%}. A rate of 1.8% of 50 million "
                    "payments a day is 900,000 payments: compare every rate with the count it "
                    "stands for."
                ),
            ],
        ),
        report.Section("Compared with the baselines", _comparison(findings)),
        report.Section("Calibration", _calibration(findings)),
        report.Section(
            "Decisions and money",
            money_blocks(
                findings.ensemble.policy, findings.outcomes, findings.costs, findings.scale
            ),
        ),
        report.Section("What the model looks at", _importance(findings)),
        *_own_columns(findings),
        report.Section(
            "Data",
            [
                slices_table(findings.plan, findings.payments),
                *([report.Table(("labels", "count"), labels)] if labels else []),
                *profile_blocks(findings.payments, findings.ensemble.names),
            ],
        ),
    ]
    return report.Report("Fraud model: training report", subtitle, sections, _facts(findings))


def _summary(findings: Findings) -> list[report.Block]:
    ours, outcome = findings.measures[OURS], findings.outcomes[OURS]
    auc, ap = findings.intervals["auc"], findings.intervals["ap"]
    figures = (
        report.KeyFigure("ROC AUC", f"{ours['auc']:.3f}", f"{auc.low:.3f} to {auc.high:.3f}"),
        report.KeyFigure(
            "Average precision", f"{ours['ap']:.3f}", f"{ap.low:.3f} to {ap.high:.3f}"
        ),
        report.KeyFigure(
            "Precision at 1,000", f"{ours['precision_at_1000']:.1%}", _ceiling(findings)
        ),
        report.KeyFigure(
            "Fraud losses", f"{-outcome.loss_reduction:+.0%}", "against approving all"
        ),
        report.KeyFigure(
            "Good payments stopped", f"{outcome.false_positive_rate:.2%}", "review or decline"
        ),
        report.KeyFigure(
            "Reviews a day",
            f"{outcome.reviews_per_day:,.0f}",
            f"of {findings.costs.reviews_per_day:,.0f} possible",
        ),
    )
    blocks: list[report.Block] = [report.KeyFigures(figures)]
    if findings.simulated:
        blocks.append(
            report.Note(
                "The payments are simulated: the figures show that the system works, not how "
                "well it performs on real payments."
            )
        )
    return blocks


def _ceiling(findings: Findings) -> str:
    best = min(1.0, findings.rows.labels.sum() / 1_000)
    return f"at most {best:.1%} on these rows" if best < 1 else "of the whole test"


def _comparison(findings: Findings) -> list[report.Block]:
    return [
        *comparison_tables(findings.measures, OURS),
        _curves(findings),
        interval_table(findings.intervals),
        report.Note(
            "Intervals are 95% bootstrap intervals over users. All methods use the same training "
            "days and are measured on the same test payments; cards known as compromised are left "
            "out of card precision."
        ),
    ]


def _curves(findings: Findings) -> report.Figures:
    roc, precise = {}, {}
    for name, scores in _strongest_first(findings.scores).items():
        false, true, _ = roc_curve(findings.rows.labels, scores)
        roc[name] = report.Curve(np.maximum(false, 1e-4), true)
        precision, recall, _ = precision_recall_curve(findings.rows.labels, scores)
        precise[name] = report.Curve(recall[::-1], precision[::-1])
    rate, caught = report.Axis("false positive rate", logarithmic=True), report.Axis("recall")
    title = "Frauds caught by good payments disturbed"
    return report.Figures(
        (
            report.line_plot(title, roc, rate, caught),
            report.line_plot("Precision by recall", precise, caught, report.Axis("precision")),
        )
    )


def _strongest_first(scores: Mapping[str, Floats]) -> dict[str, Floats]:
    """The model first, then the others as they come."""
    return {OURS: scores[OURS]} | {
        name: method_scores for name, method_scores in scores.items() if name != OURS
    }


def _calibration(findings: Findings) -> list[report.Block]:
    labels = findings.rows.labels
    stated = {"calibrated": findings.probabilities, "before": findings.before}
    bins = {name: reliability(labels, values) for name, values in stated.items()}
    plot = report.line_plot(
        "Predicted and observed probability",
        {
            name: report.Curve([part.stated for part in parts], [part.observed for part in parts])
            for name, parts in bins.items()
        },
        report.Axis("predicted probability", logarithmic=True),
        report.Axis("observed rate", logarithmic=True),
        diagonal=True,
        points=True,
        caption="Bins of equal size; the dashed line is perfect calibration.",
    )
    spread = report.histogram(
        "Scores",
        {"good": findings.probabilities[~labels], "fraud": findings.probabilities[labels]},
        report.Axis("calibrated probability"),
    )
    errors = {name: expected_calibration_error(labels, p) for name, p in stated.items()}
    return [
        report.Note(
            f"Calibrated by {findings.ensemble.calibrator.method} on the days before the test. "
            f"Expected calibration error: {errors['before']:.4f} before, "
            f"{errors['calibrated']:.4f} after."
        ),
        report.Figures((plot, spread)),
        reliability_table(bins["calibrated"]),
    ]


def _own_columns(findings: Findings) -> list[report.Section]:
    """What the data set added to the packaged features, and how much the trees gain by it."""
    features = findings.ensemble.features
    if not features.extension:
        return []
    names = list(features.added)
    matrix = findings.payments.matrix[:, [features.names.index(name) for name in names]]
    missing = np.isnan(matrix).mean(axis=0) if len(matrix) else np.full(len(names), np.nan)
    units = {feature.name: feature.unit for feature in features.feature_set.features}
    rows = [
        (name, features.words.get(name, ""), units[name], share * 100, gain * 100)
        for name, share in zip(names, missing.tolist(), strict=True)
        for gain in [findings.importance.get(name, 0.0)]
    ]
    rows.sort(key=lambda row: -float(row[-1]))
    total = sum(findings.importance.get(name, 0.0) for name in names)
    header = ("feature", "words", "unit", "missing, %", "share of gain, %")
    caption = f"Attributes and features of a file together: {total:.1%} of what the trees gain."
    return [
        report.Section(
            "Columns of your own", [report.Table(header, tuple(rows), 1, caption=caption)]
        )
    ]


def _importance(findings: Findings) -> list[report.Block]:
    top = sorted(findings.importance.items(), key=lambda entry: -entry[1])[:15]
    meta = findings.ensemble.meta
    return [
        report.Note(
            f"Meta-learner: {meta.trees:.2f} x trees {meta.network:+.2f} x network "
            f"{meta.intercept:+.2f}, in log-odds."
        ),
        report.bar_plot(
            "Share of the trees' gain",
            [name for name, _ in top],
            [share for _, share in top],
            report.Axis("share"),
        ),
    ]


def _facts(findings: Findings) -> dict[str, Any]:
    labels = findings.rows.labels
    return {
        "source": findings.source,
        "simulated": findings.simulated,
        "labels": dict(findings.labels),
        "rows": len(findings.payments),
        "test_rows": len(labels),
        "test_frauds": int(labels.sum()),
        "prevalence": float(labels.mean()),
        "slices": {
            name: asdict(getattr(findings.plan, name)) for name in ("train", "calibrate", "test")
        },
        "measures": {name: dict(measures) for name, measures in findings.measures.items()},
        "intervals": {name: asdict(interval) for name, interval in findings.intervals.items()},
        "calibration": {
            "method": findings.ensemble.calibrator.method,
            "ece_before": expected_calibration_error(labels, findings.before),
            "ece_after": expected_calibration_error(labels, findings.probabilities),
            "reliability": [
                asdict(reliability_bin)
                for reliability_bin in reliability(labels, findings.probabilities)
            ],
        },
        "policy": findings.ensemble.policy.to_thresholds(),
        "outcomes": {name: outcome_facts(outcome) for name, outcome in findings.outcomes.items()},
        "assumptions": asdict(findings.costs),
        "currency_digits": findings.scale.digits,
        "meta": findings.ensemble.meta.to_json(),
        "served_difference": findings.served_difference,
    }


def outcome_facts(outcome: Outcome) -> dict[str, float]:
    """An outcome with what follows from it."""
    return {
        **asdict(outcome),
        "alerts_per_day": outcome.alerts_per_day,
        "loss_reduction": outcome.loss_reduction,
        "saved_minor": outcome.saved_minor,
        "roi": outcome.roi,
    }
