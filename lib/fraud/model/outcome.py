"""What a policy would have done to past payments: alerts, reviews and money."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib.fraud.model.inputs import Flags, Floats
from lib.fraud.model.policy import Costs


@dataclass(frozen=True)
class Outcome:
    """Payments of some days under some decisions; money in minor units.

    Args:
        days: how many.
        reviews_per_day: payments sent to manual review a day.
        declines_per_day: payments declined a day.
        false_positive_rate: share of good payments reviewed or declined.
        blocked_rate: share of good payments declined, or blocked after review.
        fraud_minor: what the frauds would cost if all were approved.
        lost_minor: what they still cost.
        review_minor: cost of the reviews.
        blocked_minor: cost of good payments blocked.
        running_minor: cost of running the system.
    """

    days: float
    reviews_per_day: float
    declines_per_day: float
    false_positive_rate: float
    blocked_rate: float
    fraud_minor: float
    lost_minor: float
    review_minor: float
    blocked_minor: float
    running_minor: float

    @property
    def alerts_per_day(self) -> float:
        """Payments reviewed or declined a day."""
        return self.reviews_per_day + self.declines_per_day

    @property
    def loss_reduction(self) -> float:
        """Share of the fraud cost that is avoided."""
        return 1 - self.lost_minor / self.fraud_minor if self.fraud_minor else 0.0

    @property
    def spent_minor(self) -> float:
        """Cost of reviews, of good payments blocked and of running the system."""
        return self.review_minor + self.blocked_minor + self.running_minor

    @property
    def saved_minor(self) -> float:
        """Fraud cost avoided, less what was spent."""
        return self.fraud_minor - self.lost_minor - self.spent_minor

    @property
    def roi(self) -> float:
        """Net saving for each unit spent; NaN where nothing was spent."""
        return self.saved_minor / self.spent_minor if self.spent_minor else float("nan")


def measure_outcome(
    decisions: npt.NDArray[np.int64],
    labels: Flags,
    amount_minor: Floats,
    days: float,
    costs: Costs,
) -> Outcome:
    """Outcome of decisions (n,) in {0 approve, 1 review, 2 decline} on labelled payments (n,)."""
    reviewed, declined = decisions == 1, decisions == 2
    loss = np.where(labels, amount_minor * costs.chargeback_share + costs.chargeback_fee_minor, 0.0)
    block = np.where(labels, 0.0, amount_minor * costs.blocked_share + costs.blocked_fee_minor)
    good = max(int((~labels).sum()), 1)
    missed = loss[decisions == 0].sum() + (1 - costs.reviewer_recall) * loss[reviewed].sum()
    wrongly = costs.reviewer_false_share * (reviewed & ~labels).sum() + (declined & ~labels).sum()
    return Outcome(
        days=days,
        reviews_per_day=float(reviewed.sum() / days),
        declines_per_day=float(declined.sum() / days),
        false_positive_rate=float(((reviewed | declined) & ~labels).sum() / good),
        blocked_rate=float(wrongly / good),
        fraud_minor=float(loss.sum()),
        lost_minor=float(missed),
        review_minor=float(reviewed.sum() * costs.review_minor),
        blocked_minor=float(
            block[declined].sum() + costs.reviewer_false_share * block[reviewed].sum()
        ),
        running_minor=len(labels) / 1000 * costs.running_minor_per_thousand,
    )
