"""Score all posts of tables: `python -m jobs.moderation.score --help`. Meant for backfills."""

from dataclasses import dataclass

from jobs.cluster.admission import AUTO
from jobs.framework.command import run_job
from jobs.framework.paths import OutputPath
from jobs.model_source import ModelOptions
from jobs.moderation.sources import Sources

NOTE = "scores.json"


@dataclass(frozen=True, kw_only=True)
class ScoreConfig(ModelOptions, Sources):
    """Say of every post how likely it violates each policy, and what would happen to it.

    Give --model or --registry. Each actor loads the model once and reads media as a stream; broken
    media are quarantined, and their posts go to review unless another part of them decides.
    """

    output: OutputPath
    """output folder or URI (s3://, gs://, file://); on a cluster one that all nodes can access"""
    price: float = 0.0
    """price of a review beyond its cost, for scarce reviewers, in the unit of the policies'
    costs"""
    actors: int = 1
    """number of scoring processes for media, and as many for posts"""
    cpus_per_actor: int = 1
    """CPU cores of each worker process"""
    gpus_per_actor: float = AUTO
    """GPUs of each scoring process, fractions allowed; -1 takes one GPU each if the cluster has, or
    can start, one for every process, otherwise none"""
    partitions: int = 0
    """number of partitions by post; 0 chooses by size of the data and number of cores"""


def main(config: ScoreConfig) -> str:
    """Score and write; returns the folder or URI of Parquet files."""
    from jobs.moderation.batch_scoring import score_posts

    return score_posts(config)


if __name__ == "__main__":
    run_job(ScoreConfig, main)
