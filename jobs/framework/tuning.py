"""A search by Ray Tune that stops what lags and goes on where it was cut off."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml
from ray import tune
from ray.tune.schedulers import ASHAScheduler

from jobs.cluster.admission import Request, await_workers, with_gpus
from jobs.cluster.run_storage import run_location
from jobs.framework.cluster import start_ray
from jobs.framework.progress import progress_style
from jobs.framework.training_options import TuneOptions
from lib.storage import open_storage


@dataclass(frozen=True)
class Search:
    """What is searched, and with how much.

    Args:
        name: of the search.
        space: of a trial's settings, with Tune's distributions.
        measure: that trials report, beside `step`.
        mode: whether more or less of it is better.
        longest: steps of a trial at most.
        grace: steps before a trial may be stopped (ASHA: Li et al., MLSys 2020).
    """

    name: str
    space: Mapping[str, Any]
    measure: str
    mode: Literal["min", "max"]
    longest: int
    grace: int = 1


class Tuner:
    """Searches of one job, whose trials share the workers that it asks for.

    Args:
        options: of the job; trials go to `search/NAME` in its output.
    """

    def __init__(self, options: TuneOptions) -> None:
        self._options = options
        self._output = open_storage(options.output)
        start_ray()
        self.request = with_gpus(
            Request(options.concurrent, 1, options.cpus_per_trial, options.gpus)
        )
        self.devices = await_workers(self.request).devices

    def search(self, search: Search, trial: Callable[..., None], **data: Any) -> dict[str, Any]:
        """Best settings of a space; prints how many were tried.

        Args:
            search: what is searched.
            trial: takes settings and `data`, and reports.
            data: put into the object store once.
        """
        results = self._tuner(search, trial, data).fit()
        winner = results.get_best_result(metric=search.measure, mode=search.mode, scope="all")
        best, measure = winner.metrics[search.measure], search.measure.replace("_", " ")
        print(f"{search.name}: {len(results)} trials, best {measure} {best:.4f}")
        return dict(winner.config)

    def _tuner(
        self, search: Search, trial: Callable[..., None], data: Mapping[str, Any]
    ) -> tune.Tuner:
        location = run_location(self._output, "search")
        folder = f"{location['storage_path']}/{search.name}"
        files = location.get("storage_filesystem")
        trainable = tune.with_resources(
            tune.with_parameters(trial, **data),
            {"cpu": self.request.cpus, "gpu": self.request.gpus},
        )
        space = dict(search.space)
        if tune.Tuner.can_restore(folder, storage_filesystem=files):
            shown = self._output.shown(f"search/{search.name}")
            print(f"{search.name}: going on with {shown}")
            return tune.Tuner.restore(
                folder, trainable, resume_errored=True, param_space=space, storage_filesystem=files
            )
        grace = max(1, min(search.longest, search.grace))
        settings = tune.TuneConfig(
            metric=search.measure,
            mode=search.mode,
            num_samples=self._options.trials,
            max_concurrent_trials=self._options.concurrent,
            scheduler=ASHAScheduler(time_attr="step", max_t=search.longest, grace_period=grace),
        )
        verbose = 0 if progress_style() == "none" else 1
        run = tune.RunConfig(name=search.name, verbose=verbose, **location)
        return tune.Tuner(trainable, param_space=space, tune_config=settings, run_config=run)

    def store(self, best: Mapping[str, Any]) -> str:
        """Write OUTPUT/best.yaml; returns its address."""
        self._output.write("best.yaml", yaml.safe_dump(dict(best), sort_keys=False).encode())
        return self._output.address("best.yaml")
