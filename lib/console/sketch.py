"""Drawings that are no curves: a ring of what is connected, points on the ground, a score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

GRAPH_WIDTH, GRAPH_HEIGHT = 640, 460
MAP_WIDTH, MAP_HEIGHT = 640, 300
SCALE_WIDTH = 640
_MARGIN = 46
_INNER, _OUTER = 0.56, 1.0
_LEFT, _RIGHT = 12, 628
_EARTH_KM = 6371.0
_SMALLEST_KM = 1.0
_LENGTHS_KM = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)
_SHARE_OF_WIDTH = 0.35


@dataclass(frozen=True, slots=True)
class Dot:
    """Where a drawing has something, in its units.

    Attributes:
        x, y: from the left edge, and from the top.
    """

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class GroundSketch:
    """Points on the ground, north up, to scale.

    Attributes:
        dots: of the points, in their order.
        bar_km, bar_width: a length, and how wide it is drawn.
    """

    dots: tuple[Dot, ...]
    bar_km: int
    bar_width: float


def ring_dots(inner: int, outer: int) -> tuple[tuple[Dot, ...], tuple[Dot, ...]]:
    """Dots of two rings around the middle of a graph, the first of each at the top.

    >>> [round(dot.x) for dot in ring_dots(2, 0)[0]]
    [320, 320]
    """
    return _ring(inner, _INNER, 0.0), _ring(outer, _OUTER, 0.5)


def sketch_ground(points: Sequence[tuple[float, float]]) -> GroundSketch | None:
    """Draw points where they lie on the ground, seen from above the first.

    The azimuthal equidistant projection: distance and direction from the first point are true.

    Args:
        points: (latitude, longitude) in degrees, WGS 84.

    Returns:
        None without points.
    """
    if not points:
        return None
    offsets = [_offset(points[0], point) for point in points]
    radius = max(_SMALLEST_KM, *(max(abs(east), abs(north)) for east, north in offsets))
    middle = (MAP_WIDTH / 2, MAP_HEIGHT / 2)
    per_km = (MAP_HEIGHT / 2 - 26) / radius
    dots = tuple(
        Dot(round(middle[0] + east * per_km, 1), round(middle[1] - north * per_km, 1))
        for east, north in offsets
    )
    widest = MAP_WIDTH * _SHARE_OF_WIDTH
    fitting = [length for length in _LENGTHS_KM if length * per_km <= widest]
    length = fitting[-1] if fitting else _LENGTHS_KM[0]
    return GroundSketch(dots, length, round(min(length * per_km, MAP_WIDTH), 1))


def distance_km(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Great-circle distance of two places (latitude, longitude) in degrees, on a sphere.

    >>> round(distance_km((52.52, 13.405), (48.137, 11.575)))
    504
    """
    (lat_a, lon_a), (lat_b, lon_b) = (map(math.radians, each) for each in (a, b))
    half_lat, half_lon = (lat_b - lat_a) / 2, (lon_b - lon_a) / 2
    chord = math.sin(half_lat) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(half_lon) ** 2
    return 2 * _EARTH_KM * math.asin(math.sqrt(min(1.0, chord)))


def on_scale(value: float) -> float:
    """Where a number from 0 to 1 lies on a drawing of `SCALE_WIDTH`.

    >>> on_scale(0.0), on_scale(1.0)
    (12.0, 628.0)
    """
    return round(_LEFT + min(max(value, 0.0), 1.0) * (_RIGHT - _LEFT), 1)


def _ring(count: int, share: float, shift: float) -> tuple[Dot, ...]:
    across, upwards = GRAPH_WIDTH / 2 - _MARGIN, GRAPH_HEIGHT / 2 - _MARGIN + 18
    dots = []
    for number in range(count):
        angle = 2 * math.pi * (number + shift) / count - math.pi / 2
        x = GRAPH_WIDTH / 2 + math.cos(angle) * across * share
        y = GRAPH_HEIGHT / 2 + math.sin(angle) * upwards * share
        dots.append(Dot(round(x, 1), round(y, 1)))
    return tuple(dots)


def _offset(origin: tuple[float, float], point: tuple[float, float]) -> tuple[float, float]:
    """Kilometres to the east and to the north of an origin."""
    distance = distance_km(origin, point)
    if distance == 0.0:
        return (0.0, 0.0)
    (lat_a, lon_a), (lat_b, lon_b) = (map(math.radians, each) for each in (origin, point))
    east = math.sin(lon_b - lon_a) * math.cos(lat_b)
    north = math.cos(lat_a) * math.sin(lat_b) - math.sin(lat_a) * math.cos(lat_b) * math.cos(
        lon_b - lon_a
    )
    angle = math.atan2(east, north)
    return (distance * math.sin(angle), distance * math.cos(angle))
