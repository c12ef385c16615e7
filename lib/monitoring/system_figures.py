"""Figures of performance that one system alone has: tables beside the measures that all share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lib.evaluation import Interval
from lib.monitoring.performance import Figure, number_text
from lib.report import Cell


@dataclass(frozen=True)
class DecidedWindow:
    """What a system's own figures are computed from. Times are microseconds since 1970 UTC.

    Attributes:
        decisions: `lib.records.decision_table.DECISION_SCHEMA`, by event time; of the sample.
        labels: `LABEL_SCHEMA` there.
        since, until: bounds of event times, the second exclusive.
        as_of: up to which labels count.
    """

    decisions: pa.Table
    labels: pa.Table
    since: int
    until: int
    as_of: int


@dataclass(frozen=True)
class FigureTable:
    """A table of the page, with its figures for Prometheus.

    Attributes:
        title: what it is of.
        header, rows: see `lib.report.Table`.
        caption: what the columns are.
        figures: of the table, each name once among all tables of a system.
        notes: what could not be computed, each a sentence.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        rows = [dict(zip(self.header, row, strict=True)) for row in self.rows]
        figures = [figure.to_json() for figure in self.figures]
        return {"title": self.title, "rows": rows, "figures": figures, "notes": list(self.notes)}


SystemFigures = Callable[[DecidedWindow], Sequence[FigureTable]]
"""Computes them; what cannot be computed is a note of its table."""


def realised_figure(
    name: str, interval: Interval, rows: int, entities: int, positives: float, ripeness: float = 1.0
) -> Figure:
    """A figure on labels that are in; see `Figure`."""
    limits = interval.value, interval.low, interval.high
    return Figure(name, "", "realised", *limits, rows, entities, positives, ripeness)


def interval_text(interval: Interval) -> str | None:
    """A value with its limits as a cell; None where it is not known."""
    if not np.isfinite(interval.value):
        return None
    value, low, high = map(number_text, (interval.value, interval.low, interval.high))
    return f"{value} ({low} to {high})"
