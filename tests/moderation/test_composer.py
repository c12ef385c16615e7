"""Composed posts: labelled by their pieces, no piece on both sides of a split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.moderation.model.outputs import ModelError, Presence
from lib.moderation.synthetic.composing import COMPOSED_POLICIES, Recipe, compose, labels_of
from lib.moderation.synthetic.pieces import Pieces
from lib.moderation.synthetic.simulated import IMAGE_KINDS, SIMULATED_RECIPE, simulated_pieces
from tests.moderation.composed_posts import inputs_of, piece_targets, split_pieces


def pieces() -> Pieces:
    return simulated_pieces(60, 60, 20, seed=1)


def test_the_same_seed_gives_the_same_pieces_and_posts():
    first, second = pieces(), pieces()
    assert first.texts == second.texts
    for piece, other in zip(first.images + first.clips, second.images + second.clips, strict=True):
        np.testing.assert_array_equal(piece, other)
    again = [compose(source, 50, SIMULATED_RECIPE, seed=2) for source in (first, second)]
    np.testing.assert_array_equal(again[0].targets, again[1].targets)
    assert first.texts != simulated_pieces(60, 60, 20, seed=2).texts


def test_context_violates_only_in_combination():
    source_pieces = pieces()
    neutral, hate = (source_pieces.text_kinds.index(kind) for kind in ("neutral", "hate"))
    ring, bar = (source_pieces.image_kinds.index(kind) for kind in ("ring", "bar"))
    text = np.array([neutral, neutral, hate, neutral, -1])
    image = np.array([ring, bar, ring, -1, ring])
    labels = labels_of(source_pieces, text, image, np.full(5, -1), SIMULATED_RECIPE)
    column = COMPOSED_POLICIES.index("contextual")
    assert labels[:, column].tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert labels[:, COMPOSED_POLICIES.index("hate")].tolist() == [0.0, 0.0, 1.0, 0.0, 0.0]


def test_a_post_is_made_of_the_pieces_that_it_is_labelled_by():
    source_pieces = pieces()
    posts = compose(source_pieces, 200, SIMULATED_RECIPE, seed=3)
    inputs = inputs_of(posts, source_pieces)
    np.testing.assert_array_equal([post.presence for post in inputs], posts.presence)
    for row, post in enumerate(inputs):
        if post.text is not None:
            assert post.text == source_pieces.texts[posts.text[row]]
        if post.images:
            np.testing.assert_array_equal(post.images[0], source_pieces.images[posts.image[row]])
    fights = [k for k, kind in enumerate(source_pieces.clip_kinds) if kind == "fight"]
    violence = posts.targets[:, COMPOSED_POLICIES.index("violence")]
    np.testing.assert_array_equal(violence == 1.0, np.isin(posts.clip, fights))


def test_what_failed_to_decode_still_counts():
    source_pieces = pieces()
    recipe = Recipe(frozenset(IMAGE_KINDS), frozenset(), {("image",): 1.0}, failed=1.0)
    posts = compose(source_pieces, 20, recipe, seed=1)
    assert (posts.presence[:, 1] == Presence.FAILED).all()
    assert posts.targets[:, COMPOSED_POLICIES.index("prohibited_item")].all()
    inputs = inputs_of(posts, source_pieces)
    assert all(not post.images and post.failed == {"image"} for post in inputs)


@given(st.integers(0, 1000))
def test_no_piece_is_in_two_parts(seed):
    source_pieces = simulated_pieces(30, 18, 10, seed=1)
    tagged = Pieces(
        tuple(f"{k} {text}" for k, text in enumerate(source_pieces.texts)),
        source_pieces.text_kinds,
        source_pieces.images,
        source_pieces.image_kinds,
        source_pieces.clips,
        source_pieces.clip_kinds,
    )
    parts = split_pieces(tagged, (0.5, 0.3, 0.2), seed)
    texts = [text for part in parts for text in part.texts]
    assert sorted(texts) == sorted(tagged.texts)
    assert all(set(part.text_kinds) == set(source_pieces.text_kinds) for part in parts)
    assert sum(len(part.clips) for part in parts) == 10


def test_a_piece_is_worth_the_share_of_its_posts():
    source_pieces = pieces()
    posts = compose(source_pieces, 300, SIMULATED_RECIPE, seed=3)
    worth = piece_targets(posts, "image", len(source_pieces.images) + 1)
    column = COMPOSED_POLICIES.index("prohibited_item")
    used = np.unique(posts.image[posts.image >= 0])
    crosses = np.array([source_pieces.image_kinds[k] == "cross" for k in used.tolist()])
    np.testing.assert_array_equal(worth[used, column], crosses.astype(float))
    assert np.isnan(worth[-1]).all()


def test_what_cannot_be_composed_is_refused():
    with pytest.raises(ModelError, match="the recipe asks for image, but there is none"):
        compose(simulated_pieces(9, 0, 4, seed=1), 50, SIMULATED_RECIPE, seed=1)
    with pytest.raises(ModelError, match="expected numbers that add up to 1"):
        split_pieces(pieces(), (0.5, 0.4), 1)
    with pytest.raises(ModelError, match="expected a kind for each, got 1 and 0"):
        Pieces(("a",), (), (), (), (), ())
    with pytest.raises(ModelError, match=r"expected some of neutral, offensive, hate, got \['x'\]"):
        Pieces(("a",), ("x",), (), (), (), ())
