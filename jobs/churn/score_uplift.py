"""Say whom interventions would change: `python -m jobs.churn.score_uplift --help`."""

from dataclasses import dataclass

from jobs.framework.command import run_job
from jobs.framework.paths import InputPath, LocalInput, OutputPath
from jobs.framework.progress import JobOptions


@dataclass(frozen=True, kw_only=True)
class ScoreUpliftConfig(JobOptions):
    """Say of each customer by how much each intervention of an experiment changes the outcome.

    Takes the model of jobs.churn.train_uplift; jobs.churn.plan --uplift reads what this writes.
    """

    model: InputPath
    """folder or URI of a model"""
    customers: InputPath
    """table with a row per customer and the attributes of the experiment: Parquet or CSV file,
    folder or URI"""
    mapping_customers: LocalInput | None = None
    """YAML mapping file of --customers; default: the one that the model was trained with"""
    output: OutputPath
    """output folder or URI for data/, a row per customer and intervention, and rows set aside"""


def main(config: ScoreUpliftConfig) -> str:
    """Score and write; returns the folder or URI of Parquet files."""
    from jobs.churn.uplift_scoring import score_uplift

    return score_uplift(config)


if __name__ == "__main__":
    run_job(ScoreUpliftConfig, main)
