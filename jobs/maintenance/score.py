"""Score machines: `python -m jobs.maintenance.score --help`."""

from dataclasses import dataclass

from jobs.framework.command import run_job
from jobs.maintenance.sources import Sources
from jobs.model_source import ModelOptions
from jobs.static_table.delegation import run_static_table


@dataclass(frozen=True, kw_only=True)
class ScoreConfig(ModelOptions, Sources):
    """Say for every machine when it will fail: chances, survival curves, mode, drivers.

    Listed machines without readings get the usual risk of the training data. Give --model or
    --registry. A table without times: --static TABLE, see jobs.static_table.score.
    """

    at: str | None = None
    """time for which the predictions are computed, ISO 8601 in UTC; default: time of the newest
    reading"""
    explain: bool = True
    """compute the drivers of each risk"""


def main(config: ScoreConfig) -> str:
    """Score and write; returns the folder or URI of Parquet files."""
    from jobs.maintenance.scoring import score_machines

    return score_machines(config)


if __name__ == "__main__":
    run_static_table("maintenance", "score")
    run_job(ScoreConfig, main)
