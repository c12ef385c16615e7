"""Moderation: labels of reviews and of files, both models on newest posts of other authors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from jobs.framework import label_tables
from jobs.framework.label_tables import LabelCount
from jobs.framework.retrained_system import Champion, NewLabels, TrainedModel
from jobs.moderation.dataset import PreparedDataset
from jobs.moderation.retrain import RetrainConfig
from jobs.moderation.review_labels import read_review_labels
from jobs.moderation.scoring import shape_of
from jobs.moderation.sources import read_policies
from jobs.moderation.training import TrainingResult, build_report, measures_of, trained_by
from jobs.moderation.training_config import TrainConfig
from jobs.publishing import store_report
from lib.calibration import sigmoid
from lib.contract import ContractError
from lib.moderation.contracts import LABELS
from lib.moderation.identity.bias import PolicyBias
from lib.moderation.model import SYSTEM
from lib.moderation.model.comparison import overall_precision
from lib.moderation.model.inputs import PostInputs
from lib.moderation.model.model import (
    ModerationModel,
    load_model,
    open_artifact,
    read_attributes_of,
)
from lib.moderation.model.outputs import Floats, Ints, Presence
from lib.moderation.outcomes import PostOutcomes
from lib.moderation.post import MODALITIES
from lib.retraining import recent_slice
from lib.retraining.comparison import Comparison, GuardedFigure, require_span
from lib.retraining.recent_slice import RecentSlice, ScoredModel
from lib.storage import open_storage

_AT_ONCE = 64
_NEVER_LOG_ODDS = -50.0  # of a policy that a model does not know: it finds nothing


class PostRetraining(label_tables.LabelledRetraining):
    """See `RetrainedSystem`.

    Decisions of the records do not hold media, so posts come from --posts and --media, as in
    training. What the records add are reviewers' labels, each under the version that its policy had
    then. A policy that the champion does not know costs it what it misses; the measure is over the
    policies that both know.
    """

    name = SYSTEM
    measure = "mean average precision"
    options = TrainConfig

    def read_labels(self, config: RetrainConfig, marks: Mapping[str, int], as_of: int) -> NewLabels:
        """See `RetrainedSystem`; marks are the `number` of reviews and `known` of files."""
        files = [read_policies(path) for path in (config.policies, *config.former_policies)]
        reviews = read_review_labels(str(config.records), files, marks.get("number", 0), as_of)
        filed = label_tables.given_rows(config, LABELS)
        if reviews.of_unknown_policies:
            print(
                f"{reviews.of_unknown_policies:,} labels were given under policies whose file is "
                "not at hand; they count as given under today's (--former-policies)"
            )
        path = label_tables.write_labels(config, LABELS, (reviews.rows, filed))
        count = LabelCount(marks, as_of)
        count.add("known", label_tables.times_of(filed, "known_at"))
        count.new += reviews.new
        count.marks["number"] = reviews.until
        total = reviews.rows.num_rows + filed.num_rows
        return label_tables.new_labels(count, total, {LABELS.name: path})

    def comparable(self, settings: TrainConfig, champion: Champion) -> TrainConfig:
        """See `LabelledRetraining`; attributes stay those of a champion that reads any."""
        attributes = read_attributes_of(open_artifact(champion.directory))
        if not attributes:
            return settings
        settings.require_attributes(attributes)
        names = {each.name for each in attributes}
        if extra := [each.name for each in settings.attributes() if each.name not in names]:
            print(f"attributes that the champion does not read are left out: {', '.join(extra)}")
        return replace(settings, attributes_of=str(champion.directory))

    def _train(self, config: RetrainConfig, settings: TrainConfig) -> TrainedModel:
        trained = trained_by(settings)
        trained.save(trained.training)
        store_report(build_report(settings, trained), open_storage(config.output))
        return TrainedModel((config, trained))

    def compare(self, trained: TrainedModel, challenger: Path, champion: Champion) -> Comparison:
        """See `RetrainedSystem`; on the test posts that the champion did not see."""
        config, result = trained.context
        start = max(result.split.test_from_us, champion.seen_until)
        at_us = result.dataset.at_us[result.split.rows("test")]
        end = int(at_us.max()) + 1
        require_span(start, end, champion.seen_until)
        kept = np.flatnonzero(at_us >= start)
        champion_model = load_model(champion.directory)
        _refuse_other_shape(champion_model, result.dataset)
        shared = [name for name in result.fit.model.policies if name in champion_model.policies]
        own = _scored(
            load_model(challenger).version, result.fit.log_odds[kept], result, kept, shared
        )
        answers = _champion_log_odds(champion_model, result, kept)
        other = _scored(champion_model.version, answers, result, kept, shared)
        recent = _slice(result, kept, (start, end))
        outcomes = PostOutcomes(result.dataset.policies)
        comparison = recent_slice.compare_on(
            recent, outcomes, own, other, self.measure, config.seed, config.bootstrap
        )
        guarded = guarded_gaps(
            result.findings.identity.bias,
            measures_of(config).bias(champion_model),
            config.identity_margin,
        )
        return replace(comparison, guarded=guarded)


def guarded_gaps(
    challenger: Sequence[PolicyBias], champion: Sequence[PolicyBias], margin: float
) -> tuple[GuardedFigure, ...]:
    """Gaps between identity terms that may not grow, of the policies that both models know.

    Args:
        challenger: what the new model makes of identity terms.
        champion: what the present one makes of the same sentences.
        margin: by which a gap may grow.
    """
    former = {own.policy: own.false_positive_gap.value for own in champion}
    return tuple(
        GuardedFigure(
            f"largest difference of false positive rates of {own.policy} between identity terms",
            former[own.policy],
            own.false_positive_gap.value,
            margin,
        )
        for own in challenger
        if own.policy in former
    )


def answers_of(model: ModerationModel, dataset: PreparedDataset, rows: Ints) -> Floats:
    """Calibrated log-odds (n, policies) of prepared posts, a few at a time."""
    parts = [
        model.log_odds(inputs_of(dataset, rows[start : start + _AT_ONCE]))
        for start in range(0, len(rows), _AT_ONCE)
    ]
    return np.concatenate(parts)


def inputs_of(dataset: PreparedDataset, rows: Ints) -> list[PostInputs]:
    """Prepared posts as models take them."""
    media: dict[tuple[str, int], list[Any]] = {}
    for kind in ("image", "video"):
        for row, pixels in dataset.frames(kind, rows):
            media.setdefault((kind, row), []).append(pixels)
    presence, texts = dataset.presence[rows], dataset.texts(rows)
    inputs = []
    attributes = dataset.attribute_rows(rows)
    posts = zip(rows.tolist(), texts, presence, attributes, strict=True)
    for row, text, marks, own in posts:
        failed = [m for k, m in enumerate(MODALITIES) if marks[k] == Presence.FAILED]
        clips = media.get(("video", row), [None])
        images = tuple(media.get(("image", row), ()))
        inputs.append(PostInputs(text or None, images, clips[0], frozenset(failed), attributes=own))
    return inputs


def _champion_log_odds(champion: ModerationModel, result: TrainingResult, kept: Ints) -> Floats:
    """Its answers (kept, policies) in the order of the new model's policies."""
    own = answers_of(champion, result.dataset, result.split.rows("test")[kept])
    policies = result.fit.model.policies
    log_odds = np.full((len(kept), len(policies)), _NEVER_LOG_ODDS)
    for column, name in enumerate(policies):
        if name in champion.policies:
            log_odds[:, column] = own[:, champion.policies.index(name)]
    return log_odds


