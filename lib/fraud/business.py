"""What fraud decisions came to, in the rows that a payment platform asks for."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from lib.business.outcomes import Floats, column_values
from lib.business.period import NOT_KNOWN, Period, make_measure
from lib.business.statement import Measure, Wording
from lib.fraud.outcomes import AMOUNT, FraudOutcomes, loss_parts
from lib.records.json_codec import read_json

TOP = 1_000
WORDING = Wording(
    "Fraud", "payments", "customers", "frauds that were approved",
    "good payments that were stopped or reviewed", "frauds",
)  # fmt: skip
_AMOUNT_BANDS = (0.0, 10.0, 50.0, 200.0, 1_000.0, np.inf)


def fraud_measures(period: Period, system: FraudOutcomes) -> list[Measure]:
    """The rows of the page; see `lib.fraud.model.outcome` for how money is counted.

    Losses are what frauds cost that were approved, or reviewed and not recognised; money that
    reviewers and declines cost good customers stands beside them, so that neither hides the other.
    """
    unit, label = system.scale.minor_per_unit, period.label
    prices = loss_parts(period.rows, period.rows["decision"], system.costs)
    parts = {name: values / unit for name, values in prices.items()}
    amount = column_values(period.rows, AMOUNT)
    risk = label * (amount * system.costs.chargeback_share + system.costs.chargeback_fee_minor)
    return [
        *_losses(period, parts["lost"], risk / unit, system),
        _precision(period),
        period.share("prevalence", "Frauds among all payments", "neither", label, period.ripe),
        *_operation(period),
        *_costs(period, parts, risk / unit),
    ]


def _losses(period: Period, lost: Floats, risk: Floats, system: FraudOutcomes) -> list[Measure]:
    review = np.where(period.decided("REVIEW"), system.costs.reviewer_false_share, 0.0)
    hurt = np.where(period.decided("DECLINE"), 1.0, review)
    good = 1.0 - period.label
    return [
        period.per_day("fraud_losses", "Fraud losses a day", "currency", "less", lost),
        period.share("fraud_loss_share", "Share of the fraud that was lost", "less", lost, risk),
        period.share("good_blocked_share", "Good payments blocked", "less", good * hurt, good),
    ]


def _precision(period: Period) -> Measure:
    scores = np.where(period.ripe, column_values(period.rows, "score"), np.nan)
    ranked = int(np.isfinite(scores).sum())
    top = period.bootstrap.top_share(period.label, scores, TOP) if ranked >= TOP else NOT_KNOWN
    return make_measure(
        "precision_top_1000",
        f"Frauds among the {TOP:,} highest scores",
        "share",
        "more",
        top,
        f"{ranked:,} scored payments with a final outcome; needs {TOP:,}",
        period.known_from,
    )


def _operation(period: Period) -> list[Measure]:
    latency = period.bootstrap.quantile(column_values(period.rows, "latency_ms"), 0.99)
    reviews = period.bootstrap.total(period.decided("REVIEW"), period.days)
    return [
        period.counted(
            "p99_ms", "Answer time that 99 of 100 payments stay below", "ms", "less", latency
        ),
        period.counted(
            "reviews_per_day", "Payments sent to review a day", "payments", "less", reviews
        ),
    ]


def _costs(period: Period, parts: dict[str, Floats], risk: Floats) -> list[Measure]:
    spent = parts["review"] + parts["blocked"] + parts["running"]
    saved = np.where(period.ripe, risk - parts["lost"] - spent, 0.0)
    ratio = period.bootstrap.ratio(saved, np.where(period.ripe, spent, 0.0))
    label = "Cost of good payments blocked a day"
    return [
        period.per_day("blocked_cost", label, "currency", "less", parts["blocked"]),
        period.labelled(
            "return_on_cost", "Saved for each unit of money spent", "ratio", "more", ratio
        ),
    ]


def fraud_segments(
    decisions: pa.Table, outcomes: pa.Table, system: FraudOutcomes
) -> dict[str, Sequence[str | None]]:
    """Parts of the payments: how they were paid, in which currency, how much."""
    requests = [read_json(text or "{}") for text in decisions["request"].to_pylist()]
    amounts = column_values(outcomes, AMOUNT) / system.scale.minor_per_unit
    bands = np.searchsorted(_AMOUNT_BANDS, amounts, side="right") - 1
    return {
        "payment method": [request.get("payment_method") for request in requests],
        "currency": [request.get("currency") for request in requests],
        "amount": [_band(int(band)) for band in bands],
    }


def _band(index: int) -> str:
    low, high = _AMOUNT_BANDS[index], _AMOUNT_BANDS[min(index + 1, len(_AMOUNT_BANDS) - 1)]
    return f"{low:,.0f} and more" if np.isinf(high) else f"{low:,.0f} to {high:,.0f}"


def fraud_notes(period: Period, system: FraudOutcomes) -> list[str]:
    """What the figures assume."""
    costs = system.costs
    declined = period.decided("DECLINE") & period.ripe
    silent = declined & ~period.rows["observed_at"].is_valid().to_numpy()
    treated = "good" if system.silence_of_declined == 0.0 else "unknown"
    return [
        f"A payment that nobody called fraud within {system.label_days:g} days counts as good.",
        f"{int(silent.sum()):,} of {int(declined.sum()):,} declined payments have no label, as a "
        f"payment that did not go through brings no chargeback; they count as {treated}, so the "
        "payments wrongly blocked are an upper limit.",
        f"Assumed: a reviewer recognises {costs.reviewer_recall:.0%} of the frauds and blocks "
        f"{costs.reviewer_false_share:.0%} of the good payments; a review costs "
        f"{costs.review_minor / system.scale.minor_per_unit:,.2f}, a chargeback "
        f"{costs.chargeback_fee_minor / system.scale.minor_per_unit:,.2f} beside the amount.",
    ]
