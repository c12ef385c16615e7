"""Rows that models of posts learn from, out of tables of posts, media and labels."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from jobs import ingestion
from jobs.cluster.admission import await_core
from jobs.framework.cluster import shuffle_partitions, start_ray
from jobs.framework.row_folder import RowFolder, report_rows, write_private_rows
from jobs.moderation.media_decoding import DecodeSpec, decode_rows
from jobs.moderation.post_events import (
    LABEL,
    MEDIUM,
    POST,
    by_post,
    events_schema,
    map_to_events,
    policies_in,
    refuse_unknown_policies,
)
from jobs.moderation.preprocess import NOTE, PreprocessConfig
from jobs.moderation.row_builder import RowBuilder
from jobs.moderation.sources import intakes, read_policies, table_lines
from lib.contract import ContractError
from lib.contract.end_of_data import end_of_data
from lib.feature.attributes import write_attributes
from lib.moderation.contracts import LABELS, MEDIA, POSTS
from lib.moderation.media.duplicates import repeated_posts
from lib.moderation.model.model_config import ModelConfig, read_size_option
from lib.moderation.model.outputs import Presence
from lib.moderation.policies import Policies
from lib.moderation.post import MODALITIES
from lib.storage import Storage, open_dataset, open_storage

if TYPE_CHECKING:
    from ray.data import Dataset

_BLOCK_BYTES = 64 * 1024 * 1024


def preprocess_posts(config: PreprocessConfig) -> str:
    """Write the rows; returns the folder or URI of Parquet files."""
    return report_rows(
        write_rows(config), RowFolder(open_storage(config.output), NOTE), closing_lines
    )


def write_rows(config: PreprocessConfig) -> str:
    """The folder of rows, computed unless it is there for the same inputs already.

    Raises:
        ContractError: a column is missing or of the wrong type, a label is for a policy that nobody
            declared, or there is nothing to read.
    """
    if config.posts is None:
        raise ContractError("--posts is missing: say where the posts are")
    size, policies = read_size_option(config.size), read_policies(config.policies)
    folder = RowFolder(open_storage(config.output), NOTE)
    inputs = _inputs(config, size, policies)
    if not config.overwrite and folder.has(inputs):
        return folder.data
    started = time.monotonic()
    if config.overwrite:
        folder.storage.delete("work")
    _open_work(folder.work, inputs)
    if not config.overwrite:
        _keep_media(folder, inputs)
    counted = _computed(config, size, policies, folder)
    folder.publish()
    note = {
        **inputs,
        **counted,
        "tables": intakes(folder.storage, "quarantine"),
        "seconds": round(time.monotonic() - started, 3),
    }
    folder.finish(note)
    return folder.data


def _inputs(config: PreprocessConfig, size: ModelConfig, policies: Policies) -> dict[str, Any]:
    """What the rows depend on."""
    media = [str(path) for path in (config.media, config.mapping_media) if path is not None]
    return {
        "data_fingerprint": ingestion.fingerprint_of(config.files),
        "media_fingerprint": ingestion.fingerprint_of(media),
        "policies": policies.model_dump(mode="json"),
        "shape": DecodeSpec.of(size).stored,
        "words": words_of(size),
        "allow": list(config.allow),
        **({"attributes": write_attributes(config.attributes())} if config.attributes() else {}),
    }


def words_of(size: ModelConfig) -> dict[str, Any]:
    """What word pieces of texts depend on; a fresh encoder learns its vocabulary later."""
    fresh = size.text.encoder is None
    return {"encoder": size.text.encoder, "length": None if fresh else size.text.length}


def _open_work(work: Storage, inputs: Mapping[str, Any]) -> None:
    """A folder for what is not finished: kept where it is of the same inputs, with its media."""
    mark = json.dumps(inputs, sort_keys=True).encode()
    if work.read("inputs.json") != mark:
        work.delete("")
        work.write("inputs.json", mark)
    for name in ("quarantine", "data/posts", "data/used"):
        work.delete(name)


def _keep_media(folder: RowFolder, inputs: Mapping[str, Any]) -> None:
    """Media of a finished run that are still what they were: other tables may have changed."""
    note, output = folder.read_note(), folder.storage
    same = all(note.get(name) == inputs[name] for name in ("media_fingerprint", "shape", "allow"))
    if same and output.files("data/media") and not output.files("work/data/media"):
        output.delete(NOTE)
        output.move("data/media", "work/data/media")


def _drop_unused_media(work: Storage) -> None:
    """Files that no task of this run named, such as those of other cuts of the same table."""
    used = {path.rpartition("/")[2] for path in work.files("data/used")}
    for path in work.files("data/media"):
        if path.rpartition("/")[2] not in used:
            work.delete(path)
    work.delete("data/used")


def _computed(
    config: PreprocessConfig, size: ModelConfig, policies: Policies, folder: RowFolder
) -> dict[str, Any]:
    """Rows in OUTPUT/work, and what they came to."""
    from ray.data import DataContext

    start_ray()
    await_core()
    context = DataContext.get_current()
    context.target_max_block_size = _BLOCK_BYTES
    quarantine, work = folder.quarantine, folder.work
    attributes = config.attributes()
    schema = events_schema(attributes)
    facts = map_to_events(config.read_posts(quarantine), POST, schema)
    if config.media is not None:
        facts = facts.union(map_to_events(decoded(config, size, work), MEDIUM, schema))
    if config.labels is not None:
        labels = config.read(LABELS, quarantine)
        refuse_unknown_policies(policies_in(labels), policies)
        facts = facts.union(map_to_events(labels, LABEL, schema))
    builder = RowBuilder(policies, quarantine, size.text, attributes)
    estimated = config.estimated_rows(POSTS, MEDIA, LABELS)
    rows = by_post(facts, shuffle_partitions(config.partitions, estimated)).map_batches(
        builder.rows, batch_format="pyarrow", batch_size=None, zero_copy_batch=True
    )
    write_private_rows(rows, work, "data/posts")
    _drop_unused_media(work)
    return _counted(config, work)


def decoded(config: PreprocessConfig, size: ModelConfig, work: Storage) -> Dataset:
    """What became of each medium; pixels go to files of WORK/data/media on the way."""
    shape, addresses = DecodeSpec.of(size), config.addresses()
    folder, quarantine = work.address("data"), work.address("quarantine")

    def decode(media: pa.Table) -> pa.Table:
        return decode_rows(media, shape, addresses, open_storage(folder), quarantine)

    read = config.read(MEDIA, quarantine)
    return read.map_batches(decode, batch_format="pyarrow", batch_size=None, zero_copy_batch=True)


def _counted(config: PreprocessConfig, work: Storage) -> dict[str, Any]:
    names = [
        "post_id",
        "event_time",
        "text_key",
        "label_known_at",
        *(f"{modality}_presence" for modality in MODALITIES),
    ]
    rows = open_dataset(work, "data/posts") if work.files("data/posts") else None
    posts = pa.table({}) if rows is None else rows.to_table(columns=names)
    if not posts.num_rows:
        reason = ingestion.most_frequent_reason(work, "quarantine/posts", str(config.posts))
        raise ContractError(
            f"{reason}; no post is left to learn from; see {work.shown('quarantine')}"
        )
    reasons: Counter[str] = Counter()
    media = pa.table({"post_id": pa.array([], pa.string()), "digest": pa.array([], pa.binary()),
                      "look": pa.array([], pa.binary())})  # fmt: skip
    if work.files("data/media"):
        dataset = open_dataset(work, "data/media")
        for column, prefix in (("reason", ""), ("partly", "in part: ")):
            texts = dataset.to_table(columns=[column])[column].drop_null().to_pylist()
            reasons.update(f"{prefix}{text.partition(':')[0]}" for text in texts)
        media = dataset.to_table(
            columns=["post_id", "digest", "look"], filter=ds.field("reason").is_null()
        )
    presence = {
        name: {
            state.name.lower(): int(pc.sum(pc.equal(posts[f"{name}_presence"], int(state))).as_py())
            for state in Presence
        }
        for name in MODALITIES
    }
    end = end_of_data(posts["event_time"].cast(pa.int64()).to_numpy())
    return {
        "posts": posts.num_rows,
        "far_posts": {end.text: end.far_rows} if end.far_rows else {},
        "labelled": posts.num_rows - posts["label_known_at"].null_count,
        "media": media.num_rows,
        "broken_media": dict(reasons.most_common()),
        "presence": presence,
        "repeated_posts": repeated_posts(posts, media),
    }


def closing_lines(folder: RowFolder) -> str:
    """A short table of what was read and made."""
    note = folder.read_note()
    lines = table_lines(note["tables"])
    lines += [f"{n:>8,}  posts: {text}" for text, n in note.get("far_posts", {}).items()]
    for name, counts in note["presence"].items():
        lines.append(
            f"{name:12}{counts['present']:>12,} posts have it, {counts['failed']:,} of which none "
            "decodes"
        )
    return "\n".join(
        [
            *lines,
            f"rows {note['posts']:,} posts, {note['labelled']:,} of them labelled; "
            f"{note['repeated_posts']:,} repeat an earlier one; media {note['media']:,} decoded, "
            f"{sum(note['broken_media'].values()):,} broken",
            *folder.locations("rows"),
        ]
    )
