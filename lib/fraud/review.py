"""Payments that people look at: those in REVIEW, by the loss that is to be expected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lib.fraud.amounts import AmountScale
from lib.fraud.model.policy import Costs
from lib.fraud.outcomes import AMOUNT
from lib.records import Decision, Fact
from lib.records.models import Json
from lib.records.review import Outcome
from lib.review.policy import ReviewPolicy


@dataclass(frozen=True)
class PaymentReview(ReviewPolicy):
    """See `ReviewPolicy`; a closed case is a label, from which training learns.

    Attributes:
        costs: prices; what a fraud costs is the loss.
        scale: of amounts.
    """

    severity_losses: tuple[float, float, float, float] = (10.0, 50.0, 250.0, 1_000.0)
    costs: Costs = field(default_factory=Costs)
    scale: AmountScale = field(default_factory=AmountScale)

    system = "fraud"
    question = "fraud"

    def expected_loss(self, decision: Decision) -> float:
        """See `ReviewPolicy`: probability by amount and fee of a chargeback."""
        amount = float(str(decision.request[AMOUNT]))
        loss = amount * self.costs.chargeback_share + self.costs.chargeback_fee_minor
        return self.probability(decision) * loss / self.scale.minor_per_unit

    def shown(self, decision: Decision) -> Mapping[str, Json]:
        """See `ReviewPolicy`: amount in units of the settlement currency, currency, method."""
        payment = decision.request
        return {
            "amount": self.scale.text(float(str(payment[AMOUNT]))),
            "currency": payment["currency"],
            "payment_method": payment["payment_method"],
        }

    def facts(self, outcome: Outcome, decision: Decision, now: int) -> Sequence[Fact]:
        """See `ReviewPolicy`: whether the payment was fraud."""
        return [self.fact("fraud", decision.subject_id, outcome, now)]
