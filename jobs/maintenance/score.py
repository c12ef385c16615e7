"""Score machines: `python -m jobs.maintenance.score --help`."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.framework.command import run_job
from jobs.framework.paths import InputPath
from jobs.maintenance.sources import (
    Sources,
)
from jobs.model_source import check_model


@dataclass(frozen=True, kw_only=True)
class ScoreConfig(Sources):
    """Say for every machine when it will fail: chances, survival curves, mode, drivers.

    Machines that are listed and never read are answered, too: by what is usual in training. Give
    --model or --registry.
    """

    at: str | None = None
    """moment to score at, ISO 8601 in UTC; default: the newest reading of all"""
    model: InputPath | None = None
    """folder or URI of a model"""
    registry: InputPath | None = None
    """directory or URI of the model registry"""
    version: str = "champion"
    """version or alias in the registry"""
    explain: bool = True
    """say what drives each risk"""

    def check(self) -> None:
        """See `JobOptions`."""
        check_model(self.model, self.registry)
        super().check()


def main(config: ScoreConfig) -> str:
    """Score and write; returns the folder or URI of Parquet files."""
    from jobs.maintenance.scoring import score_machines

    return score_machines(config)


if __name__ == "__main__":
    run_job(ScoreConfig, main)
