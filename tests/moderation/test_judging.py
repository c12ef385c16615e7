"""What the model is worth is measured as the words say."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lib.calibration import logit, sigmoid
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
from lib.moderation.model.report import Measured, training_report
from lib.report import render_page
from tests.moderation.small_model import POLICIES, model, unseen_posts


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
    posts, probabilities, answers = unseen_posts()
    odds = logit(probabilities.clip(1e-9, 1 - 1e-9))
    tested = Measured(
        source="made up",
        simulated=True,
        policies=POLICIES,
        log_odds=odds,
        targets=posts.targets,
        presence=posts.presence,
        answers=answers,
        authors=[f"{k % 90}" for k in range(len(odds))],
        thresholds=model().thresholds,
        training_posts=10,
        quarantined={"image: truncated": 3},
        seed=1,
    )
    report = training_report(tested)
    page = render_page(report)
    assert "simulated posts; made up" in page
    assert "image: truncated" in page
    assert report.facts["accuracy_at_coverage"]["0.8"] == accuracy_at(odds, posts.targets, 0.8)
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
