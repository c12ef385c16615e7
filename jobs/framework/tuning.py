"""A search by Ray Tune that stops what lags and goes on where it was cut off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ray import tune
from ray.tune.schedulers import ASHAScheduler

from jobs.cluster.run_storage import run_location
from jobs.framework.progress import progress_style
from lib.storage import open_storage


@dataclass(frozen=True)
class Search:
    """What is searched, and with how much.

    Args:
        output: folder or URI; trials go to `search/NAME` in it.
        name: of the search.
        measure: that trials report, beside `step`.
        mode: whether more or less of it is better.
        trials: settings tried.
        concurrent: trials at once.
        cpus, gpus: of each trial.
        longest: steps of a trial at most.
        grace: steps before a trial may be stopped (ASHA: Li et al., MLSys 2020).
    """

    output: str
    name: str
    measure: str
    mode: Literal["min", "max"]
    trials: int
    concurrent: int
    cpus: int
    gpus: float
    longest: int
    grace: int


def search(
    settings: Search, space: Mapping[str, Any], trial: Callable[..., None], **data: Any
) -> dict[str, Any]:
    """Best settings of a space; prints how many were tried.

    Args:
        settings: of the search.
        space: of a trial's settings, with Tune's distributions.
        trial: takes settings and `data`, and reports.
        data: put into the object store once.
    """
    storage = open_storage(settings.output)
    storage_options = run_location(storage, "search")
    name = settings.name
    folder, files = (
        f"{storage_options['storage_path']}/{name}",
        storage_options.get("storage_filesystem"),
    )
    trainable = tune.with_resources(
        tune.with_parameters(trial, **data), {"cpu": settings.cpus, "gpu": settings.gpus}
    )
    if tune.Tuner.can_restore(folder, storage_filesystem=files):
        print(f"{name}: going on with {storage.shown(f'search/{name}')}")
        tuner = tune.Tuner.restore(
            folder,
            trainable,
            resume_errored=True,
            param_space=dict(space),
            storage_filesystem=files,
        )
    else:
        tuner = tune.Tuner(
            trainable,
            param_space=dict(space),
            tune_config=_tune_config(settings),
            run_config=tune.RunConfig(name=name, verbose=_verbosity(), **storage_options),
        )
    results = tuner.fit()
    winner = results.get_best_result(metric=settings.measure, mode=settings.mode, scope="all")
    measure = settings.measure.replace("_", " ")
    print(f"{name}: {len(results)} trials, best {measure} {winner.metrics[settings.measure]:.4f}")
    return dict(winner.config)


def _verbosity() -> int:
    """Of Ray Tune: a table of trials now and then, or nothing."""
    return 0 if progress_style() == "none" else 1


def _tune_config(settings: Search) -> tune.TuneConfig:
    """ASHA over steps, with no more trials at once than asked."""
    grace = max(1, min(settings.longest, settings.grace))
    return tune.TuneConfig(
        metric=settings.measure,
        mode=settings.mode,
        num_samples=settings.trials,
        max_concurrent_trials=settings.concurrent,
        scheduler=ASHAScheduler(time_attr="step", max_t=settings.longest, grace_period=grace),
    )
