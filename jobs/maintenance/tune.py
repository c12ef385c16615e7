"""Search settings of the survival network: `python -m jobs.maintenance.tune --help`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jobs.framework.command import run_job
from jobs.framework.paths import InputPath
from jobs.framework.tune_options import TuneOptions


@dataclass(frozen=True, kw_only=True)
class TuneConfig(TuneOptions):
    """Search the settings of the survival network by its Brier score on machines it did not see.

    Only the days before the test share are looked at. Trials that lag are stopped after a fold
    (ASHA). The same command continues a search that was cut off. The best settings go to
    OUTPUT/best.yaml, which `jobs.maintenance.train --config` reads.
    """

    features: InputPath
    """folder or URI of rows, as written by jobs.maintenance.features"""
    gpus_per_trial: float = 0.0
    """GPUs of each trial"""
    epochs: int = 25
    """most epochs of a trial"""
    folds: int = 4
    """folds by machine that a trial is judged on"""
    horizon_hours: float = 1440.0
    """as in training"""
    test_share: float = 0.3
    """the same as in training, so that the search sees training days only"""
    preventive: Literal["censor", "ignore"] = "censor"
    """the same as in training"""
    most_rows: int = 20_000
    """rows of one fit; more are thinned at random"""


def main(config: TuneConfig) -> str:
    """Search; returns the path or URI of best.yaml."""
    from jobs.maintenance.tuning import search_settings

    return search_settings(config)


if __name__ == "__main__":
    run_job(TuneConfig, main)