def _scored(
    version: str, log_odds: Floats, result: TrainingResult, kept: Ints, shared: Sequence[str]
) -> ScoredModel:
    """A model's answers about the posts; the measure is over the policies that both models know."""
    policies = result.fit.model.policies
    columns = [policies.index(name) for name in shared]
    targets = result.fit.targets[kept][:, columns]
    own = log_odds[:, columns]
    return ScoredModel(
        version,
        sigmoid(log_odds),
        None,
        lambda rows: overall_precision(own[rows], targets[rows], list(shared)),
    )


def _slice(result: TrainingResult, kept: Ints, span: tuple[int, int]) -> RecentSlice:
    """Posts as decisions that allow, and what people found."""
    rows = result.split.rows("test")[kept]
    posts = result.dataset.posts.take(pa.array(rows))
    names, reach = posts["post_id"].to_pylist(), result.fit.reach[kept].tolist()
    languages = [result.fit.languages[row] for row in kept.tolist()]
    requests = [
        json.dumps({"reach": views, "language": language})
        for views, language in zip(reach, languages, strict=True)
    ]
    at_us, authors = result.dataset.at_us[rows], posts["author_id"].to_pylist()
    decisions = recent_slice.slice_decisions(names, authors, at_us, "ALLOW", requests)
    labels = [
        _labels(names, policy, result.fit.targets[kept, column], at_us)
        for column, policy in enumerate(result.fit.model.policies)
    ]
    return RecentSlice(decisions, pa.concat_tables(labels), span[1], *span)


def _labels(names: Sequence[str], policy: str, targets: Floats, at_us: Ints) -> pa.Table:
    """What most people found of posts by one policy, as of when they were posted."""
    rows = np.flatnonzero(np.isfinite(targets))
    subjects = [names[row] for row in rows.tolist()]
    return recent_slice.slice_labels(subjects, policy, (targets[rows] >= 0.5).tolist(), at_us[rows])


def _refuse_other_shape(champion: ModerationModel, dataset: PreparedDataset) -> None:
    champion_shape, shape = shape_of(champion).stored, dataset.note["shape"]
    kinds = {
        "image_side": champion.image,
        "clip_side": champion.video,
        "clip_frames": champion.video,
    }
    if any(
        model is not None and champion_shape[name] != shape[name] for name, model in kinds.items()
    ):
        raise ContractError(
            f"--size: expected media as the champion sees them, {champion_shape}, got {shape}: "
            "the two could not be compared on the same rows"
        )
