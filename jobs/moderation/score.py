"""Score all posts of tables: `python -m jobs.moderation.score --help`. Meant for backfills."""

from __future__ import annotations

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

    Give --model or --registry. Each actor loads the model once and takes media as they stream by;
    broken media are quarantined, and their posts go to people unless something else decides.
    """

    output: OutputPath
    """folder or URI (s3://, gs://, file://) to write; on a cluster one that all machines reach"""
    price: float = 0.0
    """of a review beyond its cost, where reviewers are scarce"""
    actors: int = 1
    """processes that answer about media; as many again about posts"""
    cpus_per_actor: int = 1
    """cores of each"""
    gpus_per_actor: float = AUTO
    """GPUs of each, or a part of one; -1 takes one where the cluster has or can start as many"""
    partitions: int = 0
    """blocks that posts are spread over; 0 chooses by size and cores"""


def main(config: ScoreConfig) -> str:
    """Score and write; returns the folder or URI of Parquet files."""
    from jobs.moderation.batch_scoring import score_posts

    return score_posts(config)


if __name__ == "__main__":
    run_job(ScoreConfig, main)
