"""A tiny model of simulated posts, fitted once for all tests that need one."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from lib.calibration import sigmoid
from lib.moderation.model.fitting import Runtime
from lib.moderation.model.fusion_training import fit_fusion
from lib.moderation.model.image import ImageModel
from lib.moderation.model.inputs import batch_of
from lib.moderation.model.model import ModerationModel, answers_of, thresholds_of
from lib.moderation.model.model_config import TINY
from lib.moderation.model.outputs import ModalityAnswer
from lib.moderation.model.pixels import evenly_spaced, squares
from lib.moderation.model.text import TextModel
from lib.moderation.model.training import Run, fit_image, fit_text, fit_video
from lib.moderation.model.video import VideoModel
from lib.moderation.synthetic.composing import COMPOSED_POLICIES, Composed, compose
from lib.moderation.synthetic.pieces import Pieces
from lib.moderation.synthetic.simulated import SIMULATED_RECIPE, simulated_pieces
from lib.registry import TrainingRecord
from tests.moderation.composed_posts import inputs_of, piece_targets, split_pieces

POLICIES = COMPOSED_POLICIES
RUN = Run(seed=3, runtime=Runtime(threads=1))


@cache
def parts() -> tuple[Pieces, Pieces, Pieces]:
    """Pieces for the modalities' models, for fusion, and for tests."""
    fit, fuse, test = split_pieces(simulated_pieces(450, 480, 120, seed=1), (0.5, 0.3, 0.2), 1)
    return fit, fuse, test


@cache
def fit_posts() -> Composed:
    return compose(parts()[0], 1200, SIMULATED_RECIPE, seed=4)


@cache
def text_model() -> TextModel:
    texts = parts()[0].texts
    targets = piece_targets(fit_posts(), "text", len(texts))
    return fit_text(texts, targets, POLICIES, np.arange(0, len(texts), 6), TINY.text, RUN)


@cache
def image_model() -> ImageModel:
    images = squares(parts()[0].images, TINY.image.side)
    targets = piece_targets(fit_posts(), "image", len(images))
    return fit_image(images, targets, POLICIES, TINY.image, RUN)


@cache
def video_model() -> VideoModel:
    size = TINY.video
    clips = np.stack([evenly_spaced(clip, size.frames, size.side) for clip in parts()[0].clips])
    targets = piece_targets(fit_posts(), "video", len(clips))
    return fit_video(clips, targets, POLICIES, np.arange(0, len(clips), 4), size, RUN)


def answers(posts: Composed, pieces: Pieces) -> dict[str, ModalityAnswer]:
    return answers_of(
        batch_of(inputs_of(posts, pieces)), text_model(), image_model(), video_model()
    )


@cache
def fuse_posts() -> tuple[Composed, dict[str, ModalityAnswer]]:
    posts = compose(parts()[1], 1100, SIMULATED_RECIPE, seed=5)
    return posts, answers(posts, parts()[1])


@cache
def model() -> ModerationModel:
    posts, member_answers = fuse_posts()
    folds = np.arange(len(posts)) % 4
    fused = fit_fusion(
        member_answers, posts.presence, posts.targets, POLICIES, folds, TINY.fusion, RUN
    )
    thresholds = thresholds_of(fused.log_odds, posts.targets, POLICIES)
    return ModerationModel(fused.fusion, text_model(), image_model(), video_model(), thresholds)


@cache
def unseen_posts() -> tuple[Composed, np.ndarray, dict[str, ModalityAnswer]]:
    """Posts of pieces that nothing learnt from, their probabilities and the members' answers."""
    posts = compose(parts()[2], 700, SIMULATED_RECIPE, seed=6)
    member_answers = answers(posts, parts()[2])
    return posts, sigmoid(model().fusion.answer(member_answers, posts.presence)), member_answers


def save(model: ModerationModel, folder: Path) -> Path:
    model.save(folder, TrainingRecord(1_795_428_900_000_000, "f" * 64, "test", {}, {}))
    return folder
