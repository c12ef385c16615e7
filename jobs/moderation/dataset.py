"""Rows that `jobs.moderation.preprocess` wrote, as models learn from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from numpy.typing import NDArray

from jobs.framework.row_folder import find_row_folder
from jobs.moderation.media_decoding import DecodeSpec
from jobs.moderation.preprocess import NOTE
from jobs.moderation.preprocessing import words_of
from jobs.moderation.training_config import TrainConfig
from jobs.moderation.tune import TuneConfig
from lib.contract import ContractError
from lib.feature.attribute_values import AttributeValue
from lib.feature.attributes import Attribute, read_attributes, write_attributes
from lib.moderation.model.attribute_training import AttributeSamples
from lib.moderation.model.inputs import Marks
from lib.moderation.model.model_config import ModelConfig
from lib.moderation.model.outputs import Floats, Ints, Pixels, Presence
from lib.moderation.model.splits import PostSplit, split_authors, split_posts
from lib.moderation.model.tokens import Tokens
from lib.moderation.policies import Policies
from lib.moderation.post import MODALITIES
from lib.moderation.post_attributes import attribute_rows, features_of, frozen_attributes
from lib.monitoring.request_columns import value_at
from lib.storage import Storage, open_dataset, open_storage, split_address

_AT_ONCE = 128

_MEDIA = {"image": "images", "video": "video"}
"""Names of media in requests, by modality."""


@dataclass(frozen=True)
class PreparedDataset:
    """Posts in memory, and where their media lie.

    Attributes:
        posts: the rows, by `post_id`.
        folder: address of the rows.
        note: what was read, and of what shape media are.
    """

    posts: pa.Table
    folder: str
    note: dict[str, Any]

    def __len__(self) -> int:
        return self.posts.num_rows

    @property
    def policies(self) -> Policies:
        """In the order of targets."""
        return Policies.model_validate(self.note["policies"])

    @property
    def fingerprint(self) -> str:
        """Of the files that the rows were made of."""
        return str(self.note["data_fingerprint"])

    @property
    def targets(self) -> Floats:
        """Shares (n, policies) of people who say that a post violates; NaN unknown."""
        column = self.posts["targets"].combine_chunks()
        flat = column.flatten().to_numpy(zero_copy_only=False)
        return np.asarray(flat, dtype=np.float64).reshape(len(self), -1)

    @property
    def presence(self) -> Marks:
        """(n, modalities), see `Presence`."""
        columns = [self.posts[f"{name}_presence"].to_numpy() for name in MODALITIES]
        return np.stack(columns, axis=1).astype(np.int8)

    @property
    def at_us(self) -> Ints:
        """(n,) when they were posted, microseconds since 1970, UTC."""
        return np.asarray(self.posts["event_time"].cast(pa.int64()).to_numpy())

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """Attributes of the posts, as their mapping declares them; not frozen."""
        return read_attributes(self.attribute_entries)

    @property
    def attribute_entries(self) -> list[dict[str, Any]]:
        """The same as plain JSON values."""
        return list(self.note.get("attributes", ()))

    def reading(self, attributes: Sequence[Attribute]) -> PreparedDataset:
        """The same posts with the attributes of a model, whose vocabularies are learnt anew.

        Raises:
            ContractError: the posts lack one, or have it of another type.
        """
        own = {each.name: each.type for each in self.attributes}
        for each in attributes:
            if own.get(each.name) != each.type:
                raise ContractError(
                    f"attribute '{each.name}': expected type {each.type}, as the model reads it, "
                    f"got {own.get(each.name, 'no such attribute')}; declare it in the mapping of "
                    "posts"
                )
        entries = write_attributes(
            replace(each, vocabulary=(), encoding="value") for each in attributes
        )
        return replace(self, note={**self.note, "attributes": entries})

    def samples(self, split: PostSplit) -> AttributeSamples | None:
        """Attributes of the posts that fusion learns from; None where posts have none.

        Vocabularies are those of the posts that teach.

        Raises:
            AttributeFaultError: a category has too many values.
        """
        if not self.attributes:
            return None
        teaching, rows, rated = (
            split.rows(*names) for names in (("members", "fusion"), ("fusion",), ("members",))
        )
        frozen = frozen_attributes(self.attributes, self.posts.take(pa.array(teaching)))
        return AttributeSamples(
            attributes=frozen,
            features=self.features(rows, frozen),
            authors=self.posts["author_id"].take(pa.array(rows)).to_numpy(),
            rated_features=self.features(rated, frozen),
            rated_targets=self.targets[rated],
        )

    def features(self, rows: Ints, attributes: Sequence[Attribute]) -> Floats:
        """Features (n, attributes) of some posts, by frozen attributes."""
        return features_of(self.posts.take(pa.array(rows)), attributes)

    def attribute_rows(self, rows: Ints) -> list[dict[str, AttributeValue]]:
        """Attributes of some posts by name, as they came."""
        return attribute_rows(self.posts.take(pa.array(rows)), self.attributes)

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """(n,) whether anybody judged them."""
        return ~np.isnan(self.targets).all(axis=1)

    @property
    def reach(self) -> Floats:
        """(n,) views."""
        return np.asarray(self.posts["reach"].fill_null(0).to_numpy(), dtype=np.float64)

    def media_kinds(self, rows: Ints) -> NDArray[np.object_]:
        """Which media some posts have, as `lib.monitoring.request_columns.value_at` says it."""
        of_posts = self.presence[rows] != Presence.ABSENT
        media = [
            {
                _MEDIA[name]: ""
                for name, has in zip(MODALITIES, row, strict=True)
                if has and name in _MEDIA
            }
            for row in of_posts.tolist()
        ]
        return np.array([value_at({"media": own}, "media") for own in media], dtype=object)

    def texts(self, rows: Ints) -> list[str]:
        """Texts of some posts, "" where there is none."""
        return [text or "" for text in self.posts["text"].take(pa.array(rows)).to_pylist()]

    def tokens(self, rows: Ints) -> Tokens | None:
        """Word pieces of some posts' texts; None where they were not computed."""
        if self.note["words"]["encoder"] is None:
            return None
        token_lists = self.posts["tokens"].take(pa.array(rows)).to_pylist()
        ids = tuple(np.array(token_list, dtype=np.int64) for token_list in token_lists)
        return Tokens(
            ids, tuple(np.zeros((len(token_ids), 2), dtype=np.int64) for token_ids in ids)
        )

    def pixels(self, kind: str, rows: Ints, folder: Path) -> tuple[Pixels, Ints]:
        """Images (m, S, S, 3) or clips (m, T, S, S, 3) of some posts, and whose each is.

        They go through memory in small pieces to a file that is then mapped, so that it does not
        matter how many there are.

        Args:
            kind: image or video.
            rows: of the posts.
            folder: on this machine, for the file.

        Returns:
            The pixels and (m,) rows of their posts, in order of posts.
        """
        ids = self.posts["post_id"].to_pylist()
        row_by_post = {ids[row]: row for row in rows.tolist()}
        owners = np.array(
            [row for row, _ in self._frames(kind, row_by_post, bare=True)], dtype=np.int64
        )
        side, frames = (int(self.note["shape"][name]) for name in _SHAPES[kind])
        shape = (len(owners), *((frames,) if kind == "video" else ()), side, side, 3)
        if not len(owners):
            return np.zeros(shape, dtype=np.uint8), owners
        file = folder / f"{kind}-{rows[0]}-{len(rows)}.npy"
        kept = np.lib.format.open_memmap(file, "w+", np.uint8, shape)
        order = np.argsort(owners, kind="stable")
        positions = np.empty(len(order), dtype=np.int64)
        positions[order] = np.arange(len(order))
        for k, (_, pixels) in enumerate(self._frames(kind, row_by_post, bare=False)):
            kept[positions[k]] = pixels
        kept.flush()
        return np.load(file, mmap_mode="r"), owners[order]

    def frames(self, kind: str, rows: Ints) -> Iterator[tuple[int, Pixels]]:
        """The row of its post, and the pixels, of each image frame or clip of some posts."""
        ids = self.posts["post_id"].to_pylist()
        row_by_post = {ids[row]: row for row in rows.tolist()}
        for row, pixels in self._frames(kind, row_by_post, bare=False):
            if pixels is not None:
                yield row, pixels

    def _frames(
        self, kind: str, row_by_post: dict[str, int], *, bare: bool
    ) -> Iterator[tuple[int, NDArray[np.uint8] | None]]:
        """The row of its post, and its pixels, of each image frame or clip; in a fixed order."""
        storage = open_storage(self.folder)
        if not storage.files("media"):
            return
        seen_keys: set[tuple[str, int]] = set()
        names = ["post_id", "place", "frames", "side", *([] if bare else ["pixels"])]
        chosen = (ds.field("kind") == kind) & ds.field("reason").is_null()
        scanned = open_dataset(storage, "media").to_batches(
            columns=names, filter=chosen, batch_size=_AT_ONCE, batch_readahead=1
        )
        for row in (row for batch in scanned for row in batch.to_pylist()):
            key = row["post_id"], row["place"]
            if row["post_id"] not in row_by_post or key in seen_keys:
                continue
            seen_keys.add(key)
            post, frames = row_by_post[row["post_id"]], row["frames"]
            clip = None if bare else _pixels(row)
            if kind == "video":
                yield post, clip
            else:
                yield from ((post, None if clip is None else clip[k]) for k in range(frames))


