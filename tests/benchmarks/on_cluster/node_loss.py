"""What killing a node costs the features job and training.

`python -m tests.benchmarks.on_cluster.node_loss` prints the figures.
"""

from __future__ import annotations

import json

from tests.cluster.node_loss import measure


def main() -> None:
    """Print the figures."""
    print(json.dumps(measure()))


if __name__ == "__main__":
    main()
