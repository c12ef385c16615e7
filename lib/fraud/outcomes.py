"""What payments came to: fraud or good, and what deciding so brought or cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from lib.business.outcomes import (
    Floats,
    OutcomeError,
    WaitingOutcomes,
    column_values,
    decision_masks,
    labels_of,
    microseconds,
    outcome_table,
    require_columns,
    ripe_money,
    score_array,
    with_ripe_money,
)
from lib.fraud.amounts import AmountScale
from lib.fraud.model.policy import DECISIONS, Costs, Policy, expected_costs
from lib.fraud.model.time_split import Lengths
from lib.records.json_codec import read_json

AMOUNT = "amount_minor"
"""Column of outcomes: the payment's amount, minor units."""
_DAY_US = 86_400_000_000


@dataclass(frozen=True)
class FraudOutcomes(WaitingOutcomes, wait="label_days"):
    """See `lib.business.outcomes.SystemOutcomes`.

    Money is what `lib.fraud.model.outcome.measure_outcome` counts, payment by payment, below 0: the
    fraud that was let through, the review and what it misses or hurts, the good payment that was
    declined, and the running of the system. So all of it together is the cost of a policy.

    A declined payment gets no chargeback, so silence about it does not show that it was good. By
    default it counts as good, which errs against declining; None waits for a label.

    Attributes:
        costs: prices.
        scale: of amounts.
        label_days: days after which a payment that nobody called fraud is good.
        silence_of_declined: 0: a declined payment without a label was good; None: not known.
    """

    costs: Costs = field(default_factory=Costs)
    scale: AmountScale = field(default_factory=AmountScale)
    label_days: float = Lengths.label_delay
    silence_of_declined: float | None = 0.0

    system = "fraud"
    entity = "user_id"
    positive = "fraud"
    acting = ("REVIEW", "DECLINE")

    def outcomes(self, decisions: pa.Table, labels: pa.Table, as_of: int) -> pa.Table:
        """See `SystemOutcomes`; `amount_minor` follows."""
        require_columns(decisions, ("subject_id", "event_time", "decision", "request"), "decisions")
        known = labels_of(decisions["subject_id"], labels, "fraud", as_of)
        ripe = microseconds(decisions["event_time"]) + round(self.label_days * _DAY_US)
        declined = decision_masks(decisions["decision"], DECISIONS)[2]
        if self.silence_of_declined is None:
            ripe = np.where(declined, np.maximum(ripe, known.observed_us), ripe)
        silent = np.where(declined, self.silence_of_declined or 0.0, 0.0)
        table = outcome_table(
            decisions, known, ripe, as_of, silent, **{AMOUNT: pa.array(amounts(decisions))}
        )
        money = self._money(table, table["decision"])
        return with_ripe_money(table, money, as_of)

    def money_of(self, outcomes: pa.Table, decisions: Sequence[str]) -> Floats:
        """See `SystemOutcomes`."""
        money = self._money(outcomes, pa.chunked_array([pa.array(decisions, pa.string())]))
        return ripe_money(outcomes, money)

    def money_if(
        self, outcomes: pa.Table, scores: Any, thresholds: Mapping[str, float] | None = None
    ) -> Floats:
        """See `SystemOutcomes`."""
        return self.money_of(outcomes, self.decide(outcomes, scores, thresholds))

    def decide(
        self, outcomes: pa.Table, scores: Any, thresholds: Mapping[str, float] | None = None
    ) -> list[str]:
        """(rows,) decisions by calibrated scores: of a model's policy, or of least cost."""
        values = score_array(scores, outcomes.num_rows)
        if thresholds is None:
            costs = expected_costs(values, column_values(outcomes, AMOUNT), self.costs)
            places = costs.argmin(axis=0)
        else:
            places = Policy.from_thresholds(thresholds).decisions(values)
        return [DECISIONS[index] for index in places.tolist()]

    def _money(self, outcomes: pa.Table, decisions: pa.ChunkedArray) -> Floats:
        """(rows,) currency units, NaN where no label is known."""
        parts = loss_parts(outcomes, decisions, self.costs)
        return -sum(parts.values(), np.zeros(outcomes.num_rows)) / self.scale.minor_per_unit


def loss_parts(outcomes: pa.Table, decisions: pa.ChunkedArray, costs: Costs) -> dict[str, Floats]:
    """(rows,) each in minor units by what it is: fraud losses, reviews, good payments, running.

    Args:
        outcomes: with labels and `amount_minor`.
        decisions: (rows,) that are priced.
        costs: prices.
    """
    label, amount = column_values(outcomes, "label"), column_values(outcomes, AMOUNT)
    _, reviewed, declined = decision_masks(decisions, DECISIONS)
    loss = label * (amount * costs.chargeback_share + costs.chargeback_fee_minor)
    block = (1.0 - label) * (amount * costs.blocked_share + costs.blocked_fee_minor)
    missed = np.where(reviewed, 1.0 - costs.reviewer_recall, np.where(declined, 0.0, 1.0))
    hurt = np.where(reviewed, costs.reviewer_false_share, np.where(declined, 1.0, 0.0))
    return {
        "lost": loss * missed,
        "review": np.where(reviewed, costs.review_minor, 0.0),
        "blocked": block * hurt,
        "running": np.full(outcomes.num_rows, costs.running_minor_per_thousand / 1000.0),
    }


def amounts(decisions: pa.Table) -> Floats:
    """(rows,) amounts of the requests, minor units.

    Raises:
        OutcomeError: a request names none.
    """
    values = np.empty(decisions.num_rows)
    for row, text in enumerate(decisions["request"].to_pylist()):
        amount = read_json(text or "{}").get(AMOUNT)
        if not isinstance(amount, int | float) or isinstance(amount, bool):
            subject = decisions["subject_id"][row].as_py()
            raise OutcomeError(f"request: {subject}: expected {AMOUNT}, a number, got {amount!r}")
        values[row] = amount
    return values
