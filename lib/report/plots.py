"""Plots as inline SVG, in one quiet style."""

import io
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas

from lib.report.document import Figure

COLOURS = ("#0b5cad", "#d1495b", "#2a9d6f", "#b07aa1", "#8a8f98", "#e0a030")
_MOST_POINTS = 400
_MOST_TICKS = 15
_SOFT = "#5b6675"
_SALT = "forewarn"


@dataclass(frozen=True)
class Curve:
    """Points of one line: x (n,), y (n,)."""

    x: npt.ArrayLike
    y: npt.ArrayLike


@dataclass(frozen=True)
class Axis:
    """Words below an axis, and whether it counts in powers of ten."""

    label: str
    logarithmic: bool = False


def line_plot(
    title: str,
    curves: Mapping[str, Curve],
    x: Axis,
    y: Axis,
    *,
    caption: str = "",
    diagonal: bool = False,
    points: bool = False,
    from_zero: bool = False,
) -> Figure:
    """Lines with a legend; the first is drawn strongest. Long lines are thinned to 400 points."""
    canvas, axes = _blank(title, x, y)
    if diagonal:
        axes.plot([0, 1], [0, 1], color="#c4cad2", linewidth=1, linestyle="--")
    for index, (name, curve) in enumerate(curves.items()):
        xs, ys = _thinned(np.asarray(curve.x, float), np.asarray(curve.y, float))
        axes.plot(
            xs,
            ys,
            color=COLOURS[index % len(COLOURS)],
            linewidth=2.2 if index == 0 else 1.3,
            marker="o" if points else None,
            markersize=4,
            label=name,
        )
    if from_zero:
        axes.set_ylim(bottom=0)
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=8)
    return Figure(_svg(canvas), caption)


def histogram(
    title: str,
    groups: Mapping[str, npt.ArrayLike],
    x: Axis,
    *,
    bins: int = 40,
    caption: str = "",
    logarithmic: bool = True,
) -> Figure:
    """Share of each group's rows in bins common to all groups; on a logarithmic axis or not."""
    canvas, axes = _blank(title, x, Axis("share of rows", logarithmic=logarithmic))
    arrays = {name: np.asarray(values, float) for name, values in groups.items()}
    present = np.concatenate(list(arrays.values()))
    edges = np.linspace(present.min(), present.max() + 1e-9, bins + 1)
    for index, (name, values) in enumerate(arrays.items()):
        if len(values):
            weights = np.full(len(values), 1 / len(values))
            colour = COLOURS[index % len(COLOURS)]
            axes.hist(values, edges.tolist(), weights=weights, color=colour, alpha=0.55, label=name)
    axes.legend(frameon=False, fontsize=8)
    return Figure(_svg(canvas), caption)


def bar_plot(title: str, names: Sequence[str], values: Sequence[float], x: Axis) -> Figure:
    """Horizontal bars, the first on top."""
    canvas, axes = _blank(title, x, Axis(""))
    axes.barh(list(names)[::-1], list(values)[::-1], color=COLOURS[0], height=0.7)
    axes.tick_params(axis="y", labelsize=7.5)
    # long names leave the axes too narrow for the title
    axes.set_title("", loc="left")
    canvas.suptitle(title, fontsize=10.5, fontweight="bold", x=0.02, ha="left")
    return Figure(_svg(canvas))


@dataclass(frozen=True)
class Span:
    """A piece of a row of `span_plot`, from `start` on for `length`, coloured by `kind`."""

    row: str
    start: float
    length: float
    kind: str


