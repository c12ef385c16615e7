"""Search for settings of the moderation model."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from ray import tune

from jobs.framework.tuning import Search, Tuner
from jobs.moderation.dataset import PreparedDataset, find_rows, rows_with, split_dataset
from jobs.moderation.tune import TuneConfig
from lib.moderation.model.fitting import Runtime, fit
from lib.moderation.model.model_config import (
    ModelConfig,
    TrainingConfig,
    read_size,
    read_size_option,
)
from lib.moderation.model.outputs import Ints
from lib.moderation.model.training import Run, fit_image, fit_text, fit_video

MEASURE = "log_loss"
_AT_ONCE = 64
_LEAST = 8


def search_settings(config: TuneConfig) -> str:
    """Search; returns the path or URI of best.yaml."""
    size = read_size_option(config.size)
    dataset, split = split_dataset(find_rows(config.rows, size), config)
    tuner = Tuner(config)
    best = size.to_json()
    for name in config.modalities:
        learn = rows_with(dataset.presence, name, split.rows("members"))
        other = rows_with(dataset.presence, name, split.rows("fusion"))
        if min(len(learn), len(other)) < _LEAST:
            print(f"{name}: too few posts have it ({len(learn)}); it stays as it is")
            continue
        longest = getattr(size, name).learning.epochs
        settings = tuner.search(
            Search(name, space_of(name, size), MEASURE, "min", longest), trial,
            rows=dataset.folder, learn=learn, other=other, size=size.to_json(), modality=name,
            seed=config.seed, threads=tuner.request.cpus,
        )  # fmt: skip
        best[name] = changed(size, name, settings).to_json()[name]
    path = tuner.store(best)
    print(f"best size: {path}\nuse it: python -m jobs.moderation.train --size {path} ...")
    return path


def space_of(name: str, size: ModelConfig) -> dict[str, Any]:
    """Distributions of a modality's settings; widths only where weights start fresh."""
    now: TrainingConfig = getattr(size, name).learning
    # nothing that the loss itself is made of, or trials could not be compared
    space: dict[str, Any] = {
        "rate": tune.loguniform(now.rate / 5, now.rate * 5),
        "weight_decay": tune.loguniform(1e-3, 2e-1),
    }
    if name == "text":
        space["pretrained_rate"] = tune.loguniform(now.pretrained_rate / 5, now.pretrained_rate * 5)
        if size.text.encoder is None:
            heads = size.text.heads
            widths = [heads * max(4, round(size.text.hidden * k / heads)) for k in (0.5, 1, 2)]
            space["hidden"] = tune.choice(sorted(set(widths)))
    if name == "video" and size.video.network == "small":
        space["width"] = tune.choice([0.5, 1.0, 2.0])
    if name == "image" and size.image.resnet == "small":
        space["width"] = tune.choice([0.5, 1.0, 2.0])
    return space


def changed(size: ModelConfig, name: str, chosen: Mapping[str, Any]) -> ModelConfig:
    """A size with the settings of a trial."""
    size_json = size.to_json()
    settings = size_json[name]
    for key, value in chosen.items():
        if key == "width":
            settings["widths"] = [max(4, round(value * width)) for width in settings["widths"]]
        elif key == "hidden":
            settings["hidden"] = int(value)
        else:
            settings["learning"][key] = float(value)
    return read_size(size_json, "trial")


def trial(
    chosen: Mapping[str, Any],
    rows: str,
    learn: Ints,
    other: Ints,
    size: Mapping[str, Any],
    modality: str,
    seed: int,
    threads: int,
) -> None:
    """Fits one modality, and reports after each epoch the loss on posts that it does not see."""
    dataset = find_rows(rows)
    trial_size = _without_companions(changed(read_size(dict(size), "trial"), modality, chosen))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as folder:
        inputs, targets, first = _examples(modality, dataset, learn, other, Path(folder))
        run = EvaluatedRun(seed, Runtime(device, threads), learnt=first)
        policies, held_out = dataset.policies.ids, np.zeros(0, dtype=np.int64)
        if modality == "text":
            fit_text(inputs, targets, policies, held_out, trial_size.text, run)
        elif modality == "image":
            fit_image(inputs, targets, policies, trial_size.image, run)
        else:
            fit_video(inputs, targets, policies, held_out, trial_size.video, run)


def _examples(
    name: str, dataset: PreparedDataset, learn: Ints, other: Ints, folder: Path
) -> tuple[Any, Any, int]:
    """Pieces to learn from, then those to judge by; their targets; how many are learnt from."""
    targets = dataset.targets
    if name == "text":
        texts = [*dataset.texts(learn), *dataset.texts(other)]
        return texts, targets[np.concatenate([learn, other])], len(learn)
    parts = [dataset.pixels(name, some, folder) for some in (learn, other)]
    pixels = np.concatenate([part_pixels for part_pixels, _ in parts])
    owners = np.concatenate([owned for _, owned in parts])
    return pixels, targets[owners], len(parts[0][1])


def _without_companions(size: ModelConfig) -> ModelConfig:
    """Networks alone: what stands beside them has no settings that are searched."""
    text = dataclasses.replace(size.text, word_ngrams=0)
    video = dataclasses.replace(size.video, motion=False, members=1)
    return dataclasses.replace(size, text=text, video=video)


@dataclass(frozen=True)
class EvaluatedRun(Run):
    """A run that learns from the first rows alone and is judged by the others after each epoch."""

    learnt: int = 0

    def fit(self, task: Any, learning: TrainingConfig) -> float:
        """See `Run.fit`."""
        total = len(task.lengths)
        others = np.arange(self.learnt, total)

        def judge(checkpoint: Any) -> None:
            task.module.eval()
            loss, rng = 0.0, np.random.default_rng(0)
            with torch.no_grad(), self.runtime.precision():
                for start in range(0, len(others), _AT_ONCE):
                    some = others[start : start + _AT_ONCE]
                    loss += float(task.loss(some, rng)) * len(some)
            tune.report({MEASURE: loss / len(others), "step": checkpoint.epoch})

        first: Any = SimpleNamespace(
            module=task.module, lengths=task.lengths[: self.learnt], groups=task.groups,
            loss=task.loss,
        )  # fmt: skip
        return fit(first, learning, self.seed, self.runtime, judge)
