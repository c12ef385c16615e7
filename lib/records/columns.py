"""Columns of tables; all times are microseconds since 1970 UTC, as 64-bit integers."""

from functools import partial
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, Integer, Text
from sqlalchemy.types import TypeEngine


def row_number(name: str) -> Column[Any]:
    """A key that the database counts up."""
    return Column(name, BigInteger().with_variant(Integer(), "sqlite"), nullable=False)


def _columns(kind: TypeEngine[Any], *names: str, nullable: bool = False) -> list[Column[Any]]:
    return [Column(name, kind, nullable=nullable) for name in names]


texts = partial(_columns, Text())
"""Columns of text, e.g. identifiers."""
integers = partial(_columns, BigInteger())
"""Columns of 64-bit integers, e.g. times."""
small_integers = partial(_columns, Integer())
"""Columns of 32-bit integers."""
numbers = partial(_columns, Double())
"""Columns of double-precision numbers."""
booleans = partial(_columns, Boolean())
"""Columns of true or false."""
documents = partial(_columns, JSON(none_as_null=True))
"""Columns of JSON; None is NULL."""
