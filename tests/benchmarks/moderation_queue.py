"""Reviewers at one queue, some of whom pause past their lease and some of whom are killed.

`python -m tests.benchmarks.moderation_queue` prints the figures.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import tyro

from tests.benchmarks.result import print_result
from tests.records.review_load import Fire, run
from tests.records.server import installed, new_database, running


def main(fire: Fire) -> None:
    """Run it on SQLite, and on PostgreSQL where it is installed."""
    started, results = time.perf_counter(), {}
    with tempfile.TemporaryDirectory() as folder:
        results["sqlite"] = run(f"sqlite:///{Path(folder)}/records.db", fire)
        print(f"sqlite: {results['sqlite']}", flush=True)
    with ExitStack() as stack:
        if installed():
            results["postgresql"] = run(new_database(stack.enter_context(running())), fire)
            print(f"postgresql: {results['postgresql']}", flush=True)
    print_result(fire.posts, time.perf_counter() - started, **results)


if __name__ == "__main__":
    main(tyro.cli(Fire, description=__doc__))
