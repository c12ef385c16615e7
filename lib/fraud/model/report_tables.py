"""The tables of the fraud report, and what its data looks like."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime

import numpy as np

from lib.calibration import ReliabilityBin
from lib.evaluation import Interval
from lib.fraud.amounts import AmountScale
from lib.fraud.model.evaluation import FPR_CAPS, TestRows
from lib.fraud.model.inputs import DAY
from lib.fraud.model.outcome import Outcome
from lib.fraud.model.payments import Payments
from lib.fraud.model.policy import Costs, Policy
from lib.fraud.model.time_split import Plan, Slice
from lib.report import Axis, Block, Cell, Curve, Figures, Note, Table, line_plot

_DAILY = 50_000_000
_ASSUMED = {
    "chargeback_share": "share of the amount lost to an approved fraud",
    "chargeback_fee_minor": "fee of a chargeback, minor units",
    "blocked_share": "share of the amount lost when a good payment is blocked",
    "blocked_fee_minor": "cost of blocking a good payment, minor units",
    "review_minor": "cost of one review, minor units",
    "reviewer_recall": "share of frauds a reviewer finds",
    "reviewer_false_share": "share of good payments a reviewer blocks",
    "reviews_per_day": "reviews that can be done a day",
    "most_disturbed": "largest share of good payments stopped",
    "running_minor_per_thousand": "running cost for a thousand payments, minor units",
}


def comparison_tables(measures: Mapping[str, Mapping[str, float]], ours: str) -> list[Table]:
    """Ranking, then what is caught at fixed false positive rates; the model's row stands out."""
    ranking = {
        "auc": "ROC AUC",
        "ap": "average precision",
        "precision_at_1000": "precision at 1,000",
        "cp_100": "card precision at 100 a day",
        "cp_100_ceiling": "its ceiling",
    }
    keys = [(f"{100 * cap:g}".replace(".", "_"), f"{100 * cap:g}%") for cap in FPR_CAPS]
    caught = {f"recall_at_fpr_{key}": share for key, share in keys}
    worth = {f"value_recall_at_fpr_{key}": share for key, share in keys}
    caption = "Share of {} caught while so many of the good payments are flagged."
    return [
        _methods(measures, ours, ranking, ""),
        _methods(measures, ours, caught, caption.format("frauds")),
        _methods(measures, ours, worth, caption.format("the frauds' value")),
    ]


def _methods(
    measures: Mapping[str, Mapping[str, float]], ours: str, columns: Mapping[str, str], caption: str
) -> Table:
    """One row for each method, the model last."""
    names = [*(name for name in measures if name != ours), ours]
    rows = tuple((name, *(measures[name].get(key) for key in columns)) for name in names)
    return Table(("method", *columns.values()), rows, emphasis=len(names) - 1, caption=caption)


def interval_table(intervals: Mapping[str, Interval]) -> Table:
    """The model's main measures with their intervals."""
    rows = tuple(
        (name, interval.value, interval.low, interval.high) for name, interval in intervals.items()
    )
    return Table(("measure of the ensemble", "value", "low", "high"), rows, digits=4)


def business_table(
    ours: Mapping[str, float], outcomes: Mapping[str, Outcome], rows: TestRows
) -> Table:
    """The goals of the business beside what was measured."""
    outcome = outcomes["ensemble"]
    share = outcome.alerts_per_day * outcome.days / len(rows.labels)
    reviewed = outcome.reviews_per_day * outcome.days / len(rows.labels)
    most = min(1.0, float(rows.labels.sum()) / 1_000)
    precise = f"{ours['precision_at_1000']:.1%}"
    if most < 1:
        precise += f" (at most {most:.1%} with so few frauds)"
    lines: list[tuple[Cell, ...]] = [
        ("fraud losses, against approving all", "-40%", "-43%", f"{-outcome.loss_reduction:+.0%}"),
        ("good payments stopped", "< 2%", "1.8%", f"{outcome.false_positive_rate:.2%}"),
        ("precision among the 1,000 highest", "> 90%", "92%", precise),
        ("latency p99", "< 50 ms", "42 ms", "see tests.benchmarks.fraud_latency"),
        ("reviews a day", "fewer than 10,000", "2,000", f"{outcome.reviews_per_day:,.0f}"),
        ("the same share of 50 million a day", "–", "–", f"{reviewed * _DAILY:,.0f}"),
        ("alerts a day", "–", "–", f"{outcome.alerts_per_day:,.0f}"),
        ("the same share of 50 million a day", "–", "–", f"{share * _DAILY:,.0f}"),
        ("return on what is spent", "–", "8x", f"{outcome.roi:.1f}x"),
    ]
    if "rules alone" in outcomes:
        before = outcomes["rules alone"].lost_minor
        against = 1 - outcome.lost_minor / before if before else 0.0
        lines.insert(1, ("fraud losses, against rules alone", "-40%", "-43%", f"{-against:+.0%}"))
    return Table(("measure", "goal", "reported by the design", "measured here"), tuple(lines))


