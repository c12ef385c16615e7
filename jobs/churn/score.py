"""Score every customer: `python -m jobs.churn.score --help`. Meant to run each night."""

from dataclasses import dataclass

from jobs.churn.sources import Sources
from jobs.framework.command import run_job
from jobs.framework.options import parse_time
from jobs.framework.paths import OutputPath
from jobs.model_source import ModelOptions
from jobs.static_table.delegation import run_static_table


@dataclass(frozen=True, kw_only=True)
class ScoreConfig(ModelOptions, Sources):
    """Say of every customer how likely it leaves, how healthy it is, and why.

    Give --model or --registry. Customers who have already left, by notice or by inactivity, are
    left out. A table without times: --static TABLE, see jobs.static_table.score.
    """

    output: OutputPath
    """output folder or URI (s3://, gs://, file://); on a cluster one that all nodes can access"""
    at: str | None = None
    """time for which the scores are computed, ISO 8601 in UTC; default: midnight after the newest
    row"""
    records: str | None = None
    """URL of the records database: scores are added to the history of customers' health, which the
    service and the console show"""

    def check(self) -> None:
        """See `JobOptions`."""
        super().check()
        if self.at is not None:
            parse_time("--at", self.at)


def main(config: ScoreConfig) -> str:
    """Score and write; returns the folder or URI of Parquet files."""
    from jobs.churn.scoring import score_customers

    return score_customers(config)


if __name__ == "__main__":
    run_static_table("churn", "score")
    run_job(ScoreConfig, main)
