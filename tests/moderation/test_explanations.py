"""Explanations point at the original, and are true to the model."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from lib.moderation.explanation.image import explain_image
from lib.moderation.explanation.modality import explain_modalities
from lib.moderation.explanation.text import (
    explain_text,
    piece_shares,
    summed_to_words,
    without,
)
from lib.moderation.explanation.video import explain_video, stilled
from lib.moderation.model.inputs import PostInputs, batch_of
from lib.moderation.model.model import answers_of
from lib.moderation.model.outputs import ModelError, Presence
from tests.moderation.faithfulness import (
    cells,
    deletion_area,
    image_faithfulness,
    imputed,
    moved,
    text_faithfulness,
)
from tests.moderation.small_model import (
    POLICIES,
    image_model,
    model,
    parts,
    text_model,
    video_model,
)


def test_words_point_at_the_characters_of_the_original():
    text = "glorbs 😀👍🏽 are e\u0301te\u0301, @you https://example.org/x ＶＥＲＭＩＮ"
    words = explain_text(text_model(), text, "hate")
    assert [text[word.begin : word.end] for word in words] == [word.word for word in words]
    assert [word.word for word in words] == [
        *("glorbs", "😀", "👍🏽", "are", "e\u0301te\u0301", "you"),
        *("https", "example.org", "x", "ＶＥＲＭＩＮ"),
    ]


def test_the_telling_word_is_found():
    words = explain_text(text_model(), "all glorbs should leave, the match too lol", "hate")
    shares = {word.word: word.share for word in words}
    assert max(shares, key=shares.__getitem__) in {"glorbs", "leave", "should", "all"}
    assert shares["glorbs"] > shares["match"]


def test_pieces_add_up_to_what_the_text_says_over_padding():
    text_classifier, text = text_model(), parts()[2].texts[4]
    policy_index = POLICIES.index("offensive")
    import torch  # noqa: PLC0415

    shares = piece_shares(text_classifier, text, policy_index, steps=200)
    ids = torch.from_numpy(text_classifier.tokens([text]).ids[0][None])
    marks = [text_classifier.tokenizer.token_to_id(mark) for mark in ("[CLS]", "[SEP]")]
    padding = torch.where(torch.isin(ids, torch.tensor(marks)), ids, 0)
    with torch.inference_mode():
        mask = torch.ones_like(ids)
        difference = (
            text_classifier.net(ids, mask)[0, policy_index]
            - text_classifier.net(padding, mask)[0, policy_index]
        )
    assert shares.sum() == pytest.approx(
        float(difference), abs=0.05 * max(1.0, abs(float(difference)))
    )


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
    assert heat.shape == (16, 16)
    assert 0.0 <= heat.min() <= heat.max() <= 1.0


def test_explaining_leaves_the_model_as_it_was():
    image = parts()[2].images[0]
    before = image_model().answer([image]).log_odds
    explain_image(image_model(), image, "prohibited_item")
    np.testing.assert_array_equal(image_model().answer([image]).log_odds, before)
    assert all(
        parameter.grad is None or not parameter.grad.any()
        for parameter in image_model().net.vit.parameters()
    )


def test_moments_of_motion_are_found():
    kinds = parts()[2].clip_kinds
    fight = parts()[2].clips[kinds.index("fight")]
    still = np.repeat(fight[:1], len(fight), axis=0)
    clip = np.concatenate([still, fight])
    segments = explain_video(video_model(), clip, "violence", segments=4)
    assert segments[0].begin == 0.0
    assert segments[-1].end == 1.0
    assert all(a.end == b.begin for a, b in pairwise(segments))
    assert max(segment.share for segment in segments[2:]) > max(
        segment.share for segment in segments[:1]
    )


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
        text for text, kind in zip(pieces.texts, pieces.text_kinds, strict=True) if kind == "hate"
    ]
    faithfulness = text_faithfulness(text_model(), texts[:20], "hate", orders=5, seed=1)
    assert faithfulness.items == 20
    assert faithfulness.gain.low > 0.0
    assert faithfulness.explained < faithfulness.random


def test_explanations_of_images_beat_chance():
    pieces = parts()[2]
    crosses = [
        image
        for image, kind in zip(pieces.images, pieces.image_kinds, strict=True)
        if kind == "cross"
    ]
    faithfulness = image_faithfulness(
        image_model(), crosses[:12], "prohibited_item", orders=3, seed=1
    )
    assert faithfulness.items == 12
    assert faithfulness.gain.low > 0.0
    assert faithfulness.moved_gain is not None
    assert faithfulness.moved_gain.low > 0.0


def test_the_deletion_area_is_that_of_the_curve():
    def probabilities_of(deleted):
        return np.array([1.0 if 0 not in indices else 0.0 for indices in deleted])

    first, last = np.arange(4), np.arange(4)[::-1]
    assert deletion_area(probabilities_of, first, steps=4) == pytest.approx(0.125)
    assert deletion_area(probabilities_of, last, steps=4) == pytest.approx(0.875)
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
    heat_maps = [moved(heat, np.random.default_rng(k)) for k in range(20)]
    assert all(sorted(heat_map.ravel()) == sorted(heat.ravel()) for heat_map in heat_maps)
    assert len({heat_map.tobytes() for heat_map in heat_maps}) > 15
