"""Posts composed of tweets, pictures and clips that no model learnt from: what fusion is worth."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from lib.moderation.composer.composing import COMPOSED_POLICIES, Composed, Recipe, compose
from lib.moderation.composer.pieces import Pieces
from lib.moderation.model.answers import ModalityAnswer, joined
from lib.moderation.model.fitting import Runtime
from lib.moderation.model.fusing import calibrate, fit_fusion
from lib.moderation.model.fusion import Fusion
from lib.moderation.model.heads import with_head
from lib.moderation.model.image import ImageModel
from lib.moderation.model.judging import (
    accuracy_at,
    by_pattern,
    calibration_errors,
    compare,
    precision_recall,
)
from lib.moderation.model.moderation_model import thresholds_of
from lib.moderation.model.sizes import SMALL
from lib.moderation.model.splitting import split_groups
from lib.moderation.model.text import TextModel
from lib.moderation.model.training import Run
from tests.benchmarks.moderating.fights import Fights
from tests.benchmarks.moderating.pictures import Pictures
from tests.benchmarks.moderating.tweets import Tweets

RECIPE = Recipe(
    prohibited=frozenset({"airplane", "ship"}), context=frozenset({"automobile", "truck"})
)
"""Stand-ins: aircraft and ships are prohibited; a road vehicle beside a neutral text violates."""

_KINDS = {0: "hate", 1: "offensive", 2: "neutral"}
_SHARES = (0.35, 0.15, 0.2, 0.3)
# about as many posts as there are texts, so that pieces are seldom used twice
_POSTS = (3_000, 1_400, 2_000, 3_000)
_LEARN, _GUARD, _CALIBRATE, _TEST = range(4)


@dataclass(frozen=True)
class Mixed:
    """Pieces that no model learnt from, what the models say of them, and their parts.

    Attributes:
        pieces: contents are left out; kinds are all that composing needs.
        answers: by modality, a row for each piece.
        parts: for fusion, its guard, calibration and the test: places of texts, images and clips.
    """

    pieces: Pieces
    answers: dict[str, ModalityAnswer]
    parts: tuple[tuple[NDArray[np.int64], ...], ...]


def mix(
    tweets: Tweets,
    text: TextModel,
    pictures: Pictures,
    image: ImageModel,
    fights: Fights,
    fight_odds: NDArray[np.float64],
    seed: int,
) -> Mixed:
    """Test tweets, test pictures, and all clips by the fold that never saw them.

    Clips come into fusion by their log-odds alone, since embeddings of five folds are not of one
    space. Parts of clips share no scene.
    """
    texts = [tweets.texts[k] for k in tweets.test.tolist()]
    violence = np.zeros((len(fight_odds), len(COMPOSED_POLICIES)))
    violence[:, COMPOSED_POLICIES.index("violence")] = fight_odds
    answers = {
        "text": text.answer(texts),
        "image": policy_head(pictures, image).answer_squares(pictures.pixels[pictures.test]),
        "video": ModalityAnswer(np.zeros((len(violence), 1), dtype=np.float32), violence),
    }
    pieces = Pieces(
        ("",) * len(texts),
        tuple(_KINDS[int(one)] for one in tweets.classes[tweets.test]),
        (np.zeros((1, 1, 3), dtype=np.uint8),) * len(pictures.test),
        tuple(pictures.kinds[k] for k in pictures.test.tolist()),
        (np.zeros((1, 1, 1, 3), dtype=np.uint8),) * len(fight_odds),
        tuple("fight" if one else "calm" for one in fights.fights),
    )
    split = [
        split_groups(pieces.text_kinds, np.arange(len(texts)), _SHARES, seed),
        split_groups(pieces.image_kinds, np.arange(len(pictures.test)), _SHARES, seed),
        split_groups(pieces.clip_kinds, fights.scenes, _SHARES, seed),
    ]
    return Mixed(pieces, answers, tuple(zip(*split, strict=True)))


def policy_head(pictures: Pictures, image: ImageModel) -> ImageModel:
    """The image model of ten kinds with a head for the policies, on training pictures."""
    train = image.answer_squares(pictures.pixels[pictures.train])
    kinds = np.array(pictures.kinds)[pictures.train]
    neutral = RECIPE.text_shares["neutral"]
    targets = np.full((len(kinds), len(COMPOSED_POLICIES)), np.nan)
    targets[:, 3] = np.isin(kinds, sorted(RECIPE.prohibited))
    targets[:, 4] = neutral * np.isin(kinds, sorted(RECIPE.context))
    return with_head(image, COMPOSED_POLICIES, train.embeddings, targets)


def posts_of(mixed: Mixed, part: int, seed: int) -> tuple[Composed, dict[str, ModalityAnswer]]:
    """Posts of one part, and what each modality says of each post."""
    texts, images, clips = mixed.parts[part]
    posts = compose(mixed.pieces.take(texts, images, clips), _POSTS[part], RECIPE, seed + part)
    places = {
        "text": (texts, posts.text),
        "image": (images, posts.image),
        "video": (clips, posts.clip),
    }
    return posts, {
        name: mixed.answers[name].take(rows[np.maximum(drawn, 0)])
        for name, (rows, drawn) in places.items()
    }


def judge_mixed(mixed: Mixed, seed: int, runtime: Runtime) -> dict[str, object]:
    """Fusion against each best single modality, calibration, and what can be left to it."""
    learn, learn_told = posts_of(mixed, _LEARN, seed)
    guard, guard_told = posts_of(mixed, _GUARD, seed)
    told = {name: joined([one, guard_told[name]]) for name, one in learn_told.items()}
    fusion = fit_fusion(
        told,
        np.concatenate([learn.presence, guard.presence]),
        np.concatenate([learn.targets, guard.targets]),
        COMPOSED_POLICIES,
        np.arange(len(learn), len(learn) + len(guard)),
        SMALL.fusion,
        Run(seed, runtime),
    )
    other, other_told = posts_of(mixed, _CALIBRATE, seed)
    fusion = calibrate(fusion, other_told, other.presence, other.targets)
    thresholds = thresholds_of(
        fusion.answer(other_told, other.presence), other.targets, COMPOSED_POLICIES
    )
    return _figures(fusion, *posts_of(mixed, _TEST, seed), thresholds, seed)


def _figures(
    fusion: Fusion,
    posts: Composed,
    told: dict[str, ModalityAnswer],
    thresholds: dict[str, float],
    seed: int,
) -> dict[str, object]:
    odds = fusion.answer(told, posts.presence)
    raw = fusion.unguarded(told, posts.presence)
    compared = compare(odds, told, posts.presence, posts.targets, COMPOSED_POLICIES, seed)
    by_name: dict[str, dict[str, object]] = {}
    for one in compared:
        row = asdict(one)
        pattern, policy = row.pop("pattern"), row.pop("policy")
        by_name.setdefault(pattern, {})[policy] = row
    before, after = (
        calibration_errors(one, posts.targets, COMPOSED_POLICIES) for one in (raw, odds)
    )
    return {
        "fusion": {
            name: {
                "fused": float(np.mean([row["fused"] for row in rows.values()])),  # type: ignore[index]
                "best_single": float(np.mean([row["best_single"] for row in rows.values()])),  # type: ignore[index]
                "policies": rows,
            }
            for name, rows in by_name.items()
        },
        "worse_than_single": sum(one.high < 0.0 for one in compared),
        "compared": len(compared),
        "ece_before": max(before.values()),
        "ece_after": max(after.values()),
        "ece_before_mean": float(np.mean(list(before.values()))),
        "ece_after_mean": float(np.mean(list(after.values()))),
        "ece_before_by_policy": before,
        "ece_after_by_policy": after,
        "ece_after_by_pattern": by_pattern(odds, posts.presence, posts.targets, COMPOSED_POLICIES),
        "policies": precision_recall(odds, posts.targets, thresholds),
        "accuracy_at_80_coverage": accuracy_at(odds, posts.targets, 0.8),
        "accuracy_at_100_coverage": accuracy_at(odds, posts.targets, 1.0),
        "always_allow_accuracy": float((posts.targets == 0).all(axis=1).mean()),
        "composed_test_posts": len(posts),
    }