_SHAPES = {"image": ("image_side", "clip_frames"), "video": ("clip_side", "clip_frames")}


def _pixels(row: dict[str, Any]) -> Pixels:
    flat = np.frombuffer(row["pixels"], dtype=np.uint8)
    return flat.reshape(row["frames"], row["side"], row["side"], 3)


def find_rows(folder: str, size: ModelConfig | None = None) -> PreparedDataset:
    """All posts of a folder that `jobs.moderation.preprocess` wrote, or of its `data`.

    Args:
        folder: path or URI.
        size: what models will see; None takes whatever the rows are.

    Raises:
        ContractError: it is not there, not finished, or its media are of another shape.
    """
    row_folder = find_row_folder(folder, NOTE, "--rows", "jobs.moderation.preprocess")
    storage, note = row_folder.storage, row_folder.read_note()
    if size is not None and (expected := DecodeSpec.of(size).stored) != note["shape"]:
        raise ContractError(
            f"--rows: {folder}: expected media of {expected}, which --size asks for, got "
            f"{note['shape']}; compute the rows again with the same --size"
        )
    if size is not None and words_of(size) != note["words"]:
        raise ContractError(
            f"--rows: {folder}: expected word pieces of {words_of(size)}, which --size asks for, "
            f"got {note['words']}; compute the rows again with the same --size"
        )
    posts = open_dataset(storage, "data/posts").to_table().sort_by("post_id")
    return PreparedDataset(posts, storage.address("data"), note)


def split_dataset(
    dataset: PreparedDataset, config: TrainConfig | TuneConfig
) -> tuple[PreparedDataset, PostSplit]:
    """The posts, each of an author of its own where the split takes it so, and their parts.

    Raises:
        ContractError: too few posts are labelled for all parts.
    """
    posts = split_authors(dataset.posts, config.split)
    split = split_posts(
        posts["author_id"].to_pylist(), dataset.at_us, dataset.labelled,
        config.test_share, config.test_authors, config.seed, config.split,
    )  # fmt: skip
    return replace(dataset, posts=posts), split


def quarantine_of(dataset: PreparedDataset) -> Storage:
    """Where rows lie that could not be used."""
    above, _ = split_address(dataset.folder)
    return open_storage(open_storage(above).address("quarantine"))


def rows_with(presence: Marks, modality: str, rows: Ints) -> Ints:
    """Of some rows those that have a modality."""
    return rows[presence[rows, MODALITIES.index(modality)] == Presence.PRESENT]
