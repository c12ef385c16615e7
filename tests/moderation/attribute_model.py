"""The tiny model with attributes of posts, of which some tell violations by design."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from lib.calibration import sigmoid
from lib.feature.attribute_values import AttributeValue, encode_attributes
from lib.feature.attributes import Attribute
from lib.moderation.model.attribute_training import AttributeSamples
from lib.moderation.model.fusion_training import Fused, fit_fusion
from lib.moderation.model.model import ModerationModel, thresholds_of
from lib.moderation.model.model_config import TINY
from lib.moderation.model.outputs import Floats, ModalityAnswer
from lib.moderation.synthetic.composing import Composed, compose
from lib.moderation.synthetic.simulated import SIMULATED_RECIPE
from tests.moderation.small_model import (
    POLICIES,
    RUN,
    answers,
    fuse_posts,
    image_model,
    parts,
    text_model,
    video_model,
)

GROUP = Attribute(
    "group", "category", words="group that the post is in", encoding="code",
    vocabulary=("chess", "politics"),
)  # fmt: skip
AGE = Attribute("account_age", "number", "days", "age of the account", low=0.0, high=36500.0)
EMULATED = Attribute("emulated", "flag")
CHANNEL = Attribute(
    "channel", "category", encoding="rate", vocabulary=tuple(f"channel {k}" for k in range(40))
)
ATTRIBUTES = (GROUP, AGE, EMULATED, CHANNEL)
Row = dict[str, AttributeValue]
_SIZE = replace(TINY.fusion, learning=replace(TINY.fusion.learning, epochs=8))


def drawn_rows(count: int, seed: int) -> list[Row]:
    """Attributes of posts, some missing or never seen."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for _ in range(count):
        own: Row = {
            "group": str(rng.choice(["politics", "chess", "cars"], p=[0.4, 0.55, 0.05])),
            "account_age": float(np.exp(rng.normal(4.0, 2.0))),
            "emulated": bool(rng.random() < 0.3),
            "channel": f"channel {rng.integers(0, 41)}",
        }
        rows.append({name: value for name, value in own.items() if rng.random() > 0.1})
    return rows


def told_targets(targets: Floats, rows: list[Row], seed: int) -> Floats:
    """Targets of which the last two follow from attributes as much as from what a post shows."""
    features = features_of(rows)
    young, channel = features[:, 1] < 20.0, features[:, 3]
    pulls = 2.5 * young + 1.5 * (features[:, 0] == 2.0) + 1.5 * (features[:, 2] == 1.0)
    pulls = pulls + 2.0 * ((channel > 0.0) & (channel < 11.0))
    log_odds = 3.0 * targets[:, 3:] - 4.0 + pulls[:, None]
    drawn = np.random.default_rng(seed).random(log_odds.shape) < sigmoid(log_odds)
    return np.concatenate([targets[:, :3], drawn.astype(np.float64)], axis=1)


def features_of(rows: list[Row]) -> Floats:
    """Features (n, attributes) of rows."""
    return np.stack([encode_attributes(ATTRIBUTES, row) for row in rows])


@cache
def fused_targets(*, tells: bool = True) -> Floats:
    """Targets of the posts that fusion learns from."""
    targets = fuse_posts()[0].targets
    return told_targets(targets, drawn_rows(len(targets), 11 if tells else 12), 13)


def samples() -> AttributeSamples:
    """Attributes of the posts that fusion learns from, and of others."""
    count = len(fuse_posts()[0])
    rated = drawn_rows(2 * count, 14)
    return AttributeSamples(
        ATTRIBUTES,
        features_of(drawn_rows(count, 11)),
        np.arange(count) // 2,
        features_of(rated),
        told_targets(np.tile(fuse_posts()[0].targets, (2, 1)), rated, 15),
    )


@cache
def fused_with(own: bool, *, tells: bool = True) -> Fused:
    """The tiny model's fusion of these targets, with attributes or without.

    Args:
        own: whether it is given attributes.
        tells: whether targets follow from the attributes of the posts or from those of others.
    """
    posts, member_answers = fuse_posts()
    folds = np.arange(len(posts)) % 4
    targets = fused_targets(tells=tells)
    return fit_fusion(
        member_answers, posts.presence, targets, POLICIES, folds, _SIZE, RUN,
        samples() if own else None,
    )  # fmt: skip


@cache
def unseen() -> tuple[Composed, dict[str, ModalityAnswer], Floats, Floats]:
    """Posts that nothing learnt from, with answers of modalities, features and targets."""
    posts = compose(parts()[2], 500, SIMULATED_RECIPE, seed=6)
    rows = drawn_rows(len(posts), 21)
    own = told_targets(posts.targets, rows, 22)
    return posts, answers(posts, parts()[2]), features_of(rows), own


@cache
def attributed_model() -> ModerationModel:
    """The tiny model with attributes."""
    fused = fused_with(True)
    thresholds = thresholds_of(fused.log_odds, fused_targets(), POLICIES)
    return ModerationModel(fused.fusion, text_model(), image_model(), video_model(), thresholds)


@cache
def plain_model() -> ModerationModel:
    """The same without attributes."""
    return replace(attributed_model(), fusion=fused_with(False).fusion)
