"""The fits of a training, in this process or spread over Ray."""

import numpy as np
import ray

from jobs.cluster.admission import Request, await_workers, with_gpus
from jobs.framework.step_cache import Arrays, StepCache
from jobs.framework.workers import Workers, run_calls
from jobs.maintenance.distributed_hazards import fit_hazards_on_workers
from jobs.maintenance.training_config import TrainConfig
from lib.maintenance.feature_set import AssetFeatureSet
from lib.maintenance.history import Floats, Ints
from lib.maintenance.model.fitting import HalfPlan, fold_answers
from lib.maintenance.model.model import Half
from lib.maintenance.model.rows import TrainingRows
from lib.survival.blending import folds
from lib.survival.training import prepare

Places = list[tuple[Ints, Ints]]


def fit_folds(
    features: AssetFeatureSet,
    train: TrainingRows,
    test: TrainingRows,
    horizon: float,
    config: TrainConfig,
    stages: StepCache,
) -> tuple[list[tuple[Arrays, Arrays]], Places]:
    """Of each fold: what models answered of its training and test rows, and which rows these are.

    The models of a fold are fitted on training rows of the other machines.
    """
    machines = np.unique(np.concatenate([train.machines, test.machines]))
    chosen = list(folds(machines, config.model.folds, config.seed))
    row_indices = [
        (
            np.flatnonzero(np.isin(train.machines, machines[left])),
            np.flatnonzero(np.isin(test.machines, machines[left])),
        )
        for _, left in chosen
    ]
    calls = {
        number: (
            features,
            train.take(np.isin(train.machines, machines[kept])),
            np.concatenate([train.rows[own_index], test.rows[later]]),
            horizon,
            config.model,
            config.seed + number,
        )
        for number, ((kept, _), (own_index, later)) in enumerate(
            zip(chosen, row_indices, strict=True)
        )
        if not stages.has_arrays(f"fold-{number}")
    }
    for number, answers in run_calls(fold_answers, calls, "folds", _request(config)):
        arrays: dict[str, Floats] = answers
        stages.arrays(f"fold-{number}", lambda arrays=arrays: arrays)  # type: ignore[misc]
    answer_pairs = []
    for number, (train_index, _) in enumerate(row_indices):
        fold_arrays = stages.arrays(f"fold-{number}", dict)
        first = {name: values[: len(train_index)] for name, values in fold_arrays.items()}
        answer_pairs.append(
            (first, {name: values[len(train_index) :] for name, values in fold_arrays.items()})
        )
    return answer_pairs, row_indices


def fit_replicates(plan: HalfPlan, rows: TrainingRows, config: TrainConfig) -> tuple[Half, ...]:
    """Small models on machines drawn with replacement."""
    shared = ray.put(rows) if config.engine == "ray" else rows
    calls = {
        number: (plan, shared, config.seed + 100 + number)
        for number in range(config.model.replicates)
    }
    models = dict(run_calls(HalfPlan.fit_replicate, calls, "replicates", _request(config)))
    return tuple(models[number] for number in sorted(models))


def fit_final(plan: HalfPlan, rows: TrainingRows, config: TrainConfig, stages: StepCache) -> Half:
    """Cox here; the network by Ray Train's workers, or here."""
    chosen = rows.thinned(config.model.most_rows, config.seed)
    cox = plan.fit_cox(chosen, config.test_proportionality)
    if config.engine == "process":
        return Half(cox, plan.fit_network(chosen, config.seed))
    request = with_gpus(config.request)
    workers = Workers.of(request, await_workers(request).devices.network)
    settings = plan.settings.hazards(plan.horizon)
    codes = plan.features.codes
    ready = prepare(*plan.network_input(chosen), failing=len(plan.modes), categorical=codes)
    return Half(cox, fit_hazards_on_workers(ready, settings, config.seed, workers, stages.storage))


def _request(config: TrainConfig) -> Request | None:
    """A core for each call on Ray; None in this process."""
    return Request() if config.engine == "ray" else None
