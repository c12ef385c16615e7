"""Search settings of the churn model's trees: `python -m jobs.churn.tune --help`."""

from dataclasses import dataclass

from jobs.framework.command import run_job
from jobs.framework.paths import InputPath
from jobs.framework.training_options import TuneOptions


@dataclass(frozen=True, kw_only=True)
class TuneConfig(TuneOptions):
    """Search the settings by average precision on customers that the trial's folds did not see.

    Only rows before the test times are used. Trials that lag are stopped after a fold
    (ASHA). The same command continues a search that was cut off. The best settings go to
    OUTPUT/best.yaml, which `jobs.churn.train --config` reads.
    """

    features: InputPath
    """folder or URI of rows, as written by jobs.churn.features"""
    test_share: float = 0.25
    """share of the snapshot times, the newest, that the test covers; use the value of the training,
    so that the search uses training rows only"""


def main(config: TuneConfig) -> str:
    """Search; returns the path or URI of best.yaml."""
    from jobs.churn.tuning import search_settings

    return search_settings(config)


if __name__ == "__main__":
    run_job(TuneConfig, main)
