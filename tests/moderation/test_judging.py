"""What the model is worth is measured as the words say."""

from __future__ import annotations

import json

import numpy as np
import pytest

from jobs.moderation.simulate import policies_text
from lib.calibration import sigmoid
from lib.moderation.model.comparison import FittedModel, evaluate
from lib.moderation.model.evaluation import (
    accuracy_at,
    by_pattern,
    calibration_errors,
    compare,
    failed_share,
    precision_recall,
    risk_coverage,
)
from lib.moderation.model.outputs import ModalityAnswer, Presence
from lib.moderation.model.report import Subject, training_report
from lib.moderation.model.splits import PARTS, PostSplit
from lib.moderation.policies import load_policies
from lib.report import render_page
from tests.moderation.small_model import model, unseen_posts


def drawn(count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    odds = rng.normal(0, 2, (count, 1))
    return odds, (rng.random((count, 1)) < sigmoid(odds)).astype(float)


def test_true_probabilities_are_calibrated_and_halved_ones_are_not():
    odds, targets = drawn()
    assert calibration_errors(odds, targets, ("a",))["a"] < 0.025
    assert calibration_errors(odds / 3.0, targets, ("a",))["a"] > 0.1
    assert calibration_errors(odds, np.full_like(targets, np.nan), ("a",)) == {}


def test_the_doubtful_posts_go_to_people_first():
    odds = np.array([[4.0, -4.0], [0.1, -5.0], [-3.0, 3.0], [-2.0, -2.0]])
    targets = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, np.nan]])
    coverage, accuracy = risk_coverage(odds, targets)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert accuracy.tolist() == [1.0, 1.0, 1.0, 0.75]
    assert accuracy_at(odds, targets, 0.75) == 1.0
    assert accuracy_at(odds, targets, 1.0) == 0.75


def test_fusion_is_compared_with_the_better_modality():
    odds, targets = drawn(600)
    noise = np.random.default_rng(2).normal(size=(600, 1))
    width = np.zeros((600, 1), dtype=np.float32)
    answers = {"text": ModalityAnswer(width, noise), "image": ModalityAnswer(width, odds)}
    presence = np.tile(np.array([1, 1, 0], dtype=np.int8), (600, 1))
    (same,) = compare(odds, answers, presence, targets, ("a",), seed=1)
    assert (same.pattern, same.modality) == ("text+image", "image")
    assert same.difference == same.low == same.high == 0.0
    (worse,) = compare(noise, answers, presence, targets, ("a",), seed=1)
    assert worse.high < 0.0
    assert compare(odds, answers, presence, np.zeros_like(targets), ("a",), seed=1) == []


def test_patterns_are_judged_apart():
    odds, targets = drawn(400)
    presence = np.zeros((400, 3), dtype=np.int8)
    presence[:, 0], presence[:30, 1], presence[:40, 2] = 1, 1, 2
    assert set(by_pattern(odds, presence, targets, ("a",))) == {"text"}
    assert failed_share(presence) == pytest.approx(0.1)


def test_precision_and_recall_are_those_at_the_threshold():
    odds = np.array([[2.0], [1.0], [-1.0], [-2.0]])
    measures = precision_recall(odds, np.array([[1.0], [0.0], [1.0], [0.0]]), {"a": 0.5})["a"]
    assert (measures["precision"], measures["recall"], measures["prevalence"]) == (0.5, 0.5, 0.5)
    assert precision_recall(odds, np.zeros((4, 1)), {"a": 0.5}) == {}


def test_the_report_says_what_was_measured():
    posts, _, answers = unseen_posts()
    count = len(posts)
    fit = FittedModel(
        model=model(),
        policies=load_policies(policies_text()),
        answers=answers,
        presence=posts.presence,
        targets=posts.targets,
        texts=[""] * count,
        authors=np.arange(count) % 90,
        languages=[None] * count,
        reach=np.zeros(count),
    )
    media = {"rows_in": 9, "repeats": 0, "quarantined": 3, "reasons": {"truncated": 3}}
    note = {"posts": 9, "labelled": 9, "media": 6, "broken_media": {}, "repeated_posts": 0}
    part = np.array([PARTS.index(name) for name in ("members", "fusion", "test")])
    split = PostSplit(part, np.zeros(3, dtype=bool), np.zeros(3, dtype=np.int64), 0)
    subject = Subject("made up", True, note | {"tables": {"media": media}}, split, fit, seed=1)
    report = training_report(subject, evaluate(fit, seed=1, repeats=20))
    page = render_page(report)
    assert "simulated posts; made up" in page
    assert "media: truncated" in page
    accuracy = accuracy_at(fit.log_odds, posts.targets, 0.8)
    assert report.facts["accuracy_at_coverage"]["0.8"] == accuracy
    assert report.facts["training_posts"] == 2
    json.dumps(report.facts, allow_nan=False)


def test_scores_of_different_turns_are_not_ranked_together():
    """Two models that rank alike and count from different zeros are as good as one."""
    rng = np.random.default_rng(6)
    truth = rng.random((600, 1)) < 0.4
    odds = 2.0 * truth + rng.normal(size=(600, 1))
    turns = np.arange(600) % 2
    answers = {"text": ModalityAnswer(np.zeros((600, 1), np.float32), odds)}
    presence = np.tile([Presence.PRESENT, Presence.ABSENT, Presence.ABSENT], (600, 1))
    moved = odds + 9.0 * turns[:, None]
    targets = truth.astype(float)
    (apart,) = compare(moved, answers, presence, targets, ("a",), seed=1, turns=turns)
    (mixed,) = compare(moved, answers, presence, targets, ("a",), seed=1)
    assert (apart.low, apart.difference, apart.high) == (0.0, 0.0, 0.0)
    assert mixed.high < 0.0
