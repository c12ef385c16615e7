"""One value and an array give the same bits, and both are right."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.feature import exact_arithmetic

POSITIVE = st.floats(1e-9, 1e12)
LATITUDE, LONGITUDE = st.floats(-90, 90), st.floats(-180, 180)


def same_bits(value, array):
    return np.float64(value).tobytes() == np.float64(array[0]).tobytes()


@given(POSITIVE)
def test_logarithm(x):
    logarithm = exact_arithmetic.natural_log(x)
    assert logarithm == pytest.approx(math.log(x), rel=1e-14, abs=1e-15)
    assert same_bits(logarithm, exact_arithmetic.natural_log(np.array([x, 1.0, x])))


@given(LATITUDE, LONGITUDE)
def test_unit_vector(latitude, longitude):
    vector = exact_arithmetic.unit_vector(latitude, longitude)
    lat, lon = math.radians(latitude), math.radians(longitude)
    true = (math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat))
    assert vector == tuple(pytest.approx(v * 1e7, abs=0.51) for v in true)
    arrays = exact_arithmetic.unit_vector(np.array([latitude] * 3), np.array([longitude] * 3))
    assert vector == tuple(int(a[2]) for a in arrays)


@given(LATITUDE, LONGITUDE, LATITUDE, LONGITUDE)
def test_distance(lat_a, lon_a, lat_b, lon_b):
    a, b = exact_arithmetic.unit_vector(lat_a, lon_a), exact_arithmetic.unit_vector(lat_b, lon_b)
    distance = exact_arithmetic.distance_km(a, b)
    phi, psi = math.radians(lat_a), math.radians(lat_b)
    dlon = math.radians(lon_b - lon_a)
    haversine = math.sin((psi - phi) / 2) ** 2 + (
        math.cos(phi) * math.cos(psi) * math.sin(dlon / 2) ** 2
    )
    true = 2 * 6371.0 * math.asin(min(1.0, math.sqrt(haversine)))
    # 0.64 m of quantisation; near the antipode the sine is flat
    assert distance == pytest.approx(true, abs=2e-3 if true < 19_000 else 2.0)
    arrays = [tuple(np.array([float(v)] * 2) for v in vector) for vector in (a, b)]
    assert same_bits(distance, exact_arithmetic.distance_km(*arrays))


def test_a_missing_place_gives_a_missing_distance():
    nowhere = (math.nan, math.nan, math.nan)
    assert math.isnan(exact_arithmetic.distance_km(nowhere, (1.0, 0.0, 0.0)))


def test_nothing_over_nothing_is_empty():
    assert exact_arithmetic.ratio(0.0, 0.0, empty=7.0) == 7.0
    assert exact_arithmetic.ratio(np.zeros(1), np.zeros(1), empty=7.0).tolist() == [7.0]
