"""Reviewers at one queue, some of whom pause past their lease and some of whom are killed.

`python -m tests.benchmarks.moderation_queue` prints the figures.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.result import print_result
from tests.records.review_load import Fire, run
from tests.records.server import installed, new_database, running


def main() -> None:
    """Run it on SQLite, and on PostgreSQL where it is installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=1500)
    parser.add_argument("--reviewers", type=int, default=8)
    parser.add_argument("--kills", type=int, default=4, help="of them, while they hold items")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    fire = Fire(options.posts, options.reviewers, options.kills, seed=options.seed)
    started, results = time.perf_counter(), {}
    with tempfile.TemporaryDirectory() as folder:
        results["sqlite"] = run(f"sqlite:///{Path(folder)}/records.db", fire)
        print(f"sqlite: {results['sqlite']}", flush=True)
    with ExitStack() as stack:
        if installed():
            results["postgresql"] = run(new_database(stack.enter_context(running())), fire)
            print(f"postgresql: {results['postgresql']}", flush=True)
    print_result(options.posts, time.perf_counter() - started, **results)


if __name__ == "__main__":
    main()
