"""Monitor payments, scores, decisions and labels: `python -m jobs.fraud.monitor --help`."""

from dataclasses import dataclass, field

from jobs.framework.command import run_job
from jobs.framework.monitoring_options import MonitorOptions
from lib.fraud.amounts import AmountScale
from lib.fraud.model.policy import Costs
from lib.fraud.outcomes import FraudOutcomes
from lib.monitoring.measures import AveragePrecision, Money, RecallAtCapacity, RocAuc


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


def main(options: Options, now: int | None = None) -> None:
    """Monitor.

    Args:
        options: of the job.
        now: microseconds since 1970 UTC; None: the present.
    """
    from jobs.framework.monitoring import monitor
    from lib.monitoring.assessment import WatchedSystem

    scale = AmountScale(options.currency_digits)
    watched = WatchedSystem(
        FraudOutcomes(options.costs, scale, options.label_days),
        (RocAuc(), AveragePrecision(), RecallAtCapacity(options.reviews_per_day), Money()),
        segments=("merchant_id", "payment_method"),
        money_by_label=True,
    )
    monitor(options, watched, now)


if __name__ == "__main__":
    run_job(Options, main)
