"""Choose which posts people should label next: `python -m jobs.moderation.select --help`."""

from dataclasses import dataclass
from typing import Literal

from jobs.framework.command import run_job
from jobs.framework.paths import InputPath, OutputPath
from jobs.framework.tables import TableSources
from lib.moderation.contracts import LABELS


@dataclass(frozen=True, kw_only=True)
class SelectConfig(TableSources):
    """Choose the posts that people should label next.

    They are uncertain and diverse (BADGE), fair to rare policies, no two alike, and some are drawn
    at random so that measures on them speak for all.

    Give --scores (the output of jobs.moderation.score). The batch is written with the chance that
    each random post had to be drawn, and with --records goes to the review queue as well.
    """

    contracts = (LABELS,)

    scores: InputPath
    """folder or URI of scores, as written by jobs.moderation.score"""
    output: OutputPath
    """folder or URI for batch.parquet and batch.json"""
    count: int = 200
    """number of posts of the batch"""
    method: Literal["badge", "entropy", "margin", "random"] = "badge"
    """badge is uncertain and diverse; entropy and margin are uncertain alone"""
    random_share: float = 0.08
    """share of the batch that is drawn at random; 0.05 to 0.10 is usual"""
    quotas: tuple[str, ...] = ()
    """POLICY=SHARE of the rest for posts that lean to a policy; without any, 60% are divided evenly
    among all policies"""
    labels: InputPath | None = None
    """existing labels, whose posts are not chosen again: Parquet or CSV file, folder or URI"""
    mapping_labels: InputPath | None = None
    """YAML mapping file of --labels; not needed if the columns have the names of the contract"""
    records: str | None = None
    """database of the review queue (sqlite:///..., postgresql+psycopg://...): posts decided there
    are not chosen again, and the batch goes there for review"""
    salt: str | None = None
    """env:NAME or file:/path that holds the salt of the review queue, the same as in serving;
    without, the one that the records database keeps"""
    at: int = 0
    """time at which the posts enter the review queue, in microseconds since 1970 UTC; 0 takes the
    current time"""
    seed: int = 7
    """seed of the random numbers; the same scores and seed give the same batch"""

    def check(self) -> None:
        """See `JobOptions`."""
        from lib.review.salt import require_salt_address

        require_salt_address(self.salt)
        super().check()


def main(config: SelectConfig) -> str:
    """Choose and write; returns the path or URI of the batch."""
    from jobs.moderation.selection import select_posts

    return select_posts(config)


if __name__ == "__main__":
    run_job(SelectConfig, main)
