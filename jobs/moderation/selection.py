"""Choice of the posts that people should label next."""

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from jobs.framework.row_folder import find_row_folder
from jobs.ingestion import read_whole
from jobs.moderation.score import NOTE
from jobs.moderation.select import SelectConfig
from jobs.moderation.sources import Sources
from lib.contract import ContractError
from lib.declaration import did_you_mean
from lib.moderation.active_learning.pool import Pool
from lib.moderation.active_learning.selection import Selection, SelectionSettings, select_batch
from lib.moderation.contracts import LABELS
from lib.moderation.policies import Policies
from lib.moderation.review.items import Doubt
from lib.moderation.review.queue import PostReviewQueue
from lib.records.review import ReviewStore
from lib.review.salt import read_salt
from lib.review.settings import ReviewSettings
from lib.storage import open_dataset, open_storage, write_parquet

_MOST_QUOTA = 0.6


@dataclass(frozen=True)
class Scored:
    """Scored posts.

    Attributes:
        table: rows of scores, by post.
        policies: by which they were scored.
        version: of the model.
    """

    table: pa.Table
    policies: Policies
    version: str
    known: frozenset[str] = field(default_factory=frozenset)

    @property
    def labelled(self) -> Any:
        """(n,) whether people have decided a post before."""
        return np.array(
            [post_id in self.known for post_id in self.table["post_id"].to_pylist()], dtype=bool
        )

    def pool(self) -> Pool:
        """What selection chooses from."""
        count = self.table.num_rows
        flat = self.table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        probabilities = [self.table[f"p_{name}"].to_numpy() for name in self.policies.ids]
        return Pool(
            embeddings=np.asarray(flat, dtype=np.float32).reshape(count, -1),
            probabilities=np.stack(probabilities, axis=1),
            exclusive=False,
            labelled=self.labelled,
            keys=_keys(self.table),
        )


def select_posts(config: SelectConfig) -> str:
    """Choose and write; returns the path or URI of the batch."""
    scored = find_scores(config)
    settings = SelectionSettings(
        method=config.method,
        random_share=config.random_share,
        quotas=quotas_of(config.quotas, scored.policies),
    )
    chosen = select_batch(scored.pool(), config.count, config.seed, settings)
    if not len(chosen.rows):
        raise ContractError("--scores: every post is labelled already; there is nothing to choose")
    batch = batch_table(scored, chosen)
    output = open_storage(config.output)
    path = write_parquet(batch, output, "batch.parquet")
    admitted = None if config.records is None else _admit(config, scored, chosen)
    note = {
        "posts": batch.num_rows,
        "random": int(chosen.random.sum()),
        "pool": scored.table.num_rows,
        "labelled": int(scored.labelled.sum()),
        "model_version": scored.version,
        "method": config.method,
        "seed": config.seed,
        "leaning": dict(
            sorted(Counter(name or "nothing" for name in batch["leans_to"].to_pylist()).items())
        ),
        "admitted": admitted,
    }
    output.write("batch.json", json.dumps(note, indent=2).encode())
    print(closing_lines(note, path, config))
    return path


def find_scores(config: SelectConfig) -> Scored:
    """The scores of a folder, and which posts are labelled.

    Raises:
        ContractError: it is not the output of jobs.moderation.score.
    """
    folder = find_row_folder(config.scores, NOTE, "--scores", "jobs.moderation.score")
    storage, note = folder.storage, folder.read_note()
    table = open_dataset(storage, "data").to_table().sort_by("post_id")
    policies = Policies.model_validate(note["policies"])
    labelled_ids: set[str] = set()
    if config.labels is not None:
        labelled_ids |= labelled_posts(config.labels, config.mapping_labels)
    if config.records is not None:
        with ReviewStore(config.records) as reviews:
            reviews.migrate()
            labelled_ids |= {label.post_id for label in reviews.iterate_labels()}
    return Scored(table, policies, str(note["model_version"]), frozenset(labelled_ids))


