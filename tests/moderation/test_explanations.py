"""Explanations point at the original, and are true to the model."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from lib.moderation.explanation.faithfulness import (
    cells,
    deletion_area,
    image_faithfulness,
    moved,
    text_faithfulness,
)
from lib.moderation.explanation.image import explain_image
from lib.moderation.explanation.imputation import imputed
from lib.moderation.explanation.modality import explain_modalities
from lib.moderation.explanation.text import (
    explain_text,
    piece_shares,
    summed_to_words,
    without,
)
from lib.moderation.explanation.video import explain_video, stilled
from lib.moderation.model.answers import ModelError, Presence
from lib.moderation.model.inputs import PostInputs, batch_of
from lib.moderation.model.moderation_model import answers_of
from tests.moderation.tiny import POLICIES, image_model, model, parts, text_model, video_model


def test_words_point_at_the_characters_of_the_original():
    text = "glorbs 😀👍🏽 are e\u0301te\u0301, @you https://example.org/x ＶＥＲＭＩＮ"
    words = explain_text(text_model(), text, "hate")
    assert [text[one.begin : one.end] for one in words] == [one.word for one in words]
    assert [one.word for one in words] == [
        *("glorbs", "😀", "👍🏽", "are", "e\u0301te\u0301", "you"),
        *("https", "example.org", "x", "ＶＥＲＭＩＮ"),
    ]


def test_the_telling_word_is_found():
    words = explain_text(text_model(), "all glorbs should leave, the match too lol", "hate")
    shares = {one.word: one.share for one in words}
    assert max(shares, key=shares.__getitem__) in {"glorbs", "leave", "should", "all"}
    assert shares["glorbs"] > shares["match"]


def test_pieces_add_up_to_what_the_text_says_over_padding():
    one, text = text_model(), parts()[2].texts[4]
    place = POLICIES.index("offensive")
    import torch  # noqa: PLC0415

    shares = piece_shares(one, text, place, steps=200)
    ids = torch.from_numpy(one.tokens([text]).ids[0][None])
    marks = [one.tokenizer.token_to_id(mark) for mark in ("[CLS]", "[SEP]")]
    nothing = torch.where(torch.isin(ids, torch.tensor(marks)), ids, 0)
    with torch.inference_mode():
        mask = torch.ones_like(ids)
        told = one.net(ids, mask)[0, place] - one.net(nothing, mask)[0, place]
    assert shares.sum() == pytest.approx(float(told), abs=0.05 * max(1.0, abs(float(told))))


def test_every_piece_counts_for_one_word():
    text = "abc def"
    pieces = np.array([[0, 0], [0, 2], [2, 3], [4, 7], [0, 0]])
    shares = np.array([9.0, 1.0, 2.0, 4.0, 9.0])
    assert summed_to_words([(0, 3), (4, 7)], pieces, shares).tolist() == [3.0, 4.0]
    halves = summed_to_words([(0, 1), (1, 2), (4, 7)], pieces, shares)
    assert halves.tolist() == [0.5, 0.5, 4.0]
    assert summed_to_words([], pieces, shares).tolist() == []
    assert without(text, [(0, 3)]) == "    def"


def test_an_empty_text_has_no_words():
    assert explain_text(text_model(), "", "hate") == []


def test_the_heat_lies_on_the_image_of_any_size():
    image = parts()[2].images[0]
    wide = np.repeat(image, 2, axis=1)
    heat = explain_image(image_model(), wide, "prohibited_item")
    assert heat.both.shape == (16, 16)
    assert 0.0 <= heat.both.min() <= heat.both.max() <= 1.0
    assert heat.over(*wide.shape[:2]).shape == wide.shape[:2]


def test_explaining_leaves_the_model_as_it_was():
    image = parts()[2].images[0]
    before = image_model().answer([image]).log_odds
    explain_image(image_model(), image, "prohibited_item")
    np.testing.assert_array_equal(image_model().answer([image]).log_odds, before)
    assert all(one.grad is None or not one.grad.any() for one in image_model().net.vit.parameters())


def test_moments_of_motion_are_found():
    kinds = parts()[2].clip_kinds
    fight = parts()[2].clips[kinds.index("fight")]
    still = np.repeat(fight[:1], len(fight), axis=0)
    clip = np.concatenate([still, fight])
    times = np.arange(len(clip)) / 10.0
    found = explain_video(video_model(), clip, times, "violence", segments=4)
    assert found[0].begin_s == 0.0
    assert found[-1].end_s == pytest.approx(times[-1])
    assert all(a.end_s == b.begin_s for a, b in pairwise(found))
    assert max(one.share for one in found[2:]) > max(one.share for one in found[:1])
    with pytest.raises(ModelError, match="times: expected 24, one for each frame, got 2"):
        explain_video(video_model(), clip, times[:2], "violence")


def test_a_hidden_moment_stands_still():
    frames = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones(3, dtype=np.uint8)
    assert stilled(frames, 2, 4)[:, 0, 0, 0].tolist() == [0, 1, 1, 1, 4]
    assert stilled(frames, 0, 2)[:, 0, 0, 0].tolist() == [2, 2, 2, 3, 4]


def test_the_modality_that_violates_matters_most():
    pieces = parts()[2]
    post = PostInputs(
        text=pieces.texts[pieces.text_kinds.index("hate")],
        images=(pieces.images[pieces.image_kinds.index("stripes")],),
    )
    batch = batch_of([post])
    answers = answers_of(batch, text_model(), image_model(), video_model())
    shares = explain_modalities(model().fusion, answers, batch.presence)
    p = POLICIES.index("hate")
    assert shares["text"][0, p] > max(0.0, shares["image"][0, p])
    assert not shares["video"].any()
    assert batch.presence.tolist() == [[Presence.PRESENT, Presence.PRESENT, Presence.ABSENT]]


def test_explanations_of_texts_beat_chance():
    pieces = parts()[2]
    texts = [
        one for one, kind in zip(pieces.texts, pieces.text_kinds, strict=True) if kind == "hate"
    ]
    found = text_faithfulness(text_model(), texts[:20], "hate", orders=5, seed=1)
    assert found.items == 20
    assert found.gain.low > 0.0
    assert found.explained < found.random


def test_explanations_of_images_beat_chance():
    pieces = parts()[2]
    crosses = [
        one for one, kind in zip(pieces.images, pieces.image_kinds, strict=True) if kind == "cross"
    ]
    found = image_faithfulness(image_model(), crosses[:12], "prohibited_item", orders=3, seed=1)
    assert found.items == 12
    assert found.gain.low > 0.0
    assert found.moved_gain is not None
    assert found.moved_gain.low > 0.0


def test_the_deletion_area_is_that_of_the_curve():
    def chances(deleted):
        return np.array([1.0 if 0 not in one else 0.0 for one in deleted])

    first, last = np.arange(4), np.arange(4)[::-1]
    assert deletion_area(chances, first, steps=4) == pytest.approx(0.125)
    assert deletion_area(chances, last, steps=4) == pytest.approx(0.875)
    assert np.bincount(cells(16).ravel()).tolist() == [4] * 64


def test_a_policy_that_the_model_does_not_know_is_refused():
    with pytest.raises(ModelError, match=r"policy: expected one of hate, .* got 'spam'"):
        explain_text(text_model(), "a", "spam")


def test_a_hole_is_told_by_what_is_around_it():
    slope = np.tile(np.arange(0, 160, 10, dtype=np.uint8)[:, None, None], (1, 12, 3))
    hole = np.zeros((16, 12), dtype=bool)
    hole[4:9, 3:8] = True
    assert np.abs(imputed(slope, hole).astype(int) - slope).max() <= 3
    spotted = slope.copy()
    spotted[hole] = 255
    np.testing.assert_array_equal(imputed(spotted, hole), imputed(slope, hole))
    np.testing.assert_array_equal(imputed(slope, hole)[~hole], slope[~hole])
    assert (imputed(slope, np.ones_like(hole)) == 75).all()
    assert imputed(slope, np.zeros_like(hole)) is slope


def test_moved_heat_is_the_same_heat():
    heat = np.arange(16.0).reshape(4, 4)
    found = [moved(heat, np.random.default_rng(k)) for k in range(20)]
    assert all(sorted(one.ravel()) == sorted(heat.ravel()) for one in found)
    assert len({one.tobytes() for one in found}) > 15
