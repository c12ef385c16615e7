"""What the moderation jobs are made of, without Ray: parts of posts, shared steps, duplicates."""

from __future__ import annotations

import dataclasses
import json
from itertools import combinations
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.moderation import simulate
from jobs.moderation.dataset import PreparedDataset, split_dataset
from jobs.moderation.distributed import Backend, SharedRun, share_of
from jobs.moderation.post_events import LABEL, POST, to_events
from jobs.moderation.row_builder import RowBuilder
from jobs.moderation.selection import labelled_posts
from jobs.moderation.simulate import Simulate
from jobs.moderation.sources import table_lines
from jobs.moderation.training_config import TrainConfig
from jobs.moderation.tune import TuneConfig
from jobs.quarantine_ledger import summary
from lib.contract import ContractError, MatchCounts
from lib.moderation.media.duplicates import media_digests, near_duplicates, repeated_posts
from lib.moderation.media.hashes import pdq_hash
from lib.moderation.media.videos import decode_video
from lib.moderation.model.fitting import Runtime
from lib.moderation.model.model_config import TINY, TextSize, TrainingConfig
from lib.moderation.model.splits import PARTS, split_authors, split_posts
from lib.moderation.model.text import fresh_encoder
from lib.moderation.model.tokens import Tokens, learnt, padding_of
from lib.moderation.model.training import Run, fit_image, fit_text
from lib.moderation.policies import load_policies
from lib.moderation.synthetic.composing import COMPOSED_POLICIES
from lib.moderation.synthetic.simulated import simulated_pieces
from lib.moderation.synthetic.source_media import encoded_clip, encoded_image, read_source_media
from lib.storage import open_storage
from tests.moderation.media_factories import decode_image, scene

DAY = 86_400_000_000
FIRST = 20_000 * DAY
SIZE = dataclasses.replace(TINY.image, learning=TrainingConfig(epochs=3, batch=16))


