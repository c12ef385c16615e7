"""A report as data: sections of notes, tables, figures and key numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Cell = str | int | float | None


@dataclass(frozen=True)
class Note:
    """A paragraph of plain text."""

    text: str


@dataclass(frozen=True)
class KeyFigure:
    """One large number with what it is and what to read beside it."""

    label: str
    value: str
    detail: str = ""


@dataclass(frozen=True)
class KeyFigures:
    """A row of large numbers."""

    figures: tuple[KeyFigure, ...]


@dataclass(frozen=True)
class Table:
    """Rows under headings; numbers stand right, text left.

    Args:
        header: one heading per column.
        rows: cells; floats are written with `digits` decimals, None as a dash.
        digits: decimals of floats.
        column_digits: decimals of floats below these headings instead.
        emphasis: number of a row to stand out, from 0.
        caption: one line below.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    digits: int = 3
    emphasis: int | None = None
    caption: str = ""
    column_digits: Mapping[str, int] = field(default_factory=dict)

    def digits_below(self, column: int) -> int:
        """Decimals of floats in a column, counted from 0."""
        return self.column_digits.get(self.header[column], self.digits)

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows):
            if len(row) != len(self.header):
                raise ValueError(
                    f"table: row {number} has {len(row)} cells under {len(self.header)} headings"
                )


@dataclass(frozen=True)
class Figure:
    """A plot as SVG text of `lib.report.plots`, with a caption; `wide` takes the page's width."""

    svg: str
    caption: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Figures:
    """Plots side by side where the page is wide enough."""

    figures: tuple[Figure, ...]


Block = Note | KeyFigures | Table | Figure | Figures


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Report:
    """A report.

    Args:
        title: of the page.
        subtitle: one line: what data, when, which model.
        sections: in order.
        facts: the numbers again, for `report.json`; JSON values only.
    """

    title: str
    subtitle: str
    sections: Sequence[Section]
    facts: dict[str, Any]
