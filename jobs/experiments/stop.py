"""End an experiment: `python -m jobs.experiments.stop --system fraud --reason "..." ...`."""

from __future__ import annotations

import time
from dataclasses import dataclass

from jobs.experiments.options import SystemOptions, named_experiment
from jobs.framework.command import run_job


@dataclass(frozen=True, kw_only=True)
class StopConfig(SystemOptions):
    """End an experiment: the champion decides for everybody again, within seconds."""

    reason: str
    """why, in words, for the audit"""
    name: str | None = None
    """of the experiment; default: the one that runs"""


def main(config: StopConfig, now: int) -> str:
    """End it, and say so.

    Args:
        config: options.
        now: microseconds since 1970 UTC.

    Raises:
        ExperimentEndedError: it ended before; says when, by whom and why.
        ExperimentError: there is none.
    """
    with config.repository() as repository:
        stored = named_experiment(repository, config.system, config.name)
        ended = repository.end(stored.id, by=config.by, reason=config.reason, at=now)
    return f"experiment  {ended.id} ended by {ended.ended_by}: {ended.reason}"


if __name__ == "__main__":
    run_job(StopConfig, lambda config: print(main(config, time.time_ns() // 1000)))
