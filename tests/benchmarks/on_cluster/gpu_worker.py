"""How soon a GPU worker comes when training asks for one, and goes when it is idle.

`python -m tests.benchmarks.on_cluster.gpu_worker` prints the figures.
"""

from __future__ import annotations

import json

from tests.cluster.gpu_worker import measure


def main() -> None:
    """Print the figures."""
    print(json.dumps(measure()))


if __name__ == "__main__":
    main()
