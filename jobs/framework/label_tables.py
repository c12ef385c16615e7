"""Tables of labels: those of the records and those of files as one, and how many are new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.data_fingerprint import fingerprint_of
from jobs.framework.retrained_system import NewLabels
from jobs.ingestion import mapping_for, read_whole
from lib.contract import Contract
from lib.storage import open_storage, write_parquet

FOLDER = "labels"
"""Folder of OUTPUT with what was learnt from."""


def given_rows(config: Any, contract: Contract) -> pa.Table:
    """The good rows of the table that an option named after its contract gives; none without."""
    path = getattr(config, contract.name)
    if path is None:
        return contract.schema.empty_table()
    mapping = mapping_for(contract, getattr(config, f"mapping_{contract.name}"), path)
    return read_whole(mapping, path, may_be_empty=True)


def write_labels(config: Any, contract: Contract, rows: Iterable[pa.Table]) -> str:
    """All rows of a contract, in the order of the tables, to OUTPUT/labels; the file's address."""
    schema = contract.schema
    tables = [table.select(schema.names).cast(schema) for table in rows]
    storage = open_storage(config.output)
    return write_parquet(pa.concat_tables(tables), storage, f"{FOLDER}/{contract.name}.parquet")


def times_after(table: pa.Table, column: str, mark: int) -> int:
    """Rows of a table whose time is later than a mark, microseconds since 1970 UTC."""
    return int((times_of(table, column) > mark).sum())


def newest(table: pa.Table, column: str, mark: int) -> int:
    """The latest time of a table, or the mark where that is later."""
    return int(max(times_of(table, column), default=mark))


def times_of(table: pa.Table, column: str) -> Any:
    """(rows,) times of a column as microseconds since 1970 UTC; null is 0."""
    times = pc.fill_null(table[column].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()), 0)
    return np.asarray(times.to_numpy(), dtype=np.int64)


def new_labels(
    new: int, total: int, marks: Mapping[str, int], tables: Mapping[str, str]
) -> NewLabels:
    """Labels with the digest of their tables.

    Args:
        new: since the last time.
        total: in all.
        marks: up to where they were read.
        tables: options of the training to addresses of tables.
    """
    return NewLabels(new, total, marks, tables, fingerprint_of(sorted(tables.values())))


def as_options(labels: NewLabels) -> dict[str, Any]:
    """Options of a training that learns from these tables, which are in their contracts' form."""
    return labels.tables | {f"mapping_{name}": None for name in labels.tables}
