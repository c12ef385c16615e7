"""Rows of one key in one block: into how many blocks they are spread, and by what way."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ray.data import Dataset

_ONE_TASK_ROWS = 300_000
_ONE_TASK_BYTES_PER_ROW = 2_500
_FEW_CORES = 4  # bringing rows together takes about twice what is then done with them
_PARTITION_ROWS = 1_000_000


def shuffle_partitions(requested: int, rows: int) -> int:
    """Blocks that a shuffle spreads its keys over: as requested, or by rows and cluster.

    Args:
        requested: 0 leaves it to this.
        rows: about how many there are.
    """
    import ray

    if requested:
        return requested
    resources = ray.cluster_resources()
    cores = int(resources.get("CPU", 1))
    fits = rows * _ONE_TASK_BYTES_PER_ROW < resources.get("memory", 0.0) / 3
    if rows <= _ONE_TASK_ROWS or (cores <= _FEW_CORES and fits):
        return 1  # a single task is done sooner than a shuffle
    return max(2 * cores, math.ceil(rows / _PARTITION_ROWS))


def choose_shuffle(rows: int, bytes_per_row: int) -> None:
    """Shuffle through memory, which is faster, while all of it fits; else through disks."""
    import ray
    from ray.data import DataContext

    memory = ray.cluster_resources().get("object_store_memory", 0)
    DataContext.get_current().use_disk_based_hash_shuffle = rows * bytes_per_row >= memory / 2


def gather_rows(rows: Dataset, key: str, partitions: int) -> Dataset:
    """The rows with all of a key in one block."""
    if partitions == 1:
        return rows.repartition(1)
    return rows.repartition(partitions, keys=[key], sort=True)
