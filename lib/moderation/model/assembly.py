"""The whole model from labelled posts: members first, then fusion, then calibration.

Each step learns from posts that the steps before it did not see, for what a member says of posts it
learnt from is surer than what it will say of others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lib.moderation.model.answers import Floats, Ints, ModalityAnswer, ModelError
from lib.moderation.model.fitting import Checkpoint
from lib.moderation.model.frames import evenly_spaced
from lib.moderation.model.fusing import calibrate, fit_fusion
from lib.moderation.model.image import ImageModel
from lib.moderation.model.inputs import Batch, PostInputs, batch_of
from lib.moderation.model.moderation_model import ModerationModel, answers_of, thresholds_of
from lib.moderation.model.pixels import squares
from lib.moderation.model.sizes import Size
from lib.moderation.model.splitting import split_groups
from lib.moderation.model.text import TextModel
from lib.moderation.model.training import Run, fit_image, fit_text, fit_video
from lib.moderation.model.video import VideoModel

MEMBERS, FUSION, CALIBRATION, TEST = 0, 1, 2, 3
PARTS = ("members", "fusion", "calibration", "test")
_SHARES = (0.5, 0.2, 0.15, 0.15)
# of the members' and of fusion's posts, every so many choose blend and guard
_HELD_EVERY = 6
# inputs of a modality below which no member is fitted
_LEAST = 20
Stage = Callable[[str], Run]
"""Takes the name of a stage (text, image, video, fusion) and answers how it is run."""


@dataclass(frozen=True)
class Assembled:
    """A fitted model and which posts each step was given.

    Attributes:
        model: all of it.
        parts: rows of the posts of each of `PARTS`; nothing learnt from the last.
        answers: by modality, of the test posts.
    """

    model: ModerationModel
    parts: tuple[Ints, ...]
    answers: Mapping[str, ModalityAnswer]


def split_posts(targets: Floats, groups: Sequence[str], seed: int) -> tuple[Ints, ...]:
    """Rows for each of `PARTS`, posts of one author in one part, violations alike in all.

    Args:
        targets: (n, policies) within 0 and 1; NaN unknown.
        groups: whose each post is.
        seed: of the draw.
    """
    worst = np.where(np.isnan(targets), -1.0, targets)
    kinds = [str(int(row.argmax())) if row.max() >= 0.5 else "none" for row in worst]
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    return split_groups(kinds, codes, _SHARES, seed)


def assemble(
    posts: Sequence[PostInputs],
    targets: Floats,
    policies: Sequence[str],
    parts: tuple[Ints, ...],
    size: Size,
    stage: Stage,
) -> Assembled:
    """A model of posts; modalities with fewer than 20 posts to learn from get no member.

    Args:
        posts: (n,) decoded.
        targets: (n, policies) within 0 and 1, a share where several people decided; NaN unknown.
        policies: names.
        parts: see `split_posts`.
        size: of all members.
        stage: how each stage is run; see `stages`.

    Raises:
        ModelError: targets are not those of the posts, or no modality has enough posts.
    """
    if targets.shape != (len(posts), len(policies)):
        raise ModelError(
            f"targets: expected shape ({len(posts)}, {len(policies)}), got {targets.shape}"
        )
    batch, labels = _part(posts, targets, parts[MEMBERS])
    text = _text(batch, labels, policies, size, stage)
    image = _image(batch, labels, policies, size, stage)
    video = _video(batch, labels, policies, size, stage)
    if text is None and image is None and video is None:
        raise ModelError(f"posts: expected at least {_LEAST} with a text, an image or a video")
    batch, labels = _part(posts, targets, parts[FUSION])
    held = np.arange(0, len(batch), _HELD_EVERY)
    told = answers_of(batch, text, image, video)
    marks = batch.presence
    fusion = fit_fusion(told, marks, labels, policies, held, size.fusion, stage("fusion"))
    batch, labels = _part(posts, targets, parts[CALIBRATION])
    told = answers_of(batch, text, image, video)
    fusion = calibrate(fusion, told, batch.presence, labels)
    thresholds = thresholds_of(fusion.answer(told, batch.presence), labels, policies)
    model = ModerationModel(fusion, text, image, video, thresholds)
    batch, _ = _part(posts, targets, parts[TEST])
    return Assembled(model, parts, model.answers(batch))


def stages(run: Run, on_epoch: Callable[[str, Checkpoint], None] | None = None) -> Stage:
    """Stages that are all run alike, whose checkpoints are told with the stage's name."""

    def stage(name: str) -> Run:
        told = None if on_epoch is None else lambda one: on_epoch(name, one)
        return Run(run.seed, run.runtime, told)

    return stage


def _text(
    batch: Batch, labels: Floats, policies: Sequence[str], size: Size, stage: Stage
) -> TextModel | None:
    if len(batch.texts) < _LEAST:
        return None
    held = np.arange(0, len(batch.texts), _HELD_EVERY)
    return fit_text(batch.texts, labels[batch.text_rows], policies, held, size.text, stage("text"))


def _image(
    batch: Batch, labels: Floats, policies: Sequence[str], size: Size, stage: Stage
) -> ImageModel | None:
    if len(batch.images) < _LEAST:
        return None
    pixels = squares(batch.images, size.image.side)
    return fit_image(pixels, labels[batch.image_rows], policies, size.image, stage("image"))


def _video(
    batch: Batch, labels: Floats, policies: Sequence[str], size: Size, stage: Stage
) -> VideoModel | None:
    if len(batch.clips) < _LEAST:
        return None
    frames = [evenly_spaced(one, size.video.frames, size.video.side) for one in batch.clips]
    held = np.arange(0, len(frames), _HELD_EVERY)
    return fit_video(
        np.stack(frames), labels[batch.clip_rows], policies, held, size.video, stage("video")
    )


def _part(posts: Sequence[PostInputs], targets: Floats, rows: Ints) -> tuple[Batch, Floats]:
    return batch_of([posts[row] for row in rows.tolist()]), targets[rows]
