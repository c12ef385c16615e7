"""From a probability to APPROVE, REVIEW or DECLINE, at the least expected cost."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from lib.fraud.model.inputs import Flags, Floats

DECISIONS = ("APPROVE", "REVIEW", "DECLINE")
_CUTS = 1500


@dataclass(frozen=True)
class Costs:
    """What decisions cost, in minor units of money and shares of a payment's amount.

    A fraud that passes costs its chargeback, a good payment that is declined its margin and fee. A
    review costs its price, and of both kinds the shares that the reviewer judges wrongly.
    """

    chargeback_share: float = 1.0
    """share of the amount lost to an approved fraud"""
    chargeback_fee_minor: float = 1_500.0
    """fee of each chargeback, minor units"""
    blocked_share: float = 0.1
    """margin and goodwill lost when a good payment is declined, share of its amount"""
    blocked_fee_minor: float = 500.0
    """cost of each good payment declined (a call, a customer who leaves), minor units"""
    review_minor: float = 300.0
    """cost of one manual review, minor units"""
    reviewer_recall: float = 0.9
    """share of frauds that a reviewer finds"""
    reviewer_false_share: float = 0.02
    """share of good payments that a reviewer blocks"""
    reviews_per_day: float = 100.0
    """manual reviews that can be done a day"""
    most_disturbed: float = 0.02
    """largest share of good payments that may be reviewed or declined"""
    running_minor_per_thousand: float = 10.0
    """cost of running the system for a thousand payments, minor units"""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not np.isfinite(value) or value < 0:
                raise ValueError(f"costs: {name}: expected 0 or more, got {value}")
        for name in ("reviewer_recall", "reviewer_false_share", "most_disturbed"):
            if getattr(self, name) > 1:
                raise ValueError(f"costs: {name}: expected a share up to 1")


@dataclass(frozen=True)
class Policy:
    """Thresholds on the calibrated probability, and the cap used while no model answers.

    Args:
        review: from this probability on REVIEW.
        decline: from this probability on DECLINE; not below `review`.
        fallback_amount_minor: without a model, larger amounts go to REVIEW, minor units.
    """

    review: float
    decline: float
    fallback_amount_minor: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.review <= self.decline:
            raise ValueError(
                f"policy: expected 0 <= review <= decline, got {self.review} and {self.decline}"
            )

    def decide(self, probability: float) -> str:
        """Decision for one calibrated probability."""
        if probability >= self.decline:
            return "DECLINE"
        return "REVIEW" if probability >= self.review else "APPROVE"

    def decisions(self, probabilities: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Places in `DECISIONS` (rows,) of calibrated probabilities (rows,)."""
        return np.searchsorted([self.review, self.decline], np.asarray(probabilities), side="right")

    def to_thresholds(self) -> dict[str, float]:
        """The numbers for the manifest's thresholds."""
        return asdict(self)

    @classmethod
    def from_thresholds(cls, stored: Mapping[str, float]) -> "Policy":
        """The policy of a manifest; a missing threshold is a KeyError naming it."""
        return cls(stored["review"], stored["decline"], stored["fallback_amount_minor"])


def expected_costs(
    probabilities: npt.ArrayLike, amount_minor: npt.ArrayLike, costs: Costs
) -> Floats:
    """Expected cost (3, rows) of approving, reviewing and declining each payment, minor units."""
    fraud = np.asarray(probabilities, dtype=np.float64)
    amount = np.asarray(amount_minor, dtype=np.float64)
    loss = amount * costs.chargeback_share + costs.chargeback_fee_minor
    block = amount * costs.blocked_share + costs.blocked_fee_minor
    missed = fraud * (1 - costs.reviewer_recall) * loss
    hurt = (1 - fraud) * costs.reviewer_false_share * block
    return np.stack([fraud * loss, costs.review_minor + missed + hurt, (1 - fraud) * block])


def fit_policy(
    probabilities: npt.ArrayLike,
    labels: npt.ArrayLike,
    amount_minor: npt.ArrayLike,
    days: float,
    costs: Costs,
) -> Policy:
    """Thresholds of least expected cost under the review capacity and the cap on good payments.

    Every pair of up to 1,500 cuts is weighed, so the answer is the best of those, not a local one.
    Expected cost comes from the calibrated probabilities (few frauds would make observed cost
    jump); the cap on disturbed good payments from the labels.

    Args:
        probabilities: (n,) calibrated.
        labels: (n,) 0/1.
        amount_minor: (n,) minor units.
        days: days that the rows span, above 0.
        costs: what decisions cost.
    """
    fraud = np.asarray(probabilities, dtype=np.float64)
    flags = np.asarray(labels, dtype=np.bool_)
    amount = np.asarray(amount_minor, dtype=np.float64)
    if not len(fraud) == len(flags) == len(amount) or not len(fraud) or days <= 0:
        raise ValueError(
            f"expected rows of one length over days > 0, got {len(fraud)}, {len(flags)}, "
            f"{len(amount)} over {days} days"
        )
    order = np.argsort(-fraud, kind="stable")
    cuts = _cuts(fraud[order])
    declined, reviewed = _best_pair(
        expected_costs(fraud, amount, costs)[:, order],
        cuts,
        _most_rows(flags[order], costs.most_disturbed),
        costs.reviews_per_day * days,
    )
    review = _threshold(fraud[order], reviewed)
    cap = float(np.quantile(amount, 0.95))
    return Policy(review, max(review, _threshold(fraud[order], declined)), cap)


def _cuts(falling: Floats) -> npt.NDArray[np.int64]:
    """Row counts at which the score changes, from none to all, thinned where they are many."""
    changes = np.flatnonzero(np.diff(falling) < 0) + 1
    if len(changes) > _CUTS:
        even = np.geomspace(1, len(changes), _CUTS).astype(np.int64) - 1
        changes = changes[np.unique(even)]
    return np.concatenate([[0], changes, [len(falling)]])


def _most_rows(flags: Flags, share: float) -> int:
    """Most rows from the top that hold at most `share` of the good payments."""
    good = np.cumsum(~flags)
    return int(np.searchsorted(good, share * good[-1] + 1e-9, side="right"))


def _best_pair(
    costs: Floats, cuts: npt.NDArray[np.int64], most_rows: int, most_reviews: float
) -> tuple[int, int]:
    """Row counts (declined, declined or reviewed) of least total cost within the limits."""
    sums = np.concatenate([np.zeros((3, 1)), np.cumsum(costs, axis=1)], axis=1)[:, cuts]
    approve, review, decline = sums
    total = (decline - review)[:, None] + (review - approve)[None, :]
    reviews = cuts[None, :] - cuts[:, None]
    allowed = (reviews >= 0) & (reviews <= most_reviews) & (cuts <= most_rows)[None, :]
    first, second = np.unravel_index(np.where(allowed, total, np.inf).argmin(), total.shape)
    return int(cuts[first]), int(cuts[second])


def _threshold(falling: Floats, rows: int) -> float:
    """Threshold that takes the first `rows` rows: midway to the next score, above 1 for none."""
    if rows == 0:
        return float(np.nextafter(max(1.0, falling[0]), 2.0))
    if rows == len(falling):
        return 0.0
    return float((falling[rows - 1] + falling[rows]) / 2)
