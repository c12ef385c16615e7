"""A training, in this process or by workers of Ray Train, up to a calibrated model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray.train
import ray.train.torch
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from jobs.cluster.admission import await_workers, with_gpus
from jobs.cluster.run_storage import run_location
from jobs.moderation.dataset import PreparedDataset, rows_with
from jobs.moderation.distributed import RayTrainBackend, SingleProcess
from jobs.moderation.train_worker import (
    THRESHOLDS,
    answers_about,
    read_member,
    reader,
    train_members,
    unseen_as_failed,
    write_split,
)
from jobs.moderation.training_config import TrainConfig
from lib.contract import ContractError
from lib.moderation.model.fitting import Runtime
from lib.moderation.model.fusion import Fusion
from lib.moderation.model.inputs import Marks
from lib.moderation.model.model import ModerationModel
from lib.moderation.model.model_config import ModelConfig
from lib.moderation.model.outputs import Floats, Ints, ModalityAnswer
from lib.moderation.model.splits import PostSplit
from lib.moderation.post import MODALITIES
from lib.storage import Storage

# pieces of a modality below which no model of it is fitted; posts that have it go to people
_LEAST = 8


@dataclass(frozen=True)
class FittedModel:
    """A model, and what its members said of the posts that it is tested on.

    Attributes:
        model: calibrated.
        answers: by modality, a row for each test post.
        presence: (n, modalities) of the test posts, as the model sees them.
        rows: the test posts.
    """

    model: ModerationModel
    answers: Mapping[str, ModalityAnswer]
    presence: Marks
    rows: Ints

    @property
    def log_odds(self) -> Floats:
        """Calibrated log-odds (n, policies) of the test posts."""
        return self.model.fusion.answer(self.answers, self.presence)


def modalities_to_fit(prepared: PreparedDataset, parting: PostSplit) -> list[str]:
    """Those of which there is enough to learn from.

    Raises:
        ContractError: there is none.
    """
    rows, presence = parting.rows("members"), prepared.presence
    modalities = [name for name in MODALITIES if len(rows_with(presence, name, rows)) >= _LEAST]
    if not modalities:
        raise ContractError(
            f"posts: expected at least {_LEAST} labelled ones with one modality to learn from, got "
            f"{len(rows)} with any"
        )
    return modalities


def fit_final(
    prepared: PreparedDataset,
    parting: PostSplit,
    size: ModelConfig,
    config: TrainConfig,
    storage: Storage,
) -> FittedModel:
    """Fit what is not there yet in `storage`, and put it together."""
    modalities = modalities_to_fit(prepared, parting)
    write_split(parting, storage)
    plan = {
        "rows": prepared.folder,
        "storage": storage.address(),
        "size": size.to_json(),
        "seed": config.seed,
        "modalities": modalities,
    }
    if config.engine == "process":
        train_members(plan, SingleProcess(Runtime(threads=config.cpus_per_worker)))
    elif not storage.exists("fusion/finished"):
        _learn_on_workers(plan, config, storage)
    return _put_together(prepared, parting, modalities, storage)


def _learn_on_workers(plan: Mapping[str, Any], config: TrainConfig, storage: Storage) -> None:
    """One run of Ray Train for all of it: members in turn, each shared by all workers."""
    request = with_gpus(config.request)
    device = await_workers(request).devices.network
    trainer = TorchTrainer(
        _work,
        train_loop_config={**plan, "device": device, "threads": request.cpus},
        scaling_config=ScalingConfig(
            num_workers=(request.least, request.workers) if request.elastic else request.workers,
            use_gpu=request.gpus > 0,
            resources_per_worker=request.bundle,
        ),
        torch_config=TorchConfig(backend="nccl" if device == "cuda" else "gloo"),
        run_config=RunConfig(
            name="moderation",
            failure_config=FailureConfig(max_failures=config.max_failures),
            **run_location(storage, "ray-train"),
        ),
    )
    trainer.fit()


def _work(config: Mapping[str, Any]) -> None:
    """What each worker runs."""
    context = ray.train.get_context()
    cuda = config["device"] == "cuda"
    device = str(ray.train.torch.get_device()) if cuda else "cpu"
    runtime = Runtime(device, config["threads"])
    train_members(
        config, RayTrainBackend(runtime, context.get_world_rank(), context.get_world_size())
    )


def _put_together(
    prepared: PreparedDataset, parting: PostSplit, modalities: list[str], storage: Storage
) -> FittedModel:
    """The parts as one model, and what they say of the test."""
    runtime = Runtime()
    parts: dict[str, Any] = {name: read_member(storage, name, runtime) for name in modalities}
    fusion = Fusion.read(reader(storage, "fusion"), runtime)
    thresholds = json.loads(storage.read(THRESHOLDS) or b"{}")
    model = ModerationModel(
        fusion, parts.get("text"), parts.get("image"), parts.get("video"), thresholds
    )
    presence, tested = prepared.presence, parting.rows("test")
    return FittedModel(
        model,
        answers_about(storage, modalities, tested),
        unseen_as_failed(presence[tested], modalities),
        tested,
    )
