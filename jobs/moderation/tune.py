"""Search settings of the models of modalities: `python -m jobs.moderation.tune --help`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jobs.cluster.admission import AUTO
from jobs.framework.command import run_job
from jobs.framework.paths import InputPath, OutputPath
from jobs.framework.progress import JobOptions
from lib.moderation.model.split_settings import Split

Modality = Literal["text", "image", "video"]


@dataclass(frozen=True)
class TuneConfig(JobOptions):
    """Search step sizes and widths by the loss on posts of authors that a trial did not learn from.

    Only posts before the test are looked at. Trials that lag are stopped after an epoch (ASHA). The
    same command continues a search that was cut off. The best size goes to OUTPUT/best.yaml, which
    `jobs.moderation.train --size` reads.
    """

    rows: InputPath
    """folder or URI of rows, as written by jobs.moderation.preprocess with the same --size"""
    output: OutputPath
    """folder or URI for the search and best.yaml; on a cluster one that all machines reach"""
    size: str = "small"
    """tiny, small, large, or a YAML file: what is searched around"""
    modalities: tuple[Modality, ...] = ("text", "image", "video")
    """whose models are searched, one after another; those of too few posts stay as they are"""
    trials: int = 12
    """settings tried for each"""
    concurrent: int = 2
    """trials that run at once"""
    cpus_per_trial: int = 1
    """cores of each trial"""
    gpus_per_trial: float = AUTO
    """GPUs of each trial; -1 takes one where the cluster has or can start as many"""
    test_share: float = 0.25
    """the same as in training, so that the search sees training posts only"""
    test_authors: float = 0.25
    """the same as in training"""
    split: Split = "author-time"
    """test on the newest posts of authors that taught nothing; author: whenever they posted; time:
    whoever posted them; random: neither, for data without authors and times"""
    seed: int = 7
    """of the draws"""


def main(config: TuneConfig) -> str:
    """Search; returns the path or URI of best.yaml."""
    from jobs.moderation.tuning import search_settings

    return search_settings(config)


if __name__ == "__main__":
    run_job(TuneConfig, main)
