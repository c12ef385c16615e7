"""Posts composed of tweets, pictures and clips that no model learnt from: what fusion is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from lib.calibration import calibration_error_by_chance, sigmoid
from lib.evaluation import average_precision
from lib.moderation.model.evaluation import (
    accuracy_at,
    by_pattern,
    calibration_errors,
    compare,
)
from lib.moderation.model.fitting import Runtime
from lib.moderation.model.fusion_training import fit_fusion
from lib.moderation.model.image import ImageModel
from lib.moderation.model.inputs import Marks
from lib.moderation.model.model import thresholds_of
from lib.moderation.model.model_config import SMALL
from lib.moderation.model.outputs import Ints, ModalityAnswer, joined
from lib.moderation.model.text import TextModel
from lib.moderation.model.training import Run
from lib.moderation.synthetic.composing import COMPOSED_POLICIES, Recipe, compose
from lib.moderation.synthetic.pieces import Pieces
from tests.benchmarks.moderating.fights import Fights
from tests.benchmarks.moderating.heads import with_head
from tests.benchmarks.moderating.pictures import Pictures
from tests.benchmarks.moderating.tweets import Tweets

RECIPE = Recipe(
    prohibited=frozenset({"airplane", "ship"}), context=frozenset({"automobile", "truck"})
)
"""Stand-ins: aircraft and ships are prohibited; a road vehicle beside a neutral text violates."""

_KINDS = {0: "hate", 1: "offensive", 2: "neutral"}
_TURNS = 5
# about twice as many posts as there are texts, so that pieces are seldom used often
_POSTS = 1_900
_SHARES = (1.0 / _TURNS,) * _TURNS


@dataclass(frozen=True)
class Mixed:
    """Pieces that no model learnt from, what the models say of them, and their parts.

    Attributes:
        pieces: contents are left out; kinds are all that composing needs.
        answers: by modality, a row for each piece.
        scenes: of each clip.
        parts: five, none of which shares a piece or a scene with another: places of texts, images
            and clips.
    """

    pieces: Pieces
    answers: dict[str, ModalityAnswer]
    scenes: NDArray[np.int64]
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
        tuple(_KINDS[int(label)] for label in tweets.classes[tweets.test]),
        (np.zeros((1, 1, 3), dtype=np.uint8),) * len(pictures.test),
        tuple(pictures.kinds[k] for k in pictures.test.tolist()),
        (np.zeros((1, 1, 1, 3), dtype=np.uint8),) * len(fight_odds),
        tuple("fight" if is_fight else "calm" for is_fight in fights.fights),
    )
    split = [
        split_groups(pieces.text_kinds, np.arange(len(texts)), _SHARES, seed),
        split_groups(pieces.image_kinds, np.arange(len(pictures.test)), _SHARES, seed),
        split_groups(pieces.clip_kinds, fights.scenes, _SHARES, seed),
    ]
    return Mixed(pieces, answers, fights.scenes, tuple(zip(*split, strict=True)))


def split_groups(
    kinds: Sequence[str], groups: Sequence[int] | Ints, shares: Sequence[float], seed: int
) -> tuple[Ints, ...]:
    """Rows in parts of about the given shares such that no group is in two parts.

    Groups are dealt out largest first, each to the part that lacks most of its kind.

    Args:
        kinds: of each row.
        groups: of each row, e.g. clips cut from one film.
        shares: of each part, adding up to 1.
        seed: of the order among groups of one size.
    """
    names = sorted(set(kinds))
    codes = np.array([names.index(kind) for kind in kinds], dtype=np.int64)
    owners = np.unique(np.asarray(groups), return_inverse=True)[1]
    quotas = np.outer(shares, np.bincount(codes, minlength=len(names)))
    rng = np.random.default_rng(seed)
    counts = np.zeros((int(owners.max()) + 1, len(names)), dtype=np.int64)
    np.add.at(counts, (owners, codes), 1)
    lots = rng.random(len(counts))
    part = np.zeros(len(counts), dtype=np.int64)
    for group in np.lexsort((lots, -counts.sum(axis=1))).tolist():
        lack = (quotas * counts[group]).sum(axis=1) / counts[group].sum()
        part[group] = int(np.argmax(lack))
        quotas[part[group]] -= counts[group]
    return tuple(np.flatnonzero(part[owners] == k) for k in range(len(shares)))


def policy_head(pictures: Pictures, image: ImageModel) -> ImageModel:
    """The image model of ten kinds with a head for the policies, on training pictures."""
    train = image.answer_squares(pictures.pixels[pictures.train])
    kinds = np.array(pictures.kinds)[pictures.train]
    neutral = RECIPE.text_shares["neutral"]
    targets = np.full((len(kinds), len(COMPOSED_POLICIES)), np.nan)
    targets[:, 3] = np.isin(kinds, sorted(RECIPE.prohibited))
    targets[:, 4] = neutral * np.isin(kinds, sorted(RECIPE.context))
    return with_head(image, COMPOSED_POLICIES, train.embeddings, targets)


@dataclass(frozen=True)
class AnsweredPosts:
    """Posts and what each modality says of them.

    Attributes:
        answers: by modality, a row for each post.
        presence: (n, modalities).
        targets: (n, policies) 0 or 1.
        part: (n,) of the pieces that each post is composed of.
        groups: (n, policies) posts that stand or fall together by a policy, since one piece decides
            it in all of them: text for hate and offensive, scene for violence, image for the rest.
    """

    answers: dict[str, ModalityAnswer]
    presence: Marks
    targets: NDArray[np.float64]
    part: NDArray[np.int64]
    groups: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.part)

    def take(self, rows: NDArray[np.int64]) -> AnsweredPosts:
        """Some of them."""
        answers = {name: answer.take(rows) for name, answer in self.answers.items()}
        return AnsweredPosts(
            answers, self.presence[rows], self.targets[rows], self.part[rows], self.groups[rows]
        )


def answered_posts(mixed: Mixed, seed: int) -> AnsweredPosts:
    """Posts composed of each part's pieces, one part after another."""
    parts = [_answered_posts_part(mixed, part, seed) for part in range(_TURNS)]
    return AnsweredPosts(
        {name: joined([part.answers[name] for part in parts]) for name in mixed.answers},
        np.concatenate([part.presence for part in parts]),
        np.concatenate([part.targets for part in parts]),
        np.concatenate([part.part for part in parts]),
        np.concatenate([part.groups for part in parts]),
    )


