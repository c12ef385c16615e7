"""Add posts with known answers to the review queue: `python -m jobs.moderation.golden --help`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.framework.command import run_job
from jobs.framework.paths import InputPath
from jobs.framework.row_folder import find_row_folder
from jobs.framework.tables import TableSources
from jobs.ingestion import read_whole
from jobs.moderation.score import NOTE
from jobs.moderation.sources import read_policies
from lib.contract import ContractError
from lib.moderation.contracts import LABELS, POSTS
from lib.moderation.policies import Policies
from lib.records.database import require_database
from lib.records.review import ReviewStore
from lib.storage import open_dataset

if TYPE_CHECKING:
    from lib.moderation.review.golden_items import GoldenBatch


@dataclass(frozen=True, kw_only=True)
class GoldenConfig(TableSources):
    """Add posts whose right answers are known; the review queue mixes them in among the others.

    What a reviewer decides about them measures the reviewer and trains nothing. A post that was
    added before under the same policies stays as it is. An item asks about the policies that the
    post's labels name; posts without text, without labels, or with labels that contradict each
    other are set aside.
    """

    contracts = (POSTS, LABELS)

    posts: InputPath
    """posts with a text: Parquet or CSV file, folder or URI"""
    labels: InputPath
    """the right answers: whether a post violates a policy"""
    records: str
    """database of the service: sqlite:///path, postgresql+psycopg://..., or env:NAME or file:/path
    holding it"""
    mapping_posts: InputPath | None = None
    """YAML that maps columns to the contract; not needed where they are named as ours"""
    mapping_labels: InputPath | None = None
    """the same for labels"""
    policies: InputPath | None = None
    """YAML of the policies that the service serves; default: those that come with the product"""
    scores: InputPath | None = None
    """folder or URI of scores of these posts, as written by jobs.moderation.score; without, each
    probability is 0.5, by which a reviewer can tell a golden item"""

    def check(self) -> None:
        """See `JobOptions`."""
        require_database(self.records)
        read_policies(self.policies)
        self.check_mappings()


def main(config: GoldenConfig) -> int:
    """Build and insert; returns how many items are new.

    Raises:
        ContractError: no post is left, or the scores are of other policies.
    """
    from lib.moderation.review.golden_items import build_golden_items

    policies = read_policies(config.policies)
    posts = read_whole(config.mapping(POSTS), config.posts).to_pylist()
    labels = read_whole(config.mapping(LABELS), config.labels).to_pylist()
    batch = build_golden_items(posts, labels, policies, _probabilities(config, policies))
    if not batch.items:
        raise ContractError(_most_frequent(batch.set_aside))
    with ReviewStore(config.records) as reviews:
        reviews.migrate()
        inserted = reviews.insert_golden(batch.items)
    print(_closing_lines(batch, inserted, policies))
    return inserted


def _probabilities(config: GoldenConfig, policies: Policies) -> dict[str, dict[str, float]] | None:
    if config.scores is None:
        return None
    folder = find_row_folder(config.scores, NOTE, "--scores", "jobs.moderation.score")
    scored = Policies.model_validate(folder.read_note()["policies"])
    if scored.label != policies.label:
        raise ContractError(
            f"--scores: expected scores by the policies {policies.label}, got {scored.label}; "
            "score the posts again with the same --policies"
        )
    columns = {name: f"p_{name}" for name in policies.ids}
    dataset = open_dataset(folder.storage, "data")
    rows = dataset.to_table(columns=["post_id", *columns.values()]).to_pylist()
    return {row["post_id"]: {name: row[column] for name, column in columns.items()} for row in rows}


def _most_frequent(set_aside: Counter[str]) -> str:
    if not set_aside:
        return "--posts: no post is left to add"
    ((reason, count),) = set_aside.most_common(1)
    return f"{reason} ({count:,} of {set_aside.total():,} posts); no post is left to add"


def _closing_lines(batch: GoldenBatch, inserted: int, policies: Policies) -> str:
    counts = {
        "inserted": inserted,
        "there already": len(batch.items) - inserted,
        "set aside": batch.set_aside.total(),
    }
    lines = [f"golden items under policies {policies.label}:"]
    lines += [f"{count:>8,}  {name}" for name, count in counts.items()]
    lines += [f"    {count:>8,}  {reason}" for reason, count in batch.set_aside.most_common()]
    if batch.unmatched:
        lines.append(f"{batch.unmatched:>8,}  labels are of no post that is there")
    return "\n".join(lines)


if __name__ == "__main__":
    run_job(GoldenConfig, main)
