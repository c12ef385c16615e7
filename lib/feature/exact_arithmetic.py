"""Arithmetic that gives the same bits for one value and for a million, on every machine.

A feature is computed offline on NumPy arrays and online on Python floats. IEEE 754 demands one
correctly rounded answer for `+ - * / sqrt`, but says nothing of the sort for `log`, `sin` or
`atan`: the C library, NumPy's vector loops and another processor may differ in the last bit.
So everything here is made of the former alone, and parity between training and serving is exact.

Every function takes a float or a float64 array and returns the same kind.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np

Value = Any
"""A float online, a float64 array offline."""

NAN = float("nan")
EARTH_RADIUS_KM = 6371.0
UNIT_VECTOR_SCALE = 10_000_000

_LN2 = 0.6931471805599453
_SQRT_HALF = 0.7071067811865476
_DEGREE = 0.017453292519943295
# coefficients of series, each rounded once, from the last to the first
_LAST_ODD = 1.0 / 23.0
_ODD = tuple([1.0 / odd for odd in range(21, 0, -2)])
_SINE = tuple([-1.0 / (k * (k + 1.0)) for k in (14.0, 12.0, 10.0, 8.0, 6.0, 4.0, 2.0)])
_COSINE = tuple([-1.0 / (k * (k + 1.0)) for k in (15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0)])


def choose(condition: Any, yes: Value, no: Value) -> Value:
    """`yes` where `condition` holds, else `no`; both are computed."""
    if isinstance(condition, np.ndarray):
        return np.where(condition, yes, no)
    return yes if condition else no


def ratio(numerator: Value, denominator: Value, empty: float = NAN) -> Value:
    """`numerator / denominator`, or `empty` where the denominator is 0."""
    if isinstance(denominator, np.ndarray):
        out = np.full(denominator.shape, empty)
        np.divide(numerator, denominator, out=out, where=denominator != 0)
        return out
    return numerator / denominator if denominator != 0 else empty


def at_least(value: Value, floor: float) -> Value:
    """`max(value, floor)`; a missing value stays missing."""
    if isinstance(value, np.ndarray):
        return np.maximum(value, floor)
    return floor if value < floor else value


def at_most(value: Value, ceiling: float) -> Value:
    """`min(value, ceiling)`; a missing value stays missing."""
    if isinstance(value, np.ndarray):
        return np.minimum(value, ceiling)
    return ceiling if value > ceiling else value


def is_missing(value: Value) -> Any:
    """True where a value is NaN."""
    return value != value  # noqa: PLR0124


def square_root(value: Value) -> Value:
    """Correctly rounded square root of a value that is not negative."""
    if isinstance(value, np.ndarray):
        return np.sqrt(value)
    return math.sqrt(value)


def scaled_by_power(value: Value, power: Value) -> Value:
    """`value * 2 ** power` of a whole number `power`, rounded once where the result is tiny."""
    if isinstance(power, np.ndarray):
        return np.ldexp(value, power.astype(np.int64))
    return math.ldexp(value, int(power))


def natural_log(value: Value) -> Value:
    """Natural logarithm of positive values, within 1 ulp or so of the true one.

    Splits off the exponent, then sums the series of `2 artanh((m - 1) / (m + 1))`.
    """
    mantissa, exponent = np.frexp(value) if isinstance(value, np.ndarray) else math.frexp(value)
    low = mantissa < _SQRT_HALF
    mantissa = choose(low, mantissa * 2.0, mantissa)
    exponent = choose(low, exponent - 1, exponent) * 1.0
    s = (mantissa - 1.0) / (mantissa + 1.0)
    z = s * s
    series = _LAST_ODD
    for coefficient in _ODD:
        series = series * z + coefficient
    return exponent * _LN2 + 2.0 * s * series


def _sine_series(x: Value) -> Value:
    z = x * x
    series = -1.0 / (16.0 * 17.0)
    for coefficient in _SINE:
        series = (series * z + 1.0) * coefficient
    return x * (series * z + 1.0)


def _cosine_series(x: Value) -> Value:
    z = x * x
    series = -1.0 / (17.0 * 18.0)
    for coefficient in _COSINE:
        series = (series * z + 1.0) * coefficient
    return series * z + 1.0


def _sine_cosine(degrees: Value) -> tuple[Value, Value]:
    """Sine and cosine of angles within [-360, 360] degrees."""
    quadrant = np.rint(degrees / 90.0) if isinstance(degrees, np.ndarray) else round(degrees / 90.0)
    x = (degrees - quadrant * 90.0) * _DEGREE
    sine, cosine = _sine_series(x), _cosine_series(x)
    turn = quadrant % 4
    swap = (turn == 1) | (turn == 3)
    s, c = choose(swap, cosine, sine), choose(swap, sine, cosine)
    return choose(turn >= 2, -s, s), choose((turn == 1) | (turn == 2), -c, c)


def unit_vector(latitude: Value, longitude: Value) -> tuple[Value, Value, Value]:
    """A place on the unit sphere, in whole ten-millionths (0.64 m on the ground).

    Args:
        latitude: degrees north, -90..90; no missing values.
        longitude: degrees east, -180..180; no missing values.

    Sums of such vectors have a mean place that is right across the antimeridian and the poles.
    """
    if isinstance(latitude, np.ndarray):
        return _unit_vector(latitude, longitude)
    return _unit_vector_of_one(latitude, longitude)


def _unit_vector(latitude: Value, longitude: Value) -> tuple[Value, Value, Value]:
    sin_lat, cos_lat = _sine_cosine(latitude)
    sin_lon, cos_lon = _sine_cosine(longitude)
    parts = (cos_lat * cos_lon, cos_lat * sin_lon, sin_lat)
    x, y, z = (_round_to_int(part * UNIT_VECTOR_SCALE) for part in parts)
    return x, y, z


# a payment's own place is asked for several times in a row
_unit_vector_of_one = lru_cache(maxsize=256)(_unit_vector)


def _round_to_int(value: Value) -> Value:
    if isinstance(value, np.ndarray):
        return np.rint(value).astype(np.int64)
    return round(value)


def _arctangent(x: Value) -> Value:
    """Arc tangent of values that are not negative, infinity excluded."""
    for _ in range(3):
        x = x / (1.0 + square_root(1.0 + x * x))
    z = x * x
    series = _LAST_ODD
    for coefficient in _ODD:
        series = coefficient - z * series
    return 8.0 * x * series


def distance_km(a: tuple[Value, Value, Value], b: tuple[Value, Value, Value]) -> Value:
    """Great-circle distance in km between two directions (any length but zero), by haversine.

    Missing (NaN) coordinates give a missing distance. The Earth is a sphere of 6,371 km.
    """
    ax, ay, az = _normalised(a)
    bx, by, bz = _normalised(b)
    dx, dy, dz = ax - bx, ay - by, az - bz
    haversine = at_most((dx * dx + dy * dy + dz * dz) * 0.25, 1.0)
    # the cosine is floored: at the antipode the tangent would be infinite
    tangent = square_root(haversine) / at_least(square_root(1.0 - haversine), 1e-12)
    return 2.0 * EARTH_RADIUS_KM * _arctangent(tangent)


def _normalised(v: tuple[Value, Value, Value]) -> tuple[Value, Value, Value]:
    x, y, z = v
    length = square_root(x * x + y * y + z * z)
    return ratio(x, length), ratio(y, length), ratio(z, length)
