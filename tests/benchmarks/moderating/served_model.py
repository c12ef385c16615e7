"""Models of the sizes that are served, for figures of speed: their answers mean nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from lib.moderation.model.fitting import Runtime
from lib.moderation.model.fusion_training import fit_fusion
from lib.moderation.model.model import ModerationModel
from lib.moderation.model.model_config import LARGE, SMALL, ModelConfig, TrainingConfig
from lib.moderation.model.outputs import ModalityAnswer
from lib.moderation.model.pixels import evenly_spaced, squares
from lib.moderation.model.training import Run, fit_image, fit_text, fit_video
from lib.moderation.post import MODALITIES
from lib.moderation.synthetic.composing import COMPOSED_POLICIES, Composed, compose
from lib.moderation.synthetic.pieces import Pieces
from lib.moderation.synthetic.simulated import SIMULATED_RECIPE, simulated_pieces
from lib.registry import Registry, TrainingRecord
from tests.moderation.composed_posts import piece_targets

CREATED_AT = 1_795_428_900_000_000
_UNTRAINED = TrainingConfig(epochs=0)
_TEXTS, _IMAGES, _CLIPS, _POSTS = 300, 24, 12, 2_000
_SHARE = 0.02


def size_of(name: str) -> ModelConfig:
    """`small` or `large`, none of whose weights is learnt here.

    BERT-base of `large` is built from fresh weights too: none can be fetched everywhere. Its
    vocabulary is that of simulated texts.
    """
    size = {"small": SMALL, "large": LARGE}[name]
    text = replace(size.text, learning=_UNTRAINED)
    if name == "large":
        text = replace(text, encoder=None, hidden=768, layers=12, heads=12, vocabulary=30_522)
    return replace(
        size,
        text=text,
        image=replace(size.image, learning=_UNTRAINED),
        video=replace(size.video, learning=_UNTRAINED),
        fusion=replace(size.fusion, learning=TrainingConfig(epochs=4, batch=256, rate=2e-3)),
    )


def published(size: ModelConfig, folder: Path) -> Path:
    """A registry whose champion has that size."""
    version = Registry(folder / "registry").publish(_saved(size, folder / "model"), "moderation")
    Registry(folder / "registry").set_alias(
        "moderation", "champion", version, at=CREATED_AT, by="benchmark"
    )
    return folder / "registry"


def _saved(size: ModelConfig, directory: Path) -> Path:
    run = Run(seed=3, runtime=Runtime(threads=1))
    pieces = simulated_pieces(_TEXTS, _IMAGES, _CLIPS, seed=1)
    posts = compose(pieces, _POSTS, SIMULATED_RECIPE, seed=2)
    model = _model(size, pieces, posts, run)
    record = TrainingRecord(CREATED_AT, "0" * 64, "benchmark", size.to_json(), {})
    model.save(directory, record)
    return directory


def _model(size: ModelConfig, pieces: Pieces, posts: Composed, run: Run) -> ModerationModel:
    policies, empty = COMPOSED_POLICIES, np.zeros(0, dtype=np.int64)
    targets = {name: piece_targets(posts, name, count) for name, count in _counts(pieces).items()}
    clips = [evenly_spaced(clip, size.video.frames, size.video.side) for clip in pieces.clips]
    text = fit_text(pieces.texts, targets["text"], policies, empty, size.text, run)
    images = squares(pieces.images, size.image.side)
    image = fit_image(images, targets["image"], policies, size.image, run)
    video = fit_video(np.stack(clips), targets["video"], policies, empty, size.video, run)
    # fusion learns that few posts break a policy, so that nearly all are allowed, as in real life
    rng = np.random.default_rng(run.seed)
    rare = (rng.random((_POSTS, len(policies))) < _SHARE).astype(np.float64)
    answers = {
        name: ModalityAnswer(
            rng.normal(size=(_POSTS, member.width)).astype(np.float32),
            rng.normal(size=(_POSTS, len(policies))),
        )
        for name, member in zip(MODALITIES, (text, image, video), strict=True)
    }
    folds = np.arange(_POSTS) % 4
    fused = fit_fusion(answers, posts.presence, rare, policies, folds, size.fusion, run)
    return ModerationModel(fused.fusion, text, image, video, dict.fromkeys(policies, 0.5))


def _counts(pieces: Pieces) -> dict[str, int]:
    return dict(zip(MODALITIES, map(len, (pieces.texts, pieces.images, pieces.clips)), strict=True))
