"""Workers that train one model together, and calls that run side by side on Ray."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import ray
from ray.train import ScalingConfig

from jobs.cluster.admission import Request
from jobs.framework.progress import progress

_RETRIES = 3
Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Workers:
    """Who trains.

    Args:
        count: processes that train together, each with its share of the rows.
        least: fewest with which training goes on while nodes are missing; 0 keeps the number.
        cpus: cores of each.
        gpus: GPUs that each holds.
        device: `cuda`, or `cpu` also where GPUs are held that this build cannot use.
        max_failures: lost workers that are replaced before training fails.
    """

    count: int = 2
    least: int = 0
    cpus: int = 1
    gpus: float = 0.0
    device: str = "cpu"
    max_failures: int = 3

    @classmethod
    def of(cls, request: Request, device: str, max_failures: int = 3) -> Workers:
        """The workers of a request, whose GPUs are settled."""
        least = request.least if request.elastic else 0
        return cls(request.workers, least, request.cpus, request.gpus, device, max_failures)

    @property
    def scaling(self) -> ScalingConfig:
        """The same for Ray Train."""
        gpus = {"GPU": self.gpus} if self.gpus > 0 else {}
        return ScalingConfig(
            num_workers=(self.least, self.count) if self.least else self.count,
            use_gpu=self.gpus > 0,
            resources_per_worker={"CPU": self.cpus} | gpus,
        )


def read_reports_often() -> None:
    """Let Ray Train read what its workers report five times a second, unless somebody set it.

    It does so every two seconds otherwise, and a worker waits until its last report is read: no
    epoch would take less.
    """
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")


def run_calls(
    work: Callable[..., Answer],
    calls: Mapping[Key, tuple[Any, ...]],
    label: str,
    request: Request | None,
) -> Iterator[tuple[Key, Answer]]:
    """Answers of calls as they end, with progress.

    Args:
        work: is called.
        calls: arguments by key.
        label: what is called, in words.
        request: cores and GPUs of each call, all of which run at once on Ray; None calls one after
            another in this process.
    """
    answers = (
        ((key, work(*arguments)) for key, arguments in calls.items())
        if request is None
        else _on_ray(work, calls, request)
    )
    with progress(len(calls), label) as done:
        for answer in answers:
            yield answer
            done(1)


def shared(value: Any, request: Request | None) -> Any:
    """An argument of several calls of `run_calls`, put into Ray's memory once."""
    return value if request is None else ray.put(value)


def _on_ray(
    work: Callable[..., Answer], calls: Mapping[Key, tuple[Any, ...]], request: Request
) -> Iterator[tuple[Key, Answer]]:
    task = ray.remote(num_cpus=request.cpus, num_gpus=request.gpus, max_retries=_RETRIES)(work)
    waiting = {task.remote(*arguments): key for key, arguments in calls.items()}
    while waiting:
        (ready, *_), _rest = ray.wait(list(waiting))
        yield waiting.pop(ready), ray.get(ready)
