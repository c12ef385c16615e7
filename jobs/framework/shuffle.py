"""Rows of one key in one block: into how many blocks they are spread, and by what way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.feature_join import partitions_for

if TYPE_CHECKING:
    from ray.data import Dataset


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
    return partitions_for(rows, int(resources.get("CPU", 1)), resources.get("memory", 0.0))


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