def posts(count: int = 900, authors: int = 200) -> tuple[list[str], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    author_ids = [f"author-{k}" for k in rng.integers(0, authors, count).tolist()]
    at_us = np.sort(rng.integers(0, 90 * DAY, count))
    return author_ids, at_us, rng.random(count) < 0.9


def test_no_author_and_no_time_is_on_both_sides():
    author_ids, at_us, labelled = posts()
    parting = split_posts(author_ids, at_us, labelled, 0.25, 0.3, seed=1)
    owners = {name: {author_ids[row] for row in parting.rows(name).tolist()} for name in PARTS[:-1]}
    for (part, authors), (other, other_authors) in combinations(owners.items(), 2):
        assert not authors & other_authors, (part, other)
    tested = parting.rows("test")
    assert at_us[tested].min() >= parting.test_from_us
    assert at_us[parting.rows("members", "fusion")].max() < parting.test_from_us
    assert labelled[parting.rows(*PARTS[:-1])].all()
    assert sum(parting.counts.values()) == len(author_ids)


def test_more_posts_move_no_author_to_another_part():
    author_ids, at_us, labelled = posts()
    before = split_posts(author_ids, at_us, labelled, 0.25, 0.3, seed=1)
    more = split_posts(
        [*author_ids, "new"],
        np.append(at_us, 91 * DAY),
        np.append(labelled, True),
        0.25,
        0.3,
        seed=1,
    )
    both = before.rows("members")
    moved = set(more.part[both].tolist()) - {PARTS.index("members")}
    assert moved <= {PARTS.index("unused")}
    assert more.part[-1] == PARTS.index("test")


@pytest.mark.parametrize("split", ["author", "time", "random"])
def test_posts_without_authors_or_times_are_parted_by_what_there_is(split):
    count = 400
    posts = pa.table(
        {
            "post_id": [f"p{k}" for k in range(count)],
            "author_id": [f"a{k % 40}" if split == "author" else "a" for k in range(count)],
        }
    )
    at_us = np.arange(count) * DAY if split == "time" else np.zeros(count, dtype=np.int64)
    author_ids = split_authors(posts, split)["author_id"].to_pylist()
    parting = split_posts(
        author_ids, at_us, np.ones(count, dtype=bool), 0.25, 0.3, seed=1, split=split
    )
    tested, taught = parting.rows("test"), parting.rows("members", "fusion")
    assert 0.1 * count < len(tested) < 0.45 * count
    assert len(tested) + len(taught) == count
    assert not {author_ids[row] for row in tested} & {author_ids[row] for row in taught}
    if split == "time":
        assert at_us[tested].min() > at_us[taught].max()


@pytest.mark.parametrize(
    ("authors", "times", "message"),
    [
        (1, 400, "all 400 labelled posts are of 1 authors; .*--split random"),
        (400, 1, "all 400 labelled posts are of one time, .*--split author"),
    ],
)
def test_posts_that_no_share_would_part_say_what_is_missing(authors, times, message):
    author_ids = [f"a{k % authors}" for k in range(400)]
    at_us = np.arange(400) % times * DAY
    with pytest.raises(ContractError, match=message):
        split_posts(author_ids, at_us, np.ones(400, dtype=bool), 0.25, 0.3, seed=1)


def test_too_few_posts_to_part_are_refused():
    author_ids, at_us, _ = posts(6, 1)
    with pytest.raises(
        ContractError, match=r"all 6 labelled posts are of 1 authors; .* --split random"
    ):
        split_posts(author_ids, at_us, np.ones(6, dtype=bool), 0.25, 0.3, seed=1)
    with pytest.raises(ContractError, match="expected posts with labels for every part, got 0"):
        split_posts(author_ids, at_us, np.zeros(6, dtype=bool), 0.25, 0.3, seed=1)


class HaltError(Exception):
    """A machine that is lost."""


class Lost(Backend):
    """A process that is lost after its second epoch."""

    def report(self, figures):
        if figures["epoch"] == 2:
            raise HaltError


def images() -> tuple[np.ndarray, np.ndarray]:
    pieces = simulated_pieces(1, 49, 1, seed=2, side=16)
    targets = np.array([[kind == "cross"] for kind in pieces.image_kinds], dtype=np.float64)
    return np.stack(pieces.images), targets


def test_a_training_that_was_cut_off_goes_on_from_its_last_epoch(tmp_path):
    pixels, targets = images()
    full_storage, cut = (open_storage(tmp_path / name) for name in ("whole", "cut"))

    def fitted(storage, crew):
        run = SharedRun.going_on("image", 5, crew, storage)
        return fit_image(pixels, targets, ("spam",), SIZE, run), run

    ours, _ = fitted(full_storage, Backend(Runtime(threads=1)))
    with pytest.raises(HaltError):
        fitted(cut, Lost(Runtime(threads=1)))
    files = [file for file in cut.files("checkpoints/image") if file.endswith(".safetensors")]
    assert files == ["checkpoints/image/5-2.safetensors"]
    resumed_model, run = fitted(cut, Backend(Runtime(threads=1)))
    assert run.resume is not None
    assert run.resume.epoch == 2
    np.testing.assert_array_equal(
        ours.answer_squares(pixels).log_odds, resumed_model.answer_squares(pixels).log_odds
    )


def test_checkpoints_of_what_is_quickly_learnt_are_kept_less_often(tmp_path):
    class RecordingBackend(Backend):
        epochs: ClassVar[list[int]] = []

        def report(self, figures):
            self.epochs.append(figures["epoch"])

    pixels, targets = images()
    storage = open_storage(tmp_path)
    run = SharedRun.going_on("image", 5, RecordingBackend(Runtime(threads=1)), storage, every=2)
    fit_image(pixels, targets, ("spam",), SIZE, run)
    assert RecordingBackend.epochs == [2]
    again = SharedRun.going_on("image", 5, Backend(Runtime(threads=1)), storage)
    assert again.resume is not None
    assert again.resume.epoch == 2


@pytest.mark.parametrize(("count", "size"), [(12, 3), (7, 2), (1, 2), (1, 1)])
def test_workers_share_every_batch_and_each_has_as_much(count, size):
    shares = []
    for rank in range(size):
        shares.append(share_of(np.arange(count), Backend(Runtime(), rank, size)))
    assert {len(share) for share in shares} == {max(2, -(-count // size))}
    assert set(np.concatenate(shares).tolist()) == set(range(count))


def test_images_that_look_the_same_are_found_among_many():
    pictures = [np.asarray(scene(seed)) for seed in range(12)]
    smaller = [np.asarray(scene(seed).resize((128, 128))) for seed in (3, 7)]
    looks = np.stack([pdq_hash(picture).bits for picture in [*pictures, *smaller]])
    groups = near_duplicates(looks)
    assert groups[3] == groups[12]
    assert groups[7] == groups[13]
    assert len(set(groups.tolist())) == 12
    assert near_duplicates(np.zeros((0, 4), dtype=np.uint64)).tolist() == []


def test_posts_repeat_only_where_all_that_they_say_and_show_does():
    look = pdq_hash(np.asarray(scene(1))).bits.tobytes()
    media = pa.table(
        {
            "post_id": ["a", "b", "c", "d"],
            "digest": [b"1", b"2", b"3", b"3"],
            "look": pa.array([look, look, None, None], pa.binary()),
        }
    )
    post_table = pa.table(
        {"post_id": ["a", "b", "c", "d", "e", "f"], "text_key": [5, 5, 5, 6, 9, -1]}
    )
    assert media_digests(media)[:2] == ["look 0", "look 0"]
    assert repeated_posts(post_table, media) == 1


def policies():
    return load_policies(simulate.policies_text())


def test_the_last_word_of_each_person_counts_and_people_may_differ(tmp_path):
    post = {"post_id": "p", "author_id": "a", "event_time": FIRST, "text": "words"}
    judgements = [("ann", True, 11), ("ann", False, 12), ("bob", True, 11), ("cy", True, 11)]
    labels = [
        {
            "post_id": "p",
            "policy": "hate",
            "violates": violates,
            "by": by,
            "event_time": FIRST + day * DAY,
            "known_at": FIRST + day * DAY,
            "policy_version": 1,
        }
        for by, violates, day in judgements
    ]
    facts = pa.concat_tables([_facts([post], POST), _facts(labels, LABEL)])
    rows = RowBuilder(policies(), str(tmp_path)).rows(facts)
    targets = rows["targets"].to_pylist()[0]
    assert targets[0] == pytest.approx(2 / 3)
    assert np.isnan(targets[1:]).all()
    assert rows["label_known_at"].cast(pa.int64()).to_pylist() == [FIRST + 12 * DAY]


HATE = {
    "policy": "hate",
    "violates": True,
    "by": "ann",
    "event_time": FIRST,
    "known_at": FIRST,
    "policy_version": 1,
}


def test_labels_of_posts_that_are_set_aside_are_set_aside_with_them(tmp_path):
    posts = [
        {"post_id": name, "author_id": "a", "event_time": FIRST, "text": text}
        for name, text in (("a", "words"), ("b", None), ("c", "more"))
    ]
    labels = [{"post_id": name, **HATE} for name in ("a", "b", "nobody")]
    facts = pa.concat_tables([_facts(posts, POST), _facts(labels, LABEL)])
    rows = RowBuilder(policies(), str(tmp_path)).rows(facts)
    assert rows["post_id"].to_pylist() == ["a", "c"]
    assert summary(open_storage(str(tmp_path)), "labels").reasons == {
        "post_id: of no post that is there": 1,
        "post_id: of a post with neither a text nor an image nor a video": 1,
    }


def test_labels_of_posts_that_are_not_there_are_warned_of_first(tmp_path):
    post = {"author_id": "a", "event_time": FIRST, "text": "words"}
    assembly = RowBuilder(policies(), str(tmp_path))
    for names, labelled in (("12", ["1", "2.0", "2.0"]), ("", ["7.0"]), ("9", [])):
        parts = (
            ([post | {"post_id": name} for name in names], POST),
            ([HATE | {"post_id": name} for name in labelled], LABEL),
        )
        assembly.rows(pa.concat_tables([_facts(rows, what) for rows, what in parts if rows]))
    stored = open_storage(str(tmp_path))
    entries = [json.loads(stored.read(path) or b"") for path in stored.files("matches/labels")]
    total = sum((MatchCounts.from_json(entry) for entry in entries), MatchCounts())
    assert (total.rows, total.unmatched) == (4, 3)
    row = {"rows_in": 4, "repeats": 0, "quarantined": 3, "reasons": {}, "matches": total.to_json()}
    first = table_lines({"labels": row})[0]
    assert first.startswith("warning: labels: 3 of 4 match no post; e.g. labels have ")
    assert total.example in first


def test_a_post_of_a_broken_clock_moves_no_test():
    post_ids, at_us, labelled = posts()
    before = split_posts(post_ids, at_us, labelled, 0.25, 0.3, seed=1)
    far = split_posts(
        [*post_ids, "new"],
        np.append(at_us, at_us.max() + 9_000 * DAY),
        np.append(labelled, True),
        0.25,
        0.3,
        seed=1,
    )
    assert far.test_from_us == before.test_from_us
    assert far.part[:-1].tolist() == before.part.tolist()


def test_word_pieces_of_rows_are_those_that_the_encoder_would_take(tmp_path):
    texts = ["one word", "two words more", "nothing to see here"] * 5
    tokenizer = learnt(texts, 60, 16)
    size = TextSize(hidden=8, layers=1, heads=1, vocabulary=60, length=16, word_ngrams=0)
    encoder = fresh_encoder(size, tokenizer.get_vocab_size(), padding_of(tokenizer))
    encoder.save_pretrained(tmp_path / "encoder")
    tokenizer.save(str(tmp_path / "encoder" / "tokenizer.json"))
    size = dataclasses.replace(size, encoder=str(tmp_path / "encoder"))
    post_rows = [
        {"post_id": f"p{k}", "author_id": "a", "event_time": FIRST, "text": text}
        for k, text in enumerate(texts)
    ]
    rows = RowBuilder(policies(), str(tmp_path / "q"), size).rows(_facts(post_rows, POST))
    ids = tuple(np.array(row, dtype=np.int64) for row in rows["tokens"].to_pylist())
    tokens = Tokens(ids, tuple(np.zeros((len(row), 2), dtype=np.int64) for row in ids))
    targets = np.array([[float("word" in text)] for text in texts])
    run, held_out = Run(1, Runtime(threads=1)), np.arange(2)
    apart, before = (
        fit_text(texts, targets, ("spam",), held_out, size, run, stored_tokens)
        for stored_tokens in (None, tokens)
    )
    np.testing.assert_array_equal(apart.answer(texts).log_odds, before.answer(texts).log_odds)


def _facts(rows: list[dict], kind: int) -> pa.Table:
    table = pa.Table.from_pylist(rows)
    for name in ("event_time", "known_at"):
        if name in table.column_names:
            position = table.column_names.index(name)
            table = table.set_column(position, name, table[name].cast(pa.timestamp("us", tz="UTC")))
    return to_events(table, kind)


def test_encoded_pieces_decode_to_what_they_were():
    pieces = simulated_pieces(2, 6, 2, seed=1)
    np.testing.assert_array_equal(decode_image(encoded_image(pieces.images[0])), pieces.images[0])
    frames = decode_video(encoded_clip(pieces.clips[1])).frames
    assert frames.shape == pieces.clips[1].shape
    assert np.abs(frames.astype(float) - pieces.clips[1]).mean() < 12.0


def test_posts_are_composed_of_pieces_that_a_file_names(tmp_path):
    source_pieces = simulated_pieces(24, 24, 8, seed=1)
    pq.write_table(
        pa.table({"tweet": source_pieces.texts, "class": [k % 3 for k in range(24)]}),
        tmp_path / "texts.parquet",
    )
    pq.write_table(
        pa.table(
            {
                "jpeg": [encoded_image(image) for image in source_pieces.images],
                "label": source_pieces.image_kinds,
            }
        ),
        tmp_path / "images.parquet",
    )
    frames = [[encoded_image(frame) for frame in clip] for clip in source_pieces.clips]
    pq.write_table(
        pa.table({"frames": frames, "label": [k % 2 for k in range(8)]}), tmp_path / "clips.parquet"
    )
    file = tmp_path / "pieces.yaml"
    file.write_text(
        """
texts: {path: texts.parquet, content: tweet, kind: class,
        kinds: {"0": neutral, "1": offensive, "2": hate}}
images: {path: images.parquet, content: jpeg, kind: label, most: 18}
clips: {path: clips.parquet, content: frames, kind: label, kinds: {"0": calm, "1": fight}}
prohibited: [cross]
context: [ring]
"""
    )
    pieces, recipe = read_source_media(str(file))
    assert pieces.text_kinds[:3] == ("neutral", "offensive", "hate")
    assert len(pieces.images) == 18
    assert recipe.prohibited == {"cross"}
    np.testing.assert_array_equal(pieces.clips[3], source_pieces.clips[3])
    out = tmp_path / "out"
    assert simulate.main(Simulate(out, posts=40, pieces=str(file))) == 40
    labels = pq.read_table(out / "labels.parquet")
    assert labels.num_rows == 40 * len(COMPOSED_POLICIES)
    text = file.read_text()
    file.write_text(text.replace("content: tweet", "content: twet"))
    with pytest.raises(ContractError, match=r"has no column 'twet'; did you mean 'tweet'"):
        read_source_media(str(file))
    file.write_text(text.replace("content: tweet", "contnt: tweet"))
    with pytest.raises(ContractError, match=r"texts\.contnt: "):
        read_source_media(str(file))


def test_newer_simulated_posts_are_of_pieces_that_no_older_one_has(tmp_path):
    options = Simulate(tmp_path, posts=80, texts=60, images=60, clips=16, seed=3)
    simulate.main(options)
    media = pq.read_table(tmp_path / "media.parquet").to_pylist()
    older = {row["content"] for row in media if row["post_id"] < "post-0000060"}
    newer = {row["content"] for row in media if row["post_id"] >= "post-0000060"}
    assert older
    assert newer
    assert not older & newer
    again = tmp_path / "again"
    simulate.main(dataclasses.replace(options, output=again))
    for name in ("posts", "media", "labels"):
        ours, expected = (pq.read_table(folder / f"{name}.parquet") for folder in (tmp_path, again))
        assert ours.equals(expected), name
    assert json.dumps(policies().ids) == json.dumps(COMPOSED_POLICIES)


@pytest.mark.parametrize("split", ["random", "time"])
def test_a_search_keeps_the_same_posts_for_the_test_as_a_training(split):
    count = 200
    table = pa.table(
        {
            "post_id": [f"p{k}" for k in range(count)],
            "author_id": ["a"] * count,
            "event_time": pa.array([k * DAY for k in range(count)], pa.timestamp("us", "UTC")),
            "targets": pa.array([[1.0]] * count, pa.list_(pa.float32(), 1)),
        }
    )
    rows = PreparedDataset(table, "", {})
    search = TuneConfig(rows=Path(), output=Path(), split=split)
    training = TrainConfig(output=Path(), split=split)
    (_, first), (_, other) = (split_dataset(rows, config) for config in (search, training))
    assert first.rows("test").tolist() == other.rows("test").tolist()
    assert len(first.rows("test"))


def test_labels_of_a_csv_file_name_their_posts(tmp_path):
    header = "post_id,policy,violates,by,event_time,known_at\n"
    row = "p{},hate,true,ann,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n"
    (tmp_path / "labels.csv").write_text(header + row.format(1) + row.format(2))
    assert labelled_posts(str(tmp_path / "labels.csv"), None) == {"p1", "p2"}
