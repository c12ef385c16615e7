"""Monitor posts, scores, decisions and reviews: `python -m jobs.moderation.monitor --help`."""

from dataclasses import dataclass

from jobs.framework.command import run_job
from jobs.framework.monitoring_options import MonitorOptions, main
from jobs.framework.paths import InputPath
from jobs.moderation.sources import read_policies
from lib.moderation.monitoring import ReviewEvidence, ReviewFigures
from lib.moderation.outcomes import PostOutcomes
from lib.monitoring.measures import AveragePrecision, Money, ObservedOverExpected, RocAuc
from lib.monitoring.watched_system import WatchedSystem
from lib.records.review import ReviewStore


@dataclass(frozen=True, kw_only=True)
class Options(MonitorOptions):
    """Say what changed in posts since the model was trained, and how well it still decides.

    Counts the decisions of a window of days by the bins of the model that decided, and compares
    days with those of its training within a budget of false incidents. An incident names the
    measure, the kind of change, since when, which languages or media, and what it costs so far.
    Exit code 0: nothing; 3: an incident is open; 1: an error.
    """

    policies: InputPath | None = None
    """file of policies with their prices; default: the packaged ones"""
    silent_days: float = PostOutcomes.silent_days
    """days after which an allowed or removed post is not waited for any more"""

    def review_evidence(self, since: int, until: int) -> ReviewEvidence:
        """What the review queue of --records knows of a window, microseconds since 1970 UTC."""
        if self.records is None:
            return ReviewEvidence()
        with ReviewStore(self.records) as reviews:
            return ReviewEvidence(
                [*reviews.iterate_reasons(since, until)], reviews.list_opinion_pairs(since, until)
            )

    def watched(self) -> WatchedSystem:
        """See `MonitorOptions`."""
        policies = read_policies(self.policies)
        return WatchedSystem(
            PostOutcomes(policies, self.silent_days),
            (RocAuc(), AveragePrecision(), ObservedOverExpected(), Money()),
            segments=("language", "media"),
            figures=ReviewFigures(policies.ids, self.review_evidence),
        )


if __name__ == "__main__":
    run_job(Options, main)
