"""Search settings of the models of modalities: `python -m jobs.moderation.tune --help`."""

from dataclasses import dataclass
from typing import Literal

from jobs.cluster.admission import AUTO
from jobs.framework.command import run_job
from jobs.framework.paths import InputPath
from jobs.framework.training_options import TuneOptions
from lib.moderation.model.model_config import Split

Modality = Literal["text", "image", "video"]


@dataclass(frozen=True, kw_only=True)
class TuneConfig(TuneOptions):
    """Search step sizes and widths by the loss on posts of authors that a trial did not learn from.

    Only posts before the test are used. Trials that lag are stopped after an epoch (ASHA). The
    same command continues a search that was cut off. The best size goes to OUTPUT/best.yaml, which
    `jobs.moderation.train --size` reads.
    """

    rows: InputPath
    """folder or URI of rows, as written by jobs.moderation.preprocess with the same --size"""
    size: str = "small"
    """base size of the search: tiny, small, large, or a YAML file"""
    modalities: tuple[Modality, ...] = ("text", "image", "video")
    """modalities whose models are searched, in order; those with too few posts keep their
    settings"""
    trials: int = 12
    """number of trials (combinations of settings) for each modality"""
    gpus_per_trial: float = AUTO
    """GPUs of each trial; -1 takes one GPU each if the cluster has, or can start, one for every
    trial, otherwise none"""
    test_share: float = 0.25
    """share of the labelled posts, the newest, that the test covers; use the value of the training,
    so that the search uses training posts only"""
    test_authors: float = 0.25
    """share of the authors held out for the test, 0 to 1; use the value of the training"""
    split: Split = "author-time"
    """choice of the test posts: author-time, the newest posts of authors outside the training;
    author, all posts of such authors; time, the newest posts of all authors; random, for data
    without authors and times"""


def main(config: TuneConfig) -> str:
    """Search; returns the path or URI of best.yaml."""
    from jobs.moderation.tuning import search_settings

    return search_settings(config)


if __name__ == "__main__":
    run_job(TuneConfig, main)