def span_plot(
    title: str, spans: Sequence[Span], x: Axis, *, ticks: Mapping[float, str], caption: str = ""
) -> Figure:
    """Who is busy when: a row for each name, in order, the first on top (a Gantt chart)."""
    canvas, axes = _blank(title, x, Axis(""))
    rows = list(dict.fromkeys(span.row for span in spans))
    kinds = list(dict.fromkeys(span.kind for span in spans))
    canvas.set_size_inches(9.0, max(2.0, 0.9 + 0.16 * len(rows)))
    for index, kind in enumerate(kinds):
        kind_spans = [span for span in spans if span.kind == kind]
        axes.barh(
            [rows.index(span.row) for span in kind_spans],
            [span.length for span in kind_spans],
            left=[span.start for span in kind_spans],
            color=COLOURS[index % len(COLOURS)],
            height=0.72,
            label=kind,
        )
    axes.set_yticks(range(len(rows)), rows, fontsize=7)
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.set_xlim(min(ticks), max(ticks))
    axes.invert_yaxis()
    if len(kinds) > 1:
        axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=6)
        axes.set_title(title, fontsize=10.5, loc="left", fontweight="bold", pad=22)
    return Figure(_svg(canvas), caption)


def heat_map(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    values: npt.ArrayLike,
    *,
    most: float,
    label: str,
    caption: str = "",
) -> Figure:
    """A cell for each row and column, darker for larger values; a cell without a value is grey.

    Args:
        title: of the plot.
        rows: names, the first on top.
        columns: names, e.g. days; some of them are written where there are many.
        values: (rows, columns) from 0 up, NaN where there is none.
        most: value of the darkest colour; larger ones have the same.
        label: what the colour says.
        caption: one line below.
    """
    canvas, axes = _blank(title, Axis(""), Axis(""))
    canvas.set_size_inches(9.0, max(2.0, 1.0 + 0.17 * len(rows)))
    axes.grid(visible=False)
    axes.set_facecolor("#e3e7ec")
    cells = np.ma.masked_invalid(np.asarray(values, dtype=np.float64))
    mesh = axes.pcolormesh(
        cells, cmap="Blues", vmin=0.0, vmax=most, edgecolors="white", linewidth=0.5
    )
    axes.set_yticks(np.arange(len(rows)) + 0.5, list(rows), fontsize=7)
    step = max(1, -(-len(columns) // _MOST_TICKS))
    axes.set_xticks(np.arange(0, len(columns), step) + 0.5, list(columns)[::step], fontsize=7)
    axes.invert_yaxis()
    bar = canvas.colorbar(mesh, ax=axes, pad=0.01, extend="max")
    bar.set_label(label, fontsize=8, color=_SOFT)
    bar.ax.tick_params(labelsize=7, colors=_SOFT, length=0)
    bar.outline.set_visible(False)
    return Figure(_svg(canvas), caption, wide=True)


def _blank(title: str, x: Axis, y: Axis) -> tuple[Canvas, Axes]:
    canvas = Canvas(figsize=(5.4, 3.7), layout="constrained")
    axes = canvas.add_subplot()
    axes.set_title(title, fontsize=10.5, loc="left", fontweight="bold")
    axes.set_xlabel(x.label, fontsize=8.5, color=_SOFT)
    axes.set_ylabel(y.label, fontsize=8.5, color=_SOFT)
    axes.tick_params(labelsize=8, colors=_SOFT, length=0)
    axes.grid(visible=True, color="#eceff3", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#c4cad2")
    if x.logarithmic:
        axes.set_xscale("log")
    if y.logarithmic:
        axes.set_yscale("log")
    return canvas, axes


def _thinned(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    if len(x) <= _MOST_POINTS:
        return x, y
    kept = np.unique(
        np.concatenate(
            [
                np.geomspace(1, len(x), _MOST_POINTS // 2).astype(int) - 1,
                np.linspace(0, len(x) - 1, _MOST_POINTS // 2).astype(int),
            ]
        )
    )
    return x[kept], y[kept]


def _svg(canvas: Canvas) -> str:
    """SVG text with ids that repeat from run to run, without the XML header."""
    buffer = io.BytesIO()
    FigureCanvasSVG(canvas)
    if layout := canvas.get_layout_engine():
        layout.execute(canvas)
        canvas.set_layout_engine("none")  # else it is computed, and all is drawn, twice more
    with rc_context({"svg.hashsalt": _SALT}):
        canvas.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue().decode()
    text = text[text.index("<svg") :]
    mark = f"p{zlib.crc32(text.encode()):08x}"
    return re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{mark}-", text)
