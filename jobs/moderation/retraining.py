"""Training on what people decided since, and comparison with the champion."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from jobs.framework.options import shared_options
from jobs.model_source import model_directory
from jobs.moderation.dataset import PreparedDataset
from jobs.moderation.retrain import RetrainConfig
from jobs.moderation.review_labels import ReviewLabels, read_review_labels
from jobs.moderation.scoring import shape_of
from jobs.moderation.sources import read_policies
from jobs.moderation.training import TrainingResult, build_report, trained_by
from jobs.moderation.training_config import TrainConfig
from jobs.publishing import store_report
from lib.contract import ContractError
from lib.evaluation import Interval, bootstrap_interval
from lib.moderation.model import SYSTEM
from lib.moderation.model.comparison import OURS, mean_precision, overall_precision
from lib.moderation.model.inputs import PostInputs
from lib.moderation.model.model import ModerationModel, load_model
from lib.moderation.model.outputs import Floats, Ints, Presence
from lib.moderation.post import MODALITIES
from lib.registry import Registry
from lib.storage import open_storage

REPORT = "report.json"
_AT_ONCE = 64


def retrain_model(config: RetrainConfig) -> dict[str, Any]:
    """Retrain and compare; returns what is written to report.json, below `retraining`."""
    config.check()
    output = open_storage(config.output)
    files = [read_policies(path) for path in (config.policies, *config.former_policies)]
    decisions = read_review_labels(str(config.records), output, files)
    report: dict[str, Any] = {"labels": asdict(decisions), "margin": config.margin}
    if decisions.new < config.least:
        report["decision"] = (
            f"nothing trained: {decisions.new:,} labels since number {decisions.since}, expected "
            f"--least {config.least}"
        )
        return _finished(report, output, config)
    train_config = _training(config, decisions)
    trained = trained_by(train_config)
    report["training"] = {
        "parts": trained.split.counts,
        "rows": {key: trained.dataset.note[key] for key in ("posts", "labelled", "tables")},
        "test_from_us": trained.split.test_from_us,
    }
    champion = _champion(config)
    report |= compared(trained, champion, config)
    won = bool(report["won"])
    save_config = (
        replace(train_config, alias=config.alias) if won else replace(train_config, registry=None)
    )
    report["version"] = trained.save(replace(trained.training, options=save_config))
    report["decision"] = _decision_text(report, won, config.alias)
    store_report(build_report(train_config, trained), output)
    decisions.settle(output)
    return _finished(report, output, config)


def compared(
    trained: TrainingResult, champion: ModerationModel | None, config: RetrainConfig
) -> dict[str, Any]:
    """The new model and the champion on the same posts; without a champion the new one wins."""
    rows, targets = trained.split.rows("test"), trained.fit.targets
    policies = trained.fit.model.policies
    ours = trained.fit.log_odds
    comparison: dict[str, Any] = {"posts": len(rows), OURS: mean_precision(ours, targets, policies)}
    if champion is None:
        return comparison | {"champion": None, "won": True}
    _refuse_other_shape(champion, trained.dataset)
    lacking = sorted(set(policies) - set(champion.policies))
    shared = [name for name in policies if name not in lacking]
    columns = [policies.index(name) for name in shared]
    champion_log_odds = answers_of(champion, trained.dataset, rows)
    champion_log_odds = champion_log_odds[:, [champion.policies.index(name) for name in shared]]
    gain = paired(
        ours[:, columns],
        champion_log_odds,
        targets[:, columns],
        shared,
        trained.fit.authors.tolist(),
        config.seed,
        config.bootstrap,
    )
    return comparison | {
        "champion": {
            "version": champion.version,
            "measures": mean_precision(champion_log_odds, targets[:, columns], shared),
            "policies_it_lacks": lacking,
        },
        "gain": asdict(gain),
        "won": bool(gain.value >= config.margin and gain.low > 0.0),
    }


def paired(
    ours: Floats,
    champion_log_odds: Floats,
    targets: Floats,
    policies: list[str],
    authors: Sequence[str],
    seed: int,
    repeats: int,
) -> Interval:
    """Ours less theirs in mean average precision, both on the same draws of authors."""

    def gain(draw: Ints) -> float:
        own, other = (
            overall_precision(log_odds[draw], targets[draw], policies)
            for log_odds in (ours, champion_log_odds)
        )
        return own - other

    return bootstrap_interval(gain, authors, seed, repeats)


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
    for row, text, marks in zip(rows.tolist(), texts, presence, strict=True):
        failed = [m for k, m in enumerate(MODALITIES) if marks[k] == Presence.FAILED]
        clips = media.get(("video", row), [None])
        images = tuple(media.get(("image", row), ()))
        inputs.append(PostInputs(text or None, images, clips[0], frozenset(failed)))
    return inputs


def _training(config: RetrainConfig, decisions: ReviewLabels) -> TrainConfig:
    """Options of the training: those of this job, with the decisions beside other labels."""
    labels = decisions.with_others(config, open_storage(config.output))
    return shared_options(TrainConfig, config, labels=labels, mapping_labels=None, alias="none")


def _champion(config: RetrainConfig) -> ModerationModel | None:
    registry = Registry(str(config.registry))
    if "champion" not in registry.aliases(SYSTEM):
        return None
    with model_directory(SYSTEM, None, config.registry, "champion") as folder:
        return load_model(folder)


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


def _decision_text(report: Mapping[str, Any], won: bool, alias: str) -> str:
    if report["champion"] is None:
        return f"there is no champion to beat: published as {alias}"
    gain = report["gain"]
    figures = (
        f"{gain['value']:+.4f} mean average precision ({gain['low']:+.4f} to {gain['high']:+.4f}) "
        f"on {report['posts']:,} posts, margin {report['margin']:g}"
    )
    if won:
        return f"better than the champion by {figures}: published as {alias}"
    return f"not better than the champion by the margin, {figures}: not published"


def _finished(report: dict[str, Any], output: Any, config: RetrainConfig) -> dict[str, Any]:
    report["at_us"] = time.time_ns() // 1000
    document = json.loads(output.read(REPORT) or b"{}") | {"retraining": report}
    output.write(REPORT, json.dumps(document, indent=2, default=_plain).encode())
    labels = report["labels"]
    lines = [
        f"labels:      {labels['new']:,} since number {labels['since']}, up to {labels['until']}",
        f"decision:    {report['decision']}",
        f"model:       {output.shown('model') if 'version' in report else 'none'}"
        + (f" ({report['version']})" if "version" in report else ""),
        f"registry:    {config.registry}",
        f"report:      {output.shown(REPORT)}",
    ]
    print("\n".join(lines))
    return report


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)
