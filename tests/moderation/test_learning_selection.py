"""Which posts are chosen for people to label."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy

from lib.moderation.active_learning.gradients import Spread, residuals
from lib.moderation.active_learning.pool import (
    Pool,
    SelectionError,
    entropy,
    fold_plainly,
    margin,
    text_keys,
)
from lib.moderation.active_learning.selection import SelectionSettings, select_batch


def pool(count: int = 300, exclusive: bool = True, seed: int = 0, **changes: object) -> Pool:
    draw = np.random.default_rng(seed)
    log_odds = draw.normal(size=(count, 3)) * 2
    odds = np.exp(log_odds)
    fields: dict[str, object] = {
        "embeddings": draw.normal(size=(count, 8)).astype(np.float32),
        "probabilities": odds / odds.sum(1, keepdims=True) if exclusive else odds / (1 + odds),
        "exclusive": exclusive,
        "labelled": np.zeros(count, dtype=bool),
    }
    return Pool(**(fields | changes))


def gradients_by_torch(candidates: Pool) -> np.ndarray:
    """(n, k x d) by autograd: the loss at the model's own label, by the last layer's weights."""
    gradients = []
    for row, probabilities in zip(candidates.embeddings, candidates.probabilities, strict=True):
        weights = torch.zeros(candidates.probabilities.shape[1], len(row), dtype=torch.float64)
        weights.requires_grad_()
        hidden = torch.tensor(row, dtype=torch.float64)
        if candidates.exclusive:
            log_odds = torch.log(torch.tensor(probabilities)) + weights @ hidden
            target = torch.tensor(int(probabilities.argmax()))
            loss = torch.nn.functional.cross_entropy(log_odds[None], target[None])
        else:
            log_odds = torch.logit(torch.tensor(probabilities)) + weights @ hidden
            target = torch.tensor((probabilities >= 0.5).astype(float))
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                log_odds, target, reduction="sum"
            )
        loss.backward()
        gradients.append(weights.grad.numpy().ravel())
    return np.array(gradients)


@pytest.mark.parametrize("exclusive", [True, False])
def test_residual_by_embedding_is_the_gradient_that_torch_finds(exclusive):
    candidates = pool(20, exclusive)
    ours = (
        residuals(candidates.probabilities, exclusive)[:, :, None]
        * candidates.embeddings[:, None, :]
    )
    assert ours.reshape(20, -1) == pytest.approx(gradients_by_torch(candidates), abs=1e-5)


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("chunk", [7, 1000])
def test_distances_without_gradients_are_those_with_them(exclusive, chunk):
    candidates = pool(120, exclusive)
    gradients = gradients_by_torch(candidates)
    spread = Spread(candidates, chunk)
    assert spread.distances == pytest.approx((gradients**2).sum(1), abs=1e-4)
    nearest = np.full(120, np.inf)
    for row in (3, 77, 40):
        cosines = spread.choose(row)
        nearest = np.minimum(nearest, ((gradients - gradients[row]) ** 2).sum(1))
        assert spread.distances == pytest.approx(nearest, abs=1e-3)
        units = candidates.embeddings / np.linalg.norm(candidates.embeddings, axis=1, keepdims=True)
        assert cosines == pytest.approx(units @ units[row], abs=1e-5)


def test_posts_are_drawn_by_their_squared_distance():
    spread = Spread(pool(6))
    spread.distances = np.array([0.0, 1.0, 3.0, 0.0, 6.0, 90.0])
    allowed = np.array([True, True, True, True, True, False])
    generator = np.random.default_rng(1)
    drawn = np.bincount([spread.draw(allowed, generator) for _ in range(5000)], minlength=6)
    assert drawn[[0, 3, 5]].tolist() == [0, 0, 0]
    assert drawn[[1, 2, 4]] / 5000 == pytest.approx([0.1, 0.3, 0.6], abs=0.03)
    spread.distances = np.zeros(6)
    assert spread.draw(np.arange(6) == 2, generator) == 2
    assert spread.draw(np.zeros(6, dtype=bool), generator) is None


@given(
    st.integers(0, 10_000),
    st.sampled_from(["badge", "entropy", "margin", "random"]),
    st.integers(1, 80),
    st.booleans(),
)
def test_a_batch_holds_different_unlabelled_posts_the_same_for_the_same_seed(
    seed, method, size, exclusive
):
    draw = np.random.default_rng(seed)
    candidates = pool(60, exclusive, seed, labelled=draw.random(60) < 0.4)
    settings = SelectionSettings(method=method, random_share=0.1, quotas={0: 0.5})
    batch = select_batch(candidates, size, seed, settings)
    assert len(batch.rows) == len(set(batch.rows.tolist())) <= size
    assert not candidates.labelled[batch.rows].any()
    again = select_batch(candidates, size, seed, settings)
    assert batch.rows.tolist() == again.rows.tolist()
    assert len(batch.rows) >= min(size, 20) - 5


def test_the_uncertain_are_chosen_when_uncertainty_alone_decides():
    candidates = pool(200)
    for method, certainty in (
        ("entropy", -entropy(candidates.probabilities, True)),
        ("margin", margin(candidates.probabilities, True)),
    ):
        settings = SelectionSettings(method=method, random_share=0.0, same_cosine=2.0)
        batch = select_batch(candidates, 10, 1, settings)
        assert batch.rows.tolist() == np.argsort(certainty, kind="stable")[:10].tolist()


def test_entropy_is_scipys_and_margins_are_what_they_say():
    classes, policies = pool(50), pool(50, exclusive=False)
    assert entropy(classes.probabilities, True) == pytest.approx(
        scipy_entropy(classes.probabilities, axis=1)
    )
    each = np.stack([policies.probabilities, 1 - policies.probabilities])
    assert entropy(policies.probabilities, False) == pytest.approx(
        scipy_entropy(each, axis=0).sum(1)
    )
    assert margin(np.array([[0.5, 0.3, 0.2]]), True) == pytest.approx([0.2])
    assert margin(np.array([[0.9, 0.45]]), False) == pytest.approx([0.1])
    assert entropy(np.array([[1.0, 0.0]]), True).tolist() == [0.0]


def test_a_batch_by_badge_is_spread_wider_than_one_by_margin():
    draw = np.random.default_rng(3)
    # twenty crowds; the most uncertain posts are all in the first of them
    centres = draw.normal(size=(20, 8)) * 4
    crowd = np.repeat(np.arange(20), 50)
    close = np.where(crowd == 0, 0.501, 0.55 + 0.15 * draw.random(1000))
    candidates = pool(
        1000,
        embeddings=(centres[crowd] + draw.normal(size=(1000, 8)) * 0.3).astype(np.float32),
        probabilities=np.column_stack([close, 1 - close]),
    )
    crowds = {
        method: len(
            set(
                crowd[
                    select_batch(
                        candidates,
                        20,
                        1,
                        SelectionSettings(method=method, random_share=0.0, same_cosine=2.0),
                    ).rows
                ].tolist()
            )
        )
        for method in ("badge", "margin")
    }
    assert crowds["margin"] == 1
    assert crowds["badge"] >= 12


def test_a_quota_holds_for_a_rare_policy():
    draw = np.random.default_rng(5)
    rare = draw.random(2000) < 0.03
    probabilities = np.column_stack([np.where(rare, 0.3, 0.01), draw.random(2000) * 0.8 + 0.1])
    candidates = pool(
        2000,
        exclusive=False,
        probabilities=probabilities,
        embeddings=draw.normal(size=(2000, 8)).astype(np.float32),
    )
    without, with_quota = (
        select_batch(candidates, 50, 1, SelectionSettings(random_share=0.0, quotas=quotas)).rows
        for quotas in ({}, {0: 0.4})
    )
    assert (candidates.leaning == 0).tolist() == rare.tolist()
    assert (candidates.leaning == -1).any()
    assert rare[with_quota].sum() >= 20 > rare[without].sum()
    assert len(with_quota) == 50


def test_the_same_post_is_not_chosen_twice_nor_after_it_was_labelled():
    candidates = pool(400)
    keys = np.arange(400) // 4
    labelled = np.zeros(400, dtype=bool)
    labelled[::40] = True
    candidates = pool(400, keys=keys, labelled=labelled)
    rows = select_batch(candidates, 100, 1, SelectionSettings(random_share=0.0)).rows
    assert len(rows) == len(set(keys[rows].tolist())) == 90
    assert not set(keys[rows].tolist()) & set(keys[labelled].tolist())


def test_posts_without_words_are_not_the_same_post():
    candidates = pool(30, keys=np.full(30, -1), labelled=np.arange(30) < 5)
    assert len(select_batch(candidates, 25, 1, SelectionSettings(random_share=0.0)).rows) == 25


def test_embeddings_that_point_the_same_way_are_the_same_post():
    half = np.random.default_rng(2).normal(size=(100, 16)).astype(np.float32)
    candidates = pool(200, embeddings=np.concatenate([half, half * 3 + 1e-4]))
    rows = select_batch(candidates, 200, 1, SelectionSettings(random_share=0.0)).rows
    assert len(rows) == 100
    assert len(set((rows % 100).tolist())) == 100


def test_the_random_share_measures_the_pool_without_bias():
    draw = np.random.default_rng(4)
    candidates = pool(1000, keys=np.arange(1000) // 2, labelled=draw.random(1000) < 0.2)
    violates = candidates.probabilities[:, 0] > 0.6
    truth = violates[~candidates.labelled].mean()
    estimates, active = [], []
    for seed in range(300):
        batch = select_batch(candidates, 100, seed, SelectionSettings(random_share=0.1))
        assert batch.random.sum() == 10
        propensity = batch.propensity[batch.random]
        assert propensity == pytest.approx(10 / (~candidates.labelled).sum())
        assert np.isnan(batch.propensity[~batch.random]).all()
        weights = 1.0 / propensity
        estimates.append((weights * violates[batch.rows[batch.random]]).sum())
        if seed < 20:
            active.append(violates[batch.rows[~batch.random]].mean())
    mean = np.mean(estimates) / (~candidates.labelled).sum()
    error = np.std(estimates) / (~candidates.labelled).sum() / np.sqrt(300)
    assert abs(mean - truth) < 4 * error
    assert abs(np.mean(active) - truth) > 4 * error


def test_memory_does_not_grow_with_classes_by_dimensions(tmp_path):
    count, width = 100_000, 64
    draw = np.random.default_rng(1)
    np.save(tmp_path / "embeddings.npy", draw.normal(size=(count, width)).astype(np.float32))
    odds = draw.random((count, 10)).astype(np.float32)
    candidates = pool(
        count,
        embeddings=np.load(tmp_path / "embeddings.npy", mmap_mode="r"),
        probabilities=odds / odds.sum(1, keepdims=True),
    )
    tracemalloc.start()
    select_batch(candidates, 5, 1, SelectionSettings(random_share=0.0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6 < count * width * 10 * 4


def test_keys_tell_the_same_words_whatever_their_form():
    same = text_keys(["Hello, WORLD!", "hello world", "Ｈｅｌｌｏ－ｗｏｒｌｄ"])
    assert len(set(same.tolist())) == 1
    different = text_keys(["hello", "hell", "!!!", None, ""])
    assert different.tolist()[2:] == [-1, -1, -1]
    assert different[0] != different[1]
    assert fold_plainly("Straße") == "strasse"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labelled": np.zeros(3, dtype=bool)}, "labelled: expected 300 rows, got 3"),
        ({"probabilities": np.full((300, 2), 1.5)}, "probabilities: expected 0 to 1"),
        ({"probabilities": np.full((300, 2), np.nan)}, "probabilities: expected 0 to 1"),
        ({"probabilities": np.ones((300, 1))}, "expected two or more classes, got 1"),
        ({"embeddings": np.ones(300)}, r"expected \(n, d\) and \(n, k\)"),
    ],
)
def test_a_pool_that_cannot_be_is_refused(changes, words):
    with pytest.raises(SelectionError, match=words):
        pool(**changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "luck"}, "method: expected one of badge, entropy, margin, random, got 'luck'"),
        ({"random_share": 1.2}, "random_share: expected 0 to 1, got 1.2"),
        ({"quotas": {0: 0.7, 1: 0.5}}, "quotas: expected shares of 0 or more, 1 in all"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, words):
    with pytest.raises(SelectionError, match=words):
        SelectionSettings(**changes)


def test_a_batch_that_cannot_be_is_refused():
    with pytest.raises(SelectionError, match="size: expected 1 or more, got 0"):
        select_batch(pool(), 0, 1)
    with pytest.raises(SelectionError, match=r"quotas: expected columns 0 to 2, got \[7\]"):
        select_batch(pool(), 5, 1, SelectionSettings(quotas={7: 0.1}))
