"""Features of a feature set over a Ray data set of any size, one shuffle for each key.

A payment's history by user, by merchant and by device lie in different places, so the rows are
brought together by each of `partition_columns` in turn; every pass adds the whole-number measures
of its keys, and at the end they become features.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from jobs.framework.cluster import gather_rows
from lib.feature import FeatureSet, finish, measure, partition_columns

if TYPE_CHECKING:
    import ray.data

_GROUP = "__group"
_ALONE = "\x00"


def add_features(
    features: FeatureSet,
    rows: ray.data.Dataset,
    partitions: int,
    never_missing: Collection[str] = (),
) -> ray.data.Dataset:
    """The rows with one float64 column for each feature added.

    Args:
        features: the declarations.
        rows: the events; each id once.
        partitions: into how many blocks each shuffle spreads the keys. A block must fit into the
            memory of one task; all events of one key are in one block.
        never_missing: columns that have a value in every row.
    """
    whole_blocks = {"batch_size": None, "batch_format": "pyarrow", "zero_copy_batch": True}
    # the key with most measures last: what a pass adds is carried through all later shuffles
    for column in reversed(partition_columns(features)):
        key = column
        if column not in never_missing:
            key = _GROUP
            rows = rows.map_batches(
                _name_group, fn_args=(column, features.id_column), batch_format="pyarrow"
            )
        rows = gather_rows(rows, key, partitions, ordered=False)
        rows = rows.map_batches(partial(_measure, features, column), **whole_blocks)
    return rows.map_batches(partial(finish, features), **whole_blocks)


def _name_group(table: pa.Table, column: str, id_column: str) -> pa.Table:
    """Says which rows belong together; rows without a key belong to nobody and are spread."""
    keys = table.column(column)
    if keys.null_count:
        alone = pc.binary_join_element_wise(_ALONE, table.column(id_column), "")
        keys = pc.coalesce(keys, alone)
    return table.append_column(_GROUP, keys)


def _measure(features: FeatureSet, column: str, table: pa.Table) -> pa.Table:
    if _GROUP in table.column_names:
        table = table.drop_columns([_GROUP])
    return measure(features, table, column)
