"""Compose posts from pieces of known kinds: `python -m jobs.moderation.simulate --help`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from jobs.framework.command import run_job
from jobs.framework.paths import InputPath, LocalOutput, make_output
from jobs.framework.progress import JobOptions
from lib.contract import TIME, ContractError, utc_us, write_parquet
from lib.durable import make_private
from lib.moderation.contracts import LABELS, MEDIA, POSTS
from lib.moderation.model.outputs import Ints, Presence
from lib.moderation.synthetic.composing import COMPOSED_POLICIES, Composed, Recipe, compose
from lib.moderation.synthetic.pieces import Pieces, split_rows
from lib.moderation.synthetic.simulated import SIMULATED_RECIPE, simulated_pieces
from lib.moderation.synthetic.source_media import encoded_clip, encoded_image, read_source_media

_HOUR_US = 3_600_000_000
_ROWS_AT_ONCE = 64
_NEWER = 0.25
_WORDS = {
    "hate": "Attacks people for what they are; composed from texts of that kind.",
    "offensive": "Insults; composed from texts of that kind.",
    "violence": "Shows people fighting; composed from clips of that kind.",
    "prohibited_item": "Shows an item that may not be offered; composed from images of such kinds.",
    "contextual": "Neither the text nor the image violates, but the two together do.",
}


@dataclass(frozen=True)
class Simulate(JobOptions):
    """Compose posts of texts, images and clips, labelled by what they were composed of.

    Without --pieces all pieces are generated. The newest quarter of the posts is composed of pieces
    that no older post has, so that a test on it is honest. Labels are those of the composition,
    without errors of labellers.
    """

    output: LocalOutput
    """folder for posts, media and labels (.parquet), and policies.yaml"""
    posts: int = 2000
    """number of posts"""
    pieces: InputPath | None = None
    """YAML that says in which Parquet files texts, images and clips of known kinds lie; without it
    they are generated"""
    texts: int = 600
    """number of generated texts"""
    images: int = 600
    """number of generated images"""
    clips: int = 120
    """number of generated clips"""
    authors: int = 0
    """number of authors; 0 takes one for every third post"""
    days: int = 60
    """days over which the posts are spread"""
    start: str = "2026-01-01"
    """first day, YYYY-MM-DD, midnight UTC"""
    labelled: float = 1.0
    """share of the posts that people have judged, by all policies"""
    seed: int = 1
    """the same seed and options give the same files"""


def main(options: Simulate) -> int:
    """Write the files; returns how many posts there are."""
    _refuse_bad_options(options)
    make_output(options.output)
    if options.pieces is None:
        pieces = simulated_pieces(options.texts, options.images, options.clips, options.seed)
        recipe = SIMULATED_RECIPE
    else:
        pieces, recipe = read_source_media(options.pieces)
    composed = _composed(pieces, recipe, options)
    rng = np.random.default_rng((options.seed, 1))
    posts = _posts(options, composed, pieces, rng)
    paths = {
        "posts": write_parquet(posts, options.output / "posts.parquet"),
        "media": _write_media(composed, pieces, posts, options.output / "media.parquet"),
        "labels": write_parquet(
            _labels(options, composed, posts, rng), options.output / "labels.parquet"
        ),
    }
    policies = options.output / "policies.yaml"
    policies.write_text(policies_text(), encoding="utf-8")
    origin = "simulated" if options.pieces is None else "composed of real pieces"
    for name, path in paths.items():
        print(f"{name:10}{pq.ParquetFile(path).metadata.num_rows:>12,}  {path}  ({origin})")
    print(f"{'policies':10}{len(COMPOSED_POLICIES):>12,}  {policies}")
    return len(composed)


def _composed(pieces: Pieces, recipe: Recipe, options: Simulate) -> Composed:
    """Older posts of most pieces, newer ones of the others; places count over all pieces."""
    older, newer = split_rows(pieces, (1.0 - _NEWER, _NEWER), options.seed)
    later = round(_NEWER * options.posts)
    parts: list[Composed] = []
    for k, (rows, count) in enumerate([(older, options.posts - later), (newer, later)]):
        if count:
            part = compose(pieces.take(*rows), count, recipe, options.seed + k)
            places = zip(rows, (part.text, part.image, part.clip), strict=True)
            # -1, which is none, stays the last
            among_all = [np.append(own, -1)[indices] for own, indices in places]
            parts.append(Composed(*among_all, part.presence, part.targets))
    return Composed(
        *(np.concatenate([getattr(part, name) for part in parts])
          for name in ("text", "image", "clip", "presence", "targets"))
    )  # fmt: skip


def policies_text() -> str:
    """The policies that composed posts are labelled for, as YAML."""
    policies = [
        {
            "id": name,
            "description": _WORDS[name],
            "severity": 3,
            "version": 1,
            "costs": {"wrong_removal": 8.0, "missed_violation": 8.0, "review": 2.0},
        }
        for name in COMPOSED_POLICIES
    ]
    return yaml.safe_dump({"version": 1, "policies": policies}, sort_keys=False)


def _refuse_bad_options(options: Simulate) -> None:
    for name in ("posts", "texts", "images", "clips", "days"):
        if getattr(options, name) < 1:
            raise ContractError(f"--{name}: expected 1 or more, got {getattr(options, name)}")
    if not 0.0 <= options.labelled <= 1.0:
        raise ContractError(f"--labelled: expected 0 to 1, got {options.labelled}")


def _posts(
    options: Simulate, composed: Composed, pieces: Pieces, rng: np.random.Generator
) -> pa.Table:
    """In order of time; few authors post much, as everywhere."""
    count = len(composed)
    authors = options.authors or max(1, count // 3)
    weights = 1.0 / (np.arange(authors) + 3.0)
    author_indices = rng.choice(authors, count, p=weights / weights.sum())
    start = datetime.fromisoformat(options.start)
    first = utc_us(start.year, start.month, start.day)
    at_us = np.sort(first + rng.integers(0, options.days * 24 * _HOUR_US, count))
    texts = [pieces.texts[k] if k >= 0 else None for k in composed.text.tolist()]
    return pa.table(
        {
            "post_id": [f"post-{k:07d}" for k in range(count)],
            "author_id": [f"author-{k:05d}" for k in author_indices.tolist()],
            "event_time": pa.array(at_us).cast(TIME),
            "known_at": pa.array(at_us).cast(TIME),
            "text": pa.array(texts, pa.string()),
            "language": pa.array(["en" if text else None for text in texts], pa.string()),
            "reports": pa.array(rng.poisson(0.2 + composed.targets.sum(axis=1))),
            "reach": pa.array(np.round(rng.lognormal(4.0, 2.0, count)).astype(np.int64)),
        },
        schema=POSTS.schema,
    )


def _write_media(composed: Composed, pieces: Pieces, posts: pa.Table, path: Path) -> Path:
    """Row by row to one file, so that memory does not grow with the posts."""
    rows = _media_rows(composed, pieces, posts["post_id"].to_pylist())
    make_private(path)
    with pq.ParquetWriter(path, MEDIA.schema, compression="none") as writer:
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            writer.write_table(pa.Table.from_pylist(some, schema=MEDIA.schema))
    return path


def _media_rows(composed: Composed, pieces: Pieces, names: list[str]) -> Iterator[dict[str, Any]]:
    """Images and clips; those that are to fail are cut in the middle."""
    cache: dict[tuple[str, int], bytes] = {}
    for row, name in enumerate(names):
        for column, kind, indices in ((1, "image", composed.image), (2, "video", composed.clip)):
            index = int(indices[row])
            if index < 0:
                continue
            content = cache.get((kind, index))
            if content is None:
                content = cache[kind, index] = _encoded(pieces, kind, index)
            if composed.presence[row, column] == Presence.FAILED:
                content = content[: len(content) // 2]
            yield {"post_id": name, "kind": kind, "place": 0, "content": content, "uri": None}


def _encoded(pieces: Pieces, kind: str, index: int) -> bytes:
    if kind == "image":
        return encoded_image(pieces.images[index])
    return encoded_clip(pieces.clips[index])


def _labels(
    options: Simulate, composed: Composed, posts: pa.Table, rng: np.random.Generator
) -> pa.Table:
    """One label for each policy of the posts that were judged, some hours after posting."""
    count, policies = composed.targets.shape
    rows: Ints = np.flatnonzero(rng.random(count) < options.labelled)
    at_us = posts["event_time"].cast(pa.int64()).to_numpy()[rows]
    judged = at_us + rng.integers(_HOUR_US, 48 * _HOUR_US, len(rows))
    times = pa.array(np.repeat(judged, policies)).cast(TIME)
    people = np.repeat(rng.integers(0, 12, len(rows)), policies)
    return pa.table(
        {
            "post_id": posts["post_id"].take(pa.array(np.repeat(rows, policies))).combine_chunks(),
            "policy": pa.array(list(COMPOSED_POLICIES) * len(rows), pa.string()),
            "violates": pa.array(composed.targets[rows].ravel() >= 0.5),
            "by": pa.array([f"moderator-{k:02d}" for k in people.tolist()]),
            "event_time": times,
            "known_at": times,
            "policy_version": pa.array([1] * len(times)),
        },
        schema=LABELS.schema,
    )


if __name__ == "__main__":
    run_job(Simulate, main)
