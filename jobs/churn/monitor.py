"""Monitor customers, scores, decisions and notices: `python -m jobs.churn.monitor --help`."""

from dataclasses import dataclass, field

from jobs.churn.notices import NoticeOptions
from jobs.framework.command import run_job
from jobs.framework.monitoring_options import MonitorOptions
from lib.churn.interventions.daily import Economics
from lib.churn.outcomes import CustomerOutcomes
from lib.monitoring.measures import (
    AveragePrecision,
    Money,
    ObservedOverExpected,
    RecallAtCapacity,
    RocAuc,
)


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


def main(options: Options, now: int | None = None) -> None:
    """Monitor.

    Args:
        options: of the job.
        now: microseconds since 1970 UTC; None: the present.
    """
    from jobs.framework.monitoring import monitor
    from lib.monitoring.assessment import WatchedSystem

    capacity = RecallAtCapacity(options.contacts_per_day)
    watched = WatchedSystem(
        CustomerOutcomes(options.economics),
        (RocAuc(), AveragePrecision(), capacity, ObservedOverExpected(), Money()),
    )
    monitor(options, watched, now, labels=options.notice_labels)


if __name__ == "__main__":
    run_job(Options, main)
