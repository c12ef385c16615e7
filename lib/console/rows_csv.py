"""Rows of a page as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a cell begins that a spreadsheet computes; the last four are wide, as in Japanese texts."""


def rows_csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows as CSV (RFC 4180); a cell that a spreadsheet would compute is led by an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    for row in rows:
        writer.writerow([csv_cell(value) if isinstance(value, str) else value for value in row])
    return text.getvalue()


def csv_cell(value: str | None) -> str:
    """A cell of CSV; what a spreadsheet would compute is led by an apostrophe.

    >>> csv_cell("=1+1"), csv_cell("-"), csv_cell("a=1"), csv_cell(None)
    ("'=1+1", "'-", 'a=1', '')
    """
    text = value or ""
    return f"'{text}" if text.startswith(_FORMULA) else text
