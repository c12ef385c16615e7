"""Search settings of the models of modalities: `python -m jobs.moderation.tune --help`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jobs.cluster.admission import AUTO
from jobs.framework.command import run_job
from jobs.framework.paths import InputPath
from jobs.framework.tune_options import TuneOptions
from lib.moderation.model.split_settings import Split

Modality = Literal["text", "image", "video"]


@dataclass(frozen=True, kw_only=True)
class TuneConfig(TuneOptions):
    """Search step sizes and widths by the loss on posts of authors that a trial did not learn from.

    Only posts before the test are looked at. Trials that lag are stopped after an epoch (ASHA). The
    same command continues a search that was cut off. The best size goes to OUTPUT/best.yaml, which
    `jobs.moderation.train --size` reads.
    """

    rows: InputPath
    """folder or URI of rows, as written by jobs.moderation.preprocess with the same --size"""
    size: str = "small"
    """tiny, small, large, or a YAML file: what is searched around"""
    modalities: tuple[Modality, ...] = ("text", "image", "video")
    """whose models are searched, one after another; those of too few posts stay as they are"""
    trials: int = 12
    """settings tried for each"""
    gpus_per_trial: float = AUTO
    """GPUs of each trial; -1 takes one where the cluster has or can start as many"""
    test_share: float = 0.25
    """the same as in training, so that the search sees training posts only"""
    test_authors: float = 0.25
    """the same as in training"""
    split: Split = "author-time"
    """test on the newest posts of authors that taught nothing; author: whenever they posted; time:
    whoever posted them; random: neither, for data without authors and times"""


def main(config: TuneConfig) -> str:
    """Search; returns the path or URI of best.yaml."""
    from jobs.moderation.tuning import search_settings

    return search_settings(config)


if __name__ == "__main__":
    run_job(TuneConfig, main)
