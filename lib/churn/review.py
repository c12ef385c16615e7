"""Customers whom people look at: those to contact, by the margin that may be lost."""

import math
from dataclasses import dataclass, field

from lib.churn.interventions.daily import Economics
from lib.feature import DAY
from lib.records import Decision
from lib.review.policy import EntityReview

AT_RISK = "at_risk"
"""Kind of fact: whether people hold a customer to be at risk of leaving."""
_MRR = "mrr"


@dataclass(frozen=True)
class CustomerReview(EntityReview):
    """See `ReviewPolicy`; a customer is one case a week.

    What people expect of a customer is no label of leaving: models learn from notices alone.

    Attributes:
        economics: what a customer who stays is worth.
    """

    severity_losses: tuple[float, float, float, float] = (100.0, 1_000.0, 5_000.0, 25_000.0)
    economics: Economics = field(default_factory=Economics)

    system = "churn"
    question = "at_risk"
    case_us = 7 * DAY
    shown_fields = ("window_days", "health", "newest_event")
    fact_kind = AT_RISK

    def expected_loss(self, decision: Decision) -> float:
        """See `ReviewPolicy`: probability by margin of the months that a customer stays."""
        revenue = float(decision.features.get(_MRR, math.nan))
        value = 0.0 if math.isnan(revenue) else revenue
        return self.probability(decision) * value * self.economics.margin * self.economics.months