def _answered_posts_part(mixed: Mixed, part: int, seed: int) -> AnsweredPosts:
    texts, images, clips = mixed.parts[part]
    posts = compose(mixed.pieces.take(texts, images, clips), _POSTS, RECIPE, seed + part)
    answers, deciding = {}, {}
    kinds = zip(
        ("text", "image", "video"),
        (texts, images, clips),
        (posts.text, posts.image, posts.clip),
        strict=True,
    )
    for name, rows, drawn in kinds:
        answers[name] = mixed.answers[name].take(rows[np.maximum(drawn, 0)])
        piece = mixed.scenes[rows] if name == "video" else rows
        # posts without that modality stand alone
        alone = -1 - part * _POSTS - np.arange(len(posts))
        deciding[name] = np.where(drawn >= 0, piece[np.maximum(drawn, 0)], alone)
    groups = [deciding[name] for name in ("text", "text", "video", "image", "image")]
    part_numbers = np.full(len(posts), part)
    return AnsweredPosts(
        answers, posts.presence, posts.targets, part_numbers, np.stack(groups, axis=1)
    )


def judge_mixed(mixed: Mixed, seed: int, runtime: Runtime) -> dict[str, object]:
    """Each part judged by a fusion of the other four, all parts in one table."""
    posts = answered_posts(mixed, seed)
    calibrated, raw = np.zeros(posts.targets.shape), np.zeros(posts.targets.shape)
    flagged = np.zeros(posts.targets.shape, dtype=np.bool_)
    for turn in range(_TURNS):
        learn, test = (
            posts.take(np.flatnonzero((posts.part == turn) == is_test)) for is_test in (0, 1)
        )
        rows = posts.part == turn
        fused = fit_fusion(
            learn.answers,
            learn.presence,
            learn.targets,
            COMPOSED_POLICIES,
            learn.part,
            SMALL.fusion,
            Run(seed, runtime),
        )
        calibrated[rows] = fused.fusion.answer(test.answers, test.presence)
        raw[rows] = fused.fusion.unguarded(test.answers, test.presence)
        thresholds = thresholds_of(fused.log_odds, learn.targets, COMPOSED_POLICIES)
        flagged[rows] = sigmoid(calibrated[rows]) >= np.array(list(thresholds.values()))
        print(f"  composed posts: part {turn + 1} of {_TURNS} judged", flush=True)
    return _figures(posts, calibrated, raw, flagged, seed)


