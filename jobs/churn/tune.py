"""Search settings of the churn model's trees: `python -m jobs.churn.tune --help`."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.framework.command import run_job
from jobs.framework.paths import InputPath, OutputPath
from jobs.framework.progress import JobOptions


@dataclass(frozen=True)
class TuneConfig(JobOptions):
    """Search the settings by average precision on customers that the trial's folds did not see.

    Only rows before the test moments are looked at. Trials that lag are stopped after a fold
    (ASHA). The same command continues a search that was cut off. The best settings go to
    OUTPUT/best.yaml, which `jobs.churn.train --config` reads.
    """

    features: InputPath
    """folder or URI of rows, as written by jobs.churn.features"""
    output: OutputPath
    """folder or URI for the search and best.yaml; on a cluster one that all machines reach"""
    trials: int = 20
    """settings tried"""
    concurrent: int = 2
    """trials that run at once"""
    cpus_per_trial: int = 1
    """cores of each trial"""
    test_share: float = 0.25
    """the same as in training, so that the search sees training moments only"""
    seed: int = 7
    """of the draws"""


def main(config: TuneConfig) -> str:
    """Search; returns the path or URI of best.yaml."""
    from jobs.churn.tuning import search_settings

    return search_settings(config)


if __name__ == "__main__":
    run_job(TuneConfig, main)
