"""Declares tables; all times are microseconds since 1970 UTC, as 64-bit integers."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)
from sqlalchemy.sql.schema import SchemaItem
from sqlalchemy.types import TypeEngine

METADATA = MetaData()

_ROW_ID = BigInteger().with_variant(Integer(), "sqlite")


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
        columns: see the functions below; further constraints may stand among them.
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


def texts(*names: str, nullable: bool = False) -> list[Column[Any]]:
    """Columns of text, e.g. identifiers."""
    return _columns(Text(), names, nullable)


def integers(*names: str, nullable: bool = False) -> list[Column[Any]]:
    """Columns of 64-bit integers, e.g. times."""
    return _columns(BigInteger(), names, nullable)


def small_integers(*names: str, nullable: bool = False) -> list[Column[Any]]:
    """Columns of 32-bit integers."""
    return _columns(Integer(), names, nullable)


def numbers(*names: str, nullable: bool = False) -> list[Column[Any]]:
    """Columns of double-precision numbers."""
    return _columns(Double(), names, nullable)


def booleans(*names: str) -> list[Column[Any]]:
    """Columns of true or false."""
    return _columns(Boolean(), names, nullable=False)


def documents(*names: str, nullable: bool = False) -> list[Column[Any]]:
    """Columns of JSON; None is NULL."""
    return _columns(JSON(none_as_null=True), names, nullable)


def row_number(name: str) -> Column[Any]:
    """A key that the database counts up."""
    return Column(name, _ROW_ID, nullable=False)


def _columns(kind: TypeEngine[Any], names: Sequence[str], nullable: bool) -> list[Column[Any]]:
    return [Column(name, kind, nullable=nullable) for name in names]
