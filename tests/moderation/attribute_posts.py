"""Simulated posts with columns that the contract does not have; some tell violations by design."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lib.feature.attributes import Attribute
from lib.moderation.contracts import POSTS

ATTRIBUTES = (
    Attribute("group", "category", words="group that the post is in"),
    Attribute("account_age", "number", unit="days", words="age of the account", low=0, high=36500),
    Attribute("emulated", "flag", words="sent by an emulated device"),
    Attribute("channel", "category"),
    Attribute("tilt", "number"),
)
"""As a mapping file declares them; not frozen."""
FEATURES = ("group_code", "account_age", "emulated", "channel_code", "tilt")
_GROUPS, _CHANNELS = ("chess", "garden", "market", "politics"), 60


def with_attributes(posts: pa.Table, violating: set[str], seed: int = 3) -> pa.Table:
    """Posts with attributes: violations come from young accounts, emulators and some channels.

    `group` holds a value that is rare, `channel` too many for codes of their own, `tilt` nothing.

    Args:
        posts: as their contract has them.
        violating: ids of posts that violate a policy.
        seed: of the draws.
    """
    draw, count = np.random.default_rng(seed), posts.num_rows
    bad = np.array([name in violating for name in posts["post_id"].to_pylist()])
    groups = np.array(_GROUPS, dtype=object)[
        np.where(bad & (draw.random(count) < 0.7), 3, draw.integers(0, 4, count))
    ]
    groups[draw.random(count) < 0.05] = None
    groups[0] = "rare"
    age = np.exp(np.where(bad, draw.normal(2.0, 1.2, count), draw.normal(6.0, 1.2, count)))
    channels = np.where(
        bad & (draw.random(count) < 0.6),
        draw.integers(0, 12, count),
        draw.integers(0, _CHANNELS, count),
    )
    columns = {
        "group": pa.array(groups.tolist(), pa.string()),
        "account_age": pa.array(np.minimum(age, 36500.0), mask=draw.random(count) < 0.1),
        "emulated": pa.array(
            draw.random(count) < np.where(bad, 0.4, 0.05), mask=draw.random(count) < 0.1
        ),
        "channel": pa.array([f"channel {k}" for k in channels.tolist()]),
        "tilt": pa.array(draw.normal(0.0, 1e-3, count) ** 3),
    }
    for name, values in columns.items():
        posts = posts.append_column(name, values)
    return posts


def violating_posts(labels: pa.Table) -> set[str]:
    """Ids of the posts that violate a policy that the smallest models hardly see."""
    hidden = pc.is_in(labels["policy"], value_set=pa.array(["prohibited_item", "contextual"]))
    return set(labels.filter(pc.and_(labels["violates"], hidden))["post_id"].to_pylist())


def write_posts(
    dataset: Path, folder: Path, *, seed: int = 3, tells: bool = True
) -> dict[str, str]:
    """Posts with attributes and their mapping file, and the options of jobs that name them.

    Args:
        dataset: folder of `jobs.moderation.simulate`.
        folder: for the files.
        seed: of the draws.
        tells: whether attributes tell violations.
    """
    folder.mkdir(parents=True, exist_ok=True)
    labels = pq.read_table(dataset / "labels.parquet")
    violating = violating_posts(labels) if tells else set()
    posts = with_attributes(pq.read_table(dataset / "posts.parquet"), violating, seed)
    # as another system calls them, and writes its flags
    posts = posts.rename_columns(
        ["GROUP" if name == "group" else name for name in posts.column_names]
    )
    emulated = pc.if_else(posts["emulated"], "Y", "N")
    posts = posts.set_column(posts.column_names.index("emulated"), "emulated", emulated)
    pq.write_table(posts, folder / "posts.parquet")
    (folder / "posts.yaml").write_text(mapping())
    return {"posts": str(folder / "posts.parquet"), "mapping_posts": str(folder / "posts.yaml")}


def mapping(attributes: str = "") -> str:
    """A mapping file of posts with attributes, unless others are given.

    Args:
        attributes: lines under `attributes`.
    """
    entries = [f"  {name}: {{from: {name}}}" for name in POSTS.names]
    own = attributes or "\n".join(
        [
            "  group: {from: GROUP, type: category, words: group that the post is in}",
            "  account_age: {from: account_age, type: number, unit: days, low: 0, high: 36500,"
            " words: age of the account}",
            "  emulated: {from: emulated, type: flag, values: {Y: 'true', N: 'false'},"
            " words: sent by an emulated device}",
            "  channel: {from: channel, type: category}",
            "  tilt: {from: tilt, type: number}",
        ]
    )
    return "\n".join(["contract: posts", "attributes:", own, "columns:", *entries, ""])
