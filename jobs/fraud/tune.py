"""Search settings of both halves: `python -m jobs.fraud.tune --help`."""

from dataclasses import dataclass, field

from jobs.framework.command import run_job
from jobs.framework.training_options import NetworkTuneOptions
from lib.fraud.model.time_split import Lengths


@dataclass(frozen=True, kw_only=True)
class TuneConfig(NetworkTuneOptions):
    """Search the settings of trees and network on the newest time-forward fold.

    Neither the calibration nor the test days are used. Trials that lag are stopped early
    (ASHA). The same command continues a search that was cut off. The best settings go to
    OUTPUT/best.yaml, which `jobs.fraud.train --config` reads.
    """

    trials: int = 20
    """number of trials (combinations of settings) for the trees and for the network each"""
    trees: int = 500
    """maximum number of trees of a trial"""
    epochs: int = 30
    """maximum number of epochs of a trial"""
    report_every: int = 20
    """number of trees between two evaluations of a trial"""
    slices: Lengths = field(default_factory=Lengths)
    """lengths of the training, calibration and test slices, in days; use the value of the training,
    so that the search uses training days only"""


def main(config: TuneConfig) -> str:
    """Search both halves; returns the path or URI of best.yaml."""
    from jobs.fraud.tuning import search_settings

    return search_settings(config)


if __name__ == "__main__":
    run_job(TuneConfig, main)
