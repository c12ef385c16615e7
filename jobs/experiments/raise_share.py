"""Let the challenger decide for more: `python -m jobs.experiments.raise_share --help`."""

from __future__ import annotations

import time
from dataclasses import dataclass

from jobs.experiments.options import SystemOptions, running_experiment
from jobs.framework.command import run_job


@dataclass(frozen=True, kw_only=True)
class RaiseShareConfig(SystemOptions):
    """Raise the share of the running experiment: nobody moves back, no share is lowered."""

    share: float
    """of entities, at least the present one; below 1 in ab mode"""


def main(config: RaiseShareConfig, now: int) -> str:
    """Raise it, and say from where.

    Args:
        config: options.
        now: microseconds since 1970 UTC.

    Raises:
        ExperimentError: no experiment runs, or the share is none for it.
    """
    with config.repository() as repository:
        running = running_experiment(repository, config.system)
        raised = repository.raise_share(running.id, config.share, by=config.by, at=now)
    return f"experiment  {raised.id}: share {running.share:g} -> {raised.share:g}"


if __name__ == "__main__":
    run_job(RaiseShareConfig, lambda config: print(main(config, time.time_ns() // 1000)))
