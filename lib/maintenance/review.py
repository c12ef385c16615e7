"""Machines that people look at: those to inspect, by the cost of the failure that may come."""

from dataclasses import dataclass, field

from lib.maintenance.feature_set import DAY_US
from lib.maintenance.model.costs import Costs
from lib.records import Decision
from lib.review.policy import EntityReview

FINDING = "finding"
"""Kind of fact: whether an inspection of a machine showed a fault."""


@dataclass(frozen=True)
class MachineReview(EntityReview):
    """See `ReviewPolicy`; a machine is one case a day.

    A fault that people see is no failure: models learn from failures alone, which work orders and
    readings report.

    Attributes:
        costs: what a failure costs is the loss.
    """

    severity_losses: tuple[float, float, float, float] = (500.0, 2_500.0, 10_000.0, 30_000.0)
    costs: Costs = field(default_factory=Costs)

    system = "maintenance"
    question = "fault"
    case_us = DAY_US
    shown_fields = (
        "likely_mode",
        "median_hours",
        "failure_within",
        "sensor_faults",
        "last_reading",
    )
    fact_kind = FINDING

    def expected_loss(self, decision: Decision) -> float:
        """See `ReviewPolicy`: probability by cost of a failure."""
        return self.probability(decision) * self.costs.failure
