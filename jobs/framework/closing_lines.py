"""What a job prints when it ends: a short table, and where everything lies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np


def align(rows: Iterable[Sequence[str]], widths: Sequence[int]) -> list[str]:
    """Rows of cells as lines: the first cell to the left, the others to the right.

    Args:
        rows: of cells; the first row is the header.
        widths: of the columns; the last one counts for all further columns too.
    """
    lines = []
    for name, *cells in rows:
        padded = (
            f"{cell:>{widths[min(column, len(widths) - 1)]}}"
            for column, cell in enumerate(cells, start=1)
        )
        lines.append(f"{name:{widths[0]}}" + "".join(padded))
    return lines


def decimals(value: float, digits: int = 3) -> str:
    """A figure, or `-` where there is none."""
    return "-" if np.isnan(value) else f"{value:.{digits}f}"
