"""Jobs and endpoints on a cluster that loses parts of itself: `python -m tests.benchmarks.cluster`.

Each part runs in a process of its own and may be run alone, with options of its own, as
`python -m tests.benchmarks.on_cluster.PART`. The model that is served is trained once.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from tests.benchmarks.on_cluster.served import ModelChoice
from tests.benchmarks.process import run
from tests.benchmarks.result import print_result

JOBS = ("gpu_worker", "node_loss", "training_workers")
SERVING = ("changes", "overload", "replicas")
HEADLINES = {
    "gpu_worker_up_s": "gpu_worker",
    "gpu_worker_down_s": "gpu_worker",
    "kill_node_lost_rows": "node_loss",
    "kill_node_doubled_rows": "node_loss",
    "kill_node_auc_change": "node_loss",
    "kill_replica_errors": "changes",
    "reload_errors": "changes",
    "replace_errors": "changes",
    "overload_p99_ratio": "overload",
    "replicas_gain": "replicas",
    "training_trees_speedup": "training_workers",
}


@dataclass(frozen=True)
class Config:
    """Measure what a lost node, a lost replica, a change and too much load cost."""

    only: tuple[str, ...] = ()
    """Names of the parts to run; all if empty."""
    overload_seconds: float = 300.0
    """How long the service is overloaded."""
    keep: str = ""
    """Directory to keep the trained model in, and to take it from the next time."""


def main(config: Config) -> int:
    """Run the parts in turn; returns the exit status."""
    started = time.perf_counter()
    figures: dict[str, Any] = {}
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        for part in config.only or (*JOBS, *SERVING):
            print(f"\n== {part}", flush=True)
            result = run(f"on_cluster.{part}", _options(part, config, Path(temporary)))
            if result is None:
                failed.append(part)
            else:
                figures[part] = result
    headlines = {name: figures[part][name] for name, part in HEADLINES.items() if part in figures}
    requests = figures.get("changes", {}).get("requests", 0)
    print_result(requests, time.perf_counter() - started, **headlines, **figures, failed=failed)
    return 1 if failed else 0


def _options(part: str, config: Config, folder: Path) -> tuple[str, ...]:
    if part in JOBS:
        return ()
    keep = config.keep or str(folder)
    ModelChoice(keep=keep).registry(folder)  # trained here by the first part that serves
    seconds = ("--seconds", str(config.overload_seconds)) if part == "overload" else ()
    return ("--keep", keep, *seconds)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Config, description=__doc__)))
