"""Monitor payments, scores, decisions and labels: `python -m jobs.fraud.monitor --help`."""

from dataclasses import dataclass, field

from jobs.framework.command import run_job
from jobs.framework.monitoring_options import MonitorOptions, main
from lib.fraud.amounts import AmountScale
from lib.fraud.model.policy import Costs
from lib.fraud.outcomes import FraudOutcomes
from lib.monitoring.measures import AveragePrecision, Money, RecallAtCapacity, RocAuc
from lib.monitoring.watched_system import WatchedSystem


@dataclass(frozen=True, kw_only=True)
class Options(MonitorOptions):
    """Say what changed in payments since the model was trained, and how well it still decides.

    Counts the decisions of a window of days by the bins of the model that decided, and compares
    days with those of its training within a budget of false incidents. An incident names the
    feature, the kind of change, since when, where it comes from, and what it costs so far. Exit
    code 0: nothing; 3: an incident is open; 1: an error.
    """

    costs: Costs = field(default_factory=Costs)
    """prices, as the model was trained with"""
    label_days: float = FraudOutcomes.label_days
    """days after which a payment that nobody called fraud is good"""
    currency_digits: int = 2
    """decimal digits of the settlement currency, as the service is started with"""
    reviews_per_day: float = 100.0
    """payments that people can review a day"""

    def watched(self) -> WatchedSystem:
        """See `MonitorOptions`."""
        scale = AmountScale(self.currency_digits)
        return WatchedSystem(
            FraudOutcomes(self.costs, scale, self.label_days),
            (RocAuc(), AveragePrecision(), RecallAtCapacity(self.reviews_per_day), Money()),
            segments=("merchant_id", "payment_method"),
            money_by_label=True,
        )


if __name__ == "__main__":
    run_job(Options, main)
