"""Monitor customers, scores, decisions and notices: `python -m jobs.churn.monitor --help`."""

from dataclasses import dataclass, field

from jobs.churn.notices import NoticeOptions
from jobs.framework.command import run_job
from jobs.framework.monitoring_options import MonitorOptions, main
from lib.churn.interventions.daily import Economics
from lib.churn.outcomes import CustomerOutcomes
from lib.monitoring.measures import (
    AveragePrecision,
    Money,
    ObservedOverExpected,
    RecallAtCapacity,
    RocAuc,
)
from lib.monitoring.watched_system import WatchedSystem


@dataclass(frozen=True, kw_only=True)
class Options(MonitorOptions, NoticeOptions):
    """Say what changed in customers since the model was trained, and how well it still foresees.

    Counts the decisions of a window of days by the bins of the model that decided, and compares
    days with those of its training within a budget of false incidents. An incident names the
    feature, the kind of change, since when, and what it costs so far. Exit code 0: nothing; 3: an
    incident is open; 1: an error.
    """

    economics: Economics = field(default_factory=Economics)
    """what a customer who stays is worth"""
    contacts_per_day: float = 20.0
    """customers that people can contact a day"""

    def watched(self) -> WatchedSystem:
        """See `MonitorOptions`."""
        capacity = RecallAtCapacity(self.contacts_per_day)
        return WatchedSystem(
            CustomerOutcomes(self.economics),
            (RocAuc(), AveragePrecision(), capacity, ObservedOverExpected(), Money()),
        )


if __name__ == "__main__":
    run_job(Options, main)
