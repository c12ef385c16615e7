"""Search settings of the survival network: `python -m jobs.maintenance.tune --help`."""

from dataclasses import dataclass
from typing import Literal

from jobs.framework.command import run_job
from jobs.framework.training_options import NetworkTuneOptions


@dataclass(frozen=True, kw_only=True)
class TuneConfig(NetworkTuneOptions):
    """Search the settings of the survival network by its Brier score on machines it did not see.

    Only the days before the test share are used. Trials that lag are stopped after a fold
    (ASHA). The same command continues a search that was cut off. The best settings go to
    OUTPUT/best.yaml, which `jobs.maintenance.train --config` reads.
    """

    folds: int = 4
    """number of cross-validation folds, grouped by machine, of a trial"""
    horizon_hours: float = 1440.0
    """horizon of the survival curves in hours; use the value of the training"""
    test_share: float = 0.3
    """share of the time, the newest, that the test covers; use the value of the training, so that
    the search uses training days only"""
    preventive: Literal["censor", "ignore"] = "censor"
    """effect of a planned service on the time to failure; use the value of the training"""
    most_rows: int = 20_000
    """maximum number of rows of one fit; a random sample if there are more"""


def main(config: TuneConfig) -> str:
    """Search; returns the path or URI of best.yaml."""
    from jobs.maintenance.tuning import search_settings

    return search_settings(config)


if __name__ == "__main__":
    run_job(TuneConfig, main)
