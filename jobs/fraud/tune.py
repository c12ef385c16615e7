"""Search settings of both halves: `python -m jobs.fraud.tune --help`."""

from dataclasses import dataclass, field

from jobs.framework.command import run_job
from jobs.framework.paths import InputPath, OutputPath
from jobs.framework.progress import JobOptions
from lib.fraud.model.time_split import Lengths


@dataclass(frozen=True)
class TuneConfig(JobOptions):
    """Search the settings of trees and network on the newest time-forward fold.

    Neither the calibration nor the test days are looked at. Trials that lag are stopped early
    (ASHA). The same command continues a search that was cut off. The best settings go to
    OUTPUT/best.yaml, which `jobs.fraud.train --config` reads.
    """

    features: InputPath
    """folder or URI of features, as written by jobs.fraud.features"""
    output: OutputPath
    """folder or URI for the search and best.yaml; on a cluster one that all machines reach"""
    trials: int = 20
    """settings tried for each half"""
    concurrent: int = 2
    """trials that run at once"""
    cpus_per_trial: int = 1
    """cores of each trial"""
    gpus_per_trial: float = 0.0
    """GPUs of each trial"""
    trees: int = 500
    """most trees of a trial"""
    epochs: int = 30
    """most epochs of a trial"""
    report_every: int = 20
    """trees between two looks at a trial"""
    slices: Lengths = field(default_factory=Lengths)
    """the same as in training, so that the search sees training days only"""
    seed: int = 7
    """of the draws"""


def main(config: TuneConfig) -> str:
    """Search both halves; returns the path or URI of best.yaml."""
    from jobs.fraud.tuning import search_settings

    return search_settings(config)


if __name__ == "__main__":
    run_job(TuneConfig, main)
