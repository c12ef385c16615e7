"""Reports: one self-contained HTML page for people, the same numbers as JSON for programs."""

from lib.report.document import (
    Block,
    Cell,
    Figure,
    Figures,
    KeyFigure,
    KeyFigures,
    Note,
    Report,
    Section,
    Table,
)
from lib.report.page import render_page, write_report
from lib.report.plots import Axis, Curve, Span, bar_plot, heat_map, histogram, line_plot, span_plot

__all__ = [
    "Axis",
    "Block",
    "Cell",
    "Curve",
    "Figure",
    "Figures",
    "KeyFigure",
    "KeyFigures",
    "Note",
    "Report",
    "Section",
    "Span",
    "Table",
    "bar_plot",
    "heat_map",
    "histogram",
    "line_plot",
    "render_page",
    "span_plot",
    "write_report",
]