def quotas_of(quotas: tuple[str, ...], policies: Policies) -> dict[int, float]:
    """Shares by column of a policy.

    Raises:
        ContractError: one is not POLICY=SHARE, or names no policy.
    """
    ids = policies.ids
    if not quotas:
        return dict.fromkeys(range(len(ids)), _MOST_QUOTA / len(ids))
    shares: dict[int, float] = {}
    for quota in quotas:
        name, mark, share = quota.partition("=")
        try:
            value = float(share)
        except ValueError:
            mark, value = "", 0.0
        if not mark:
            raise ContractError(f"--quotas: expected POLICY=SHARE such as hate=0.2, got {quota!r}")
        if name not in ids:
            raise ContractError(
                f"--quotas: expected one of {', '.join(ids)}, got {name!r}; "
                f"{did_you_mean(name, ids)}"
            )
        shares[ids.index(name)] = value
    return shares


def batch_table(scored: Scored, chosen: Selection) -> pa.Table:
    """The batch in the order of choice."""
    rows = pa.array(chosen.rows)
    names = [name for name in scored.table.column_names if name not in ("embedding", "text_key")]
    table = scored.table.select(names).take(rows)
    leaning = scored.pool().leaning[chosen.rows]
    ids = scored.policies.ids
    lean = [ids[k] if k >= 0 else None for k in leaning.tolist()]
    nan = np.isnan(chosen.propensity)
    return (
        table.append_column("random", pa.array(chosen.random))
        .append_column("propensity", pa.array(chosen.propensity, mask=nan))
        .append_column("leans_to", pa.array(lean, pa.string()))
    )


def closing_lines(note: dict[str, Any], path: str, config: SelectConfig) -> str:
    """What was chosen, and where it lies."""
    leaning = ", ".join(f"{count:,} {name}" for name, count in note["leaning"].items())
    queue = (
        "not asked for" if note["admitted"] is None else f"{note['admitted']:,} new in the queue"
    )
    return "\n".join(
        [
            f"{note['posts']:,} of {note['pool']:,} posts ({note['labelled']:,} labelled already): "
            f"{note['random']:,} at random, the others by {config.method}; they lean to {leaning}",
            f"review: {queue}",
            f"batch:  {path}",
        ]
    )


def labelled_posts(labels: str, mapping: str | None) -> set[str]:
    """Ids of the posts that a table of labels is about; see `SelectConfig.labels`."""
    source = Sources(labels=labels, mapping_labels=mapping).mapping(LABELS)
    return set(read_whole(source, labels, may_be_empty=True)["post_id"].to_pylist())


def _keys(table: pa.Table) -> Any:
    """Equal where texts are, of posts that have nothing but a text; embeddings tell the others."""
    keys = table["text_key"].to_numpy().copy()
    alone = np.ones(table.num_rows, dtype=bool)
    for name in ("image", "video"):
        alone &= table[f"{name}_presence"].to_numpy() == 0
    keys[~alone] = -1
    return keys


def _admit(config: SelectConfig, scored: Scored, chosen: Selection) -> int:
    """The batch into the review queue; returns how many are new there."""
    settings = ReviewSettings(salt=read_salt(config.salt))
    now = config.at or time.time_ns() // 1000
    rows = scored.table.take(pa.array(chosen.rows)).drop_columns(["embedding"]).to_pylist()
    drawn = zip(rows, chosen.random.tolist(), chosen.propensity.tolist(), strict=True)
    doubts = [
        _doubt(row, scored, {"selected": "random", "propensity": probability})
        if is_random
        else _doubt(row, scored, {"selected": config.method})
        for row, is_random, probability in drawn
    ]
    with ReviewStore(str(config.records)) as reviews:
        queue = PostReviewQueue(reviews, settings)
        return queue.admit_posts(doubts, now, actor="jobs.moderation.select")


def _doubt(row: dict[str, Any], scored: Scored, details: dict[str, Any]) -> Doubt:
    policies = scored.policies
    worst = max(policies.policies, key=lambda policy: row[f"p_{policy.id}"] * policy.severity)
    return Doubt(
        post_id=row["post_id"],
        policies={name: float(row[f"p_{name}"]) for name in policies.ids},
        severity=worst.severity,
        reach=int(row["reach"] or 0),
        policy_version=policies.label,
        model_version=scored.version,
        shown=details,
        language=row["language"],
    )