def _figures(
    posts: AnsweredPosts,
    odds: NDArray[np.float64],
    raw: NDArray[np.float64],
    flagged: NDArray[np.bool_],
    seed: int,
) -> dict[str, object]:
    targets, policies = posts.targets, COMPOSED_POLICIES
    compared = compare(
        odds,
        posts.answers,
        posts.presence,
        targets,
        policies,
        seed,
        groups=posts.groups,
        turns=posts.part,
    )
    by_name: dict[str, dict[str, object]] = {}
    for comparison in compared:
        row = asdict(comparison)
        pattern, policy = row.pop("pattern"), row.pop("policy")
        by_name.setdefault(pattern, {})[policy] = row
    before, after = (calibration_errors(log_odds, targets, policies) for log_odds in (raw, odds))
    ece = {
        policy: calibration_error_by_chance(sigmoid(odds[:, p]), 10, posts.groups[:, p], seed)
        for p, policy in enumerate(policies)
    }
    return {
        "fusion": {
            name: {
                "fused": float(np.mean([row["fused"] for row in rows.values()])),  # type: ignore[index]
                "best_single": float(np.mean([row["best_single"] for row in rows.values()])),  # type: ignore[index]
                "policies": rows,
            }
            for name, rows in by_name.items()
        },
        "worse_than_single": sum(comparison.high < 0.0 for comparison in compared),
        "better_than_single": sum(comparison.low > 0.0 for comparison in compared),
        "compared": len(compared),
        "ece_before": max(before.values()),
        "ece_after": max(after.values()),
        "ece_before_mean": float(np.mean(list(before.values()))),
        "ece_after_mean": float(np.mean(list(after.values()))),
        "ece_before_by_policy": before,
        "ece_after_by_policy": after,
        "ece_by_chance": ece,
        "ece_after_by_pattern": by_pattern(odds, posts.presence, targets, policies),
        "policies": {
            policy: _answered_posts_policy(odds[:, p], targets[:, p] > 0, flagged[:, p])
            for p, policy in enumerate(policies)
        },
        "accuracy_at_80_coverage": accuracy_at(odds, targets, 0.8),
        "accuracy_at_100_coverage": accuracy_at(odds, targets, 1.0),
        "always_allow_accuracy": float((targets == 0).all(axis=1).mean()),
        "composed_posts": len(posts),
    }


def _answered_posts_policy(
    odds: NDArray[np.float64], violates: NDArray[np.bool_], flagged: NDArray[np.bool_]
) -> dict[str, float]:
    hits = float((violates & flagged).sum())
    return {
        "average_precision": average_precision(violates, odds),
        "precision": hits / max(float(flagged.sum()), 1.0),
        "recall": hits / float(violates.sum()),
        "prevalence": float(violates.mean()),
    }
