"""Training rows as Parquet files, of which each worker reads its share."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lib.storage import Storage, read_parquet, write_parquet

LABEL = "label"
WEIGHT = "weight"
Floats32 = npt.NDArray[np.float32]


def write_training_files(
    matrix: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    weights: npt.NDArray[Any],
    features: Sequence[str],
    count: int,
    storage: Storage,
    folder: str,
) -> tuple[str, ...]:
    """Rows as `count` Parquet files, every count-th row to each; their addresses."""
    addresses = []
    for index in range(count):
        rows = slice(index, None, count)
        columns = {
            name: matrix[rows, column].astype(np.float32) for column, name in enumerate(features)
        }
        columns[LABEL] = labels[rows].astype(np.float32)
        columns[WEIGHT] = weights[rows].astype(np.float32)
        path = f"{folder}/{index:04d}.parquet"
        addresses.append(write_parquet(pa.table(columns), storage, path))
    return tuple(addresses)


def read_share(
    files: Sequence[str], features: Sequence[str], rank: int, workers: int
) -> tuple[Floats32, Floats32, Floats32]:
    """Matrix, labels and weights of every `workers`-th file from `rank` on."""
    table = pa.concat_tables([read_parquet(file) for file in files[rank::workers]])
    matrix = np.column_stack([_floats(table[name]) for name in features])
    return matrix, _floats(table[LABEL]), _floats(table[WEIGHT])


def _floats(column: pa.ChunkedArray) -> Floats32:
    return np.asarray(column, dtype=np.float32)
