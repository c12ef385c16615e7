"""Curves as coordinates of an SVG that the stylesheet colours: no script, no inline style."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 220
"""Of the drawing, in its own units."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 12, 12, 28
_TICKS = 5


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis.

    Attributes:
        at: distance from the left edge, of a vertical axis from the top, units of the drawing.
        text: what stands there.
    """

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """One curve.

    Attributes:
        name: of the legend.
        path: of SVG.
        dots: centres of its points.
    """

    name: str
    path: str
    dots: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing of curves.

    Attributes:
        title: what it shows.
        lines: the curves, the first is the one that matters.
        band: outline of an interval, "" where there is none.
        zero: height of the value 0, None where it is not on the axis.
        x_ticks, y_ticks: of the axes.
        x_label: what the horizontal axis counts.
        left, right, top, bottom: edges of the plane.
    """

    title: str
    lines: tuple[Line, ...]
    band: str
    zero: float | None
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    x_label: str
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    top: float = _TOP
    bottom: float = HEIGHT - _BOTTOM


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def draw(
    title: str,
    x: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    x_label: str,
    band: tuple[Sequence[float], Sequence[float]] | None = None,
) -> Chart | None:
    """Draw curves over the same places.

    Args:
        title: what is shown.
        x: (n,) places, rising.
        curves: by name, (n,) values.
        x_label: what `x` counts.
        band: lower and upper limits, (n,) each.

    Returns:
        None without finite values.
    """
    values = [value for curve in (*curves.values(), *(band or ())) for value in curve]
    if not x or not values or not all(map(math.isfinite, (*x, *values))):
        return None
    across = _Scale(*_range([0.0, *x]), _LEFT, WIDTH - _RIGHT)
    y_ticks = _round_values(*_range([0.0, *values]))
    upwards = _Scale(y_ticks[0], y_ticks[-1], HEIGHT - _BOTTOM, _TOP)
    places = [across(value) for value in x]
    outline = ""
    if band is not None:
        upper = [(a, upwards(b)) for a, b in zip(places, band[1], strict=True)]
        lower = [(a, upwards(b)) for a, b in zip(places, band[0], strict=True)]
        outline = _path([*upper, *reversed(lower)]) + " Z"
    return Chart(
        title,
        tuple(_line(name, places, [upwards(value) for value in y]) for name, y in curves.items()),
        outline,
        upwards(0.0) if y_ticks[0] <= 0.0 <= y_ticks[-1] else None,
        tuple(
            Tick(across(value), f"{value:g}")
            for value in _round_values(across.low, across.high)
            if across.low <= value <= across.high
        ),
        tuple(Tick(upwards(value), f"{value:,.10g}") for value in y_ticks),
        x_label,
    )


def _line(name: str, x: Sequence[float], y: Sequence[float]) -> Line:
    points = tuple(zip(x, y, strict=True))
    return Line(name, _path(points), points)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + " L".join(f"{x:g},{y:g}" for x, y in points)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low, low + 1.0)


def _round_values(low: float, high: float) -> list[float]:
    """Round numbers from at most `low` to at least `high`, about five."""
    raw = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= raw)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [number * step for number in range(first, last + 1)]
