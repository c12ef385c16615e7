"""Declares tables, with names for their keys and indexes."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Index, MetaData, PrimaryKeyConstraint, Table
from sqlalchemy.sql.schema import SchemaItem

METADATA = MetaData()


def table(
    name: str,
    *columns: SchemaItem,
    key: Sequence[str] = ("id",),
    indexes: Mapping[str, Sequence[str]] = {},
    **options: Any,
) -> Table:
    """A table whose primary key is `NAME_key` and whose indexes are `NAME_SUFFIX`.

    Args:
        name: of the table.
        columns: see `lib.records.columns`; further constraints may stand among them.
        key: columns of the primary key.
        indexes: suffixes of indexes to their columns.
        options: of the dialects.
    """
    return Table(
        name,
        METADATA,
        *columns,
        PrimaryKeyConstraint(*key, name=f"{name}_key"),
        *(Index(f"{name}_{suffix}", *names) for suffix, names in indexes.items()),
        **options,
    )
