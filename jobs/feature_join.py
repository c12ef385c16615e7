"""Features of a feature set over a Ray data set of any size, one shuffle for each key.

A payment's history by user, by merchant and by device lie in different places, so the rows are
brought together by each of `partition_columns` in turn; every pass adds the whole-number measures
of its keys, and at the end they become features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.feature import FeatureSet, compute, finish, measure, partition_columns

if TYPE_CHECKING:
    import ray.data

_GROUP = "__group"
_ALONE = "\x00"
_ONE_TASK_ROWS = 300_000
_ONE_TASK_BYTES_PER_ROW = 2_500
_FEW_CORES = 4  # bringing rows together takes about twice what is then done with them
_PARTITION_ROWS = 1_000_000


def add_features(features: FeatureSet, rows: ray.data.Dataset, partitions: int) -> ray.data.Dataset:
    """The rows with one float64 column for each feature added.

    Args:
        features: the declarations.
        rows: the events; each id once.
        partitions: into how many blocks each shuffle spreads the keys. A block must fit into the
            memory of one task; all events of one key are in one block. With 1, one task does all
            and nothing is shuffled.
    """
    if partitions == 1:
        single_block = rows.repartition(1)
        return single_block.map_batches(
            _compute, fn_args=(features,), batch_size=None, batch_format="pyarrow"
        )
    for column in partition_columns(features):
        rows = rows.map_batches(
            _name_group, fn_args=(column, features.id_column), batch_format="pyarrow"
        )
        rows = rows.repartition(partitions, keys=[_GROUP], sort=True)
        rows = rows.map_batches(
            _measure,
            fn_args=(features, column),
            batch_size=None,
            batch_format="pyarrow",
            zero_copy_batch=True,
        )
    return rows.map_batches(
        _finish, fn_args=(features,), batch_size=None, batch_format="pyarrow", zero_copy_batch=True
    )


def _name_group(table: pa.Table, column: str, id_column: str) -> pa.Table:
    """Says which rows belong together; rows without a key belong to nobody and are spread."""
    keys = table.column(column)
    if keys.null_count:
        alone = pc.binary_join_element_wise(_ALONE, table.column(id_column), "")
        keys = pc.coalesce(keys, alone)
    return table.append_column(_GROUP, keys)


def _measure(table: pa.Table, features: FeatureSet, column: str) -> pa.Table:
    return measure(features, table.drop_columns([_GROUP]), column)


def _compute(table: pa.Table, features: FeatureSet) -> pa.Table:
    return compute(features, table)


def _finish(table: pa.Table, features: FeatureSet) -> pa.Table:
    return finish(features, table)


def partitions_for(rows: int, cpus: int, memory: float) -> int:
    """One where a single task is done sooner than a shuffle; else enough for every core.

    Args:
        rows: about how many rows there are.
        cpus: cores of the cluster.
        memory: bytes that its tasks may use.
    """
    few_cores = cpus <= _FEW_CORES and rows * _ONE_TASK_BYTES_PER_ROW < memory / 3
    if rows <= _ONE_TASK_ROWS or few_cores:
        return 1
    return max(2 * cpus, int(np.ceil(rows / _PARTITION_ROWS)))
