"""Features of a feature set over a Ray data set of any size, one shuffle for each key.

A payment's history by user, by merchant and by device lie in different places, so the rows are
brought together by each of `partition_columns` in turn; every pass adds the whole-number measures
of its keys, and at the end they become features.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray.data

from lib.feature import FeatureSet, finish, measure, partition_columns

_GROUP = "__group"
_ALONE = "\x00"


def with_features(
    features: FeatureSet, rows: ray.data.Dataset, partitions: int
) -> ray.data.Dataset:
    """The rows with one float64 column for each feature added.

    Args:
        features: the declarations.
        rows: the events; each id once.
        partitions: into how many blocks each shuffle spreads the keys. A block must fit into the
            memory of one task; all events of one key are in one block.
    """
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


def _finish(table: pa.Table, features: FeatureSet) -> pa.Table:
    return finish(features, table)


def partitions_for(rows: int, cpus: int, rows_per_partition: int = 1_000_000) -> int:
    """Enough partitions for every core, and none above `rows_per_partition` on average."""
    return max(2 * cpus, int(np.ceil(rows / rows_per_partition)))
