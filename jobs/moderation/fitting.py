"""A training, in this process or by workers of Ray Train, up to a calibrated model."""

import json
from collections.abc import Mapping
from typing import Any

from jobs.cluster.admission import await_workers, with_gpus
from jobs.framework.torch_training import TrainWorker, train_on_workers
from jobs.framework.workers import Workers
from jobs.moderation.dataset import PreparedDataset, rows_with
from jobs.moderation.distributed import Backend, RayTrainBackend
from jobs.moderation.train_worker import (
    THRESHOLDS,
    answers_about,
    read_member,
    reader,
    train_members,
    write_split,
)
from jobs.moderation.training_config import TrainConfig
from lib.contract import ContractError
from lib.moderation.model.comparison import FittedModel
from lib.moderation.model.fitting import Runtime
from lib.moderation.model.fusion import Fusion, unseen_as_failed
from lib.moderation.model.model import ModerationModel
from lib.moderation.model.model_config import ModelConfig
from lib.moderation.model.splits import PostSplit
from lib.moderation.post import MODALITIES
from lib.storage import Storage

# pieces of a modality below which no model of it is fitted; posts that have it go to people
_LEAST = 8


def modalities_to_fit(dataset: PreparedDataset, split: PostSplit) -> list[str]:
    """Those of which there is enough to learn from.

    Raises:
        ContractError: there is none.
    """
    rows, presence = split.rows("members"), dataset.presence
    modalities = [name for name in MODALITIES if len(rows_with(presence, name, rows)) >= _LEAST]
    if not modalities:
        raise ContractError(
            f"posts: expected at least {_LEAST} labelled ones with one modality to learn from, got "
            f"{len(rows)} with any"
        )
    return modalities


def fit_final(
    dataset: PreparedDataset,
    split: PostSplit,
    size: ModelConfig,
    config: TrainConfig,
    storage: Storage,
) -> FittedModel:
    """Fit what is not there yet in `storage`, and put it together."""
    modalities = modalities_to_fit(dataset, split)
    write_split(split, storage)
    plan = {
        "rows": dataset.folder,
        "storage": storage.address(),
        "size": size.to_json(),
        "seed": config.seed,
        "modalities": modalities,
        "attributes": dataset.attribute_entries,
    }
    if config.engine == "process":
        train_members(plan, Backend(Runtime(threads=config.cpus_per_worker)))
    elif not storage.exists("fusion/finished"):
        _learn_on_workers(plan, config, storage)
    return _put_together(dataset, split, modalities, storage)


def _learn_on_workers(plan: Mapping[str, Any], config: TrainConfig, storage: Storage) -> None:
    """One run of Ray Train for all of it: members in turn, each shared by all workers."""
    request = with_gpus(config.request)
    device = await_workers(request).devices.network
    train_on_workers(
        _work,
        {**plan, "threads": request.cpus},
        Workers.of(request, device, config.max_failures),
        storage,
        "moderation",
    )


def _work(config: Mapping[str, Any]) -> None:
    """What each worker runs."""
    worker = TrainWorker.current(config)
    runtime = Runtime(str(worker.device), config["threads"])
    train_members(config, RayTrainBackend(runtime, worker.rank, worker.count))


def _put_together(
    dataset: PreparedDataset, split: PostSplit, modalities: list[str], storage: Storage
) -> FittedModel:
    """The parts as one model, and what they say of the test."""
    runtime = Runtime()
    parts: dict[str, Any] = {name: read_member(storage, name, runtime) for name in modalities}
    fusion = Fusion.read(reader(storage, "fusion"), runtime)
    thresholds = json.loads(storage.read(THRESHOLDS) or b"{}")
    model = ModerationModel(
        fusion, parts.get("text"), parts.get("image"), parts.get("video"), thresholds
    )
    rows = split.rows("test")
    return FittedModel(
        model=model,
        policies=dataset.policies,
        answers=answers_about(storage, modalities, rows),
        presence=unseen_as_failed(
            dataset.presence[rows], [name not in parts for name in MODALITIES]
        ),
        targets=dataset.targets[rows],
        texts=dataset.texts(rows),
        authors=dataset.posts["author_id"].take(rows).to_numpy(),
        languages=dataset.posts["language"].take(rows).to_pylist(),
        reach=dataset.reach[rows],
        features=dataset.features(rows, fusion.attributes) if fusion.attributes else None,
    )
