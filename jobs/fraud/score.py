"""Score payments in batches: `python -m jobs.fraud.score --help`."""

from dataclasses import dataclass

from jobs.framework.command import run_job
from jobs.framework.paths import InputPath, OutputPath
from jobs.model_source import ModelOptions


@dataclass(frozen=True, kw_only=True)
class ScoreConfig(ModelOptions):
    """Score a folder of features with a published or a local model, and write Parquet.

    Answers equal those of the endpoint: same graph, same calibration, same thresholds.
    """

    features: InputPath
    """folder or URI of features, as written by jobs.fraud.features"""
    output: OutputPath
    """folder or URI to write: transaction_id, event_time, fraud_score, decision, model_version;
    complete once it holds _complete.json"""
    model: InputPath | None = None
    """folder or URI of a model; or give --registry"""
    batch_size: int = 65_536
    """number of payments scored in one batch"""
    actors: int = 2
    """number of scoring processes, each with its own copy of the model"""


def main(config: ScoreConfig) -> str:
    """Score everything; returns the folder or URI of Parquet files."""
    from jobs.fraud.scoring import score_payments

    return score_payments(config)


if __name__ == "__main__":
    run_job(ScoreConfig, main)