def money_blocks(
    policy: Policy, outcomes: Mapping[str, Outcome], costs: Costs, scale: AmountScale
) -> list[Block]:
    """The thresholds, what they would have cost, and what that rests on."""
    note = Note(
        f"REVIEW from probability {policy.review:.4f}, DECLINE from {policy.decline:.4f}; while no "
        f"model answers, amounts over {scale.text(policy.fallback_amount_minor)} are reviewed."
    )
    return [note, _outcome_table(outcomes, scale), _assumptions_table(costs, scale)]


def _outcome_table(outcomes: Mapping[str, Outcome], scale: AmountScale) -> Table:
    """What each policy would have done and cost, money in units of the currency."""
    money = ("fraud lost", "spent", "saved")
    rows = tuple(
        (
            name,
            outcome.alerts_per_day,
            outcome.reviews_per_day,
            100 * outcome.false_positive_rate,
            100 * outcome.blocked_rate,
            outcome.lost_minor / scale.minor_per_unit,
            outcome.spent_minor / scale.minor_per_unit,
            outcome.saved_minor / scale.minor_per_unit,
            outcome.roi,
        )
        for name, outcome in outcomes.items()
    )
    header = (
        "policy", "alerts a day", "reviews a day", "stopped %", "blocked %",
        *money, "ROI",
    )  # fmt: skip
    return Table(
        header,
        rows,
        digits=2,
        column_digits=dict.fromkeys(money, scale.digits),
        caption="Share of good payments stopped (reviewed or declined) and blocked for good; money "
        "over the whole test in units of the currency; saved = fraud cost avoided less what was "
        "spent.",
    )


def _assumptions_table(costs: Costs, scale: AmountScale) -> Table:
    """What the money rests on."""
    rows = tuple(
        (_ASSUMED[field.name], float(getattr(costs, field.name))) for field in fields(costs)
    )
    unit = f"{scale.minor_per_unit:,} minor units are a unit of the currency."
    return Table(("assumption", "value"), rows, digits=2, caption=unit)


def reliability_table(bins: Sequence[ReliabilityBin]) -> Table:
    """Stated and observed by bin."""
    rows = tuple(
        (reliability_bin.rows, reliability_bin.stated, reliability_bin.observed)
        for reliability_bin in bins
    )
    return Table(("payments", "stated", "observed"), rows, digits=5)


def slices_table(plan: Plan, payments: Payments) -> Table:
    """Which days were used for what."""
    named = {"train": plan.train, "calibrate": plan.calibrate, "test": plan.test}
    rows = tuple(_slice_row(name, span, payments) for name, span in named.items())
    header = ("slice", "from", "to", "labels known by", "days", "payments", "frauds", "share %")
    return Table(header, rows, caption="UTC; the label delay lies between the slices.")


def _slice_row(name: str, span: Slice, payments: Payments) -> tuple[Cell, ...]:
    rows = payments.within(span)
    frauds = int(rows.labels(span.as_of).sum())
    times = [_minute(moment) for moment in (span.start, span.end, span.as_of)]
    return (name, *times, span.days, len(rows), frauds, 100 * frauds / max(len(rows), 1))


def _minute(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).strftime("%Y-%m-%d %H:%M")


def profile_blocks(payments: Payments, names: tuple[str, ...]) -> list[Block]:
    """Two plots over time and a table of the features."""
    day = payments.event_time // DAY
    first = int(day.min())
    count = np.bincount(day - first)
    is_fraud = np.isfinite(payments.fraud_from) & ~np.isfinite(payments.fraud_until)
    frauds = np.bincount(day - first, weights=is_fraud)
    days = np.arange(len(count))
    share = 100 * frauds / np.maximum(count, 1)
    plots = Figures(
        (
            line_plot("Payments by day", {"payments": Curve(days, count)}, Axis("day"), Axis("")),
            line_plot("Known frauds by day", {"share": Curve(days, share)}, Axis("day"), Axis("%")),
        )
    )
    return [plots, _feature_table(payments, names)]


def _feature_table(payments: Payments, names: tuple[str, ...]) -> Table:
    """Missing share and quantiles of every feature."""
    rows = tuple(_feature_row(name, payments.matrix[:, at]) for at, name in enumerate(names))
    return Table(("feature", "missing %", "1%", "median", "99%", "largest"), rows, digits=2)


def _feature_row(name: str, values: np.ndarray) -> tuple[str | float | None, ...]:
    there = values[~np.isnan(values)]
    missing = 100 * (1 - len(there) / max(len(values), 1))
    if not len(there):
        return (name, missing, None, None, None, None)
    low, middle, high = np.quantile(there, [0.01, 0.5, 0.99])
    return (name, missing, float(low), float(middle), float(high), float(there.max()))
