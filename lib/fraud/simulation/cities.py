"""Cities of the simulated world: degrees WGS 84 (to about a kilometre) and a weight.

Coordinates are those of the city centres; weights are rough sizes and nothing more. Some lie close
to the antimeridian (Suva, Anadyr, Apia, Nuku'alofa), where naive arithmetic on longitudes breaks.
"""

from pathlib import Path

import numpy as np
import pyarrow.csv

from lib.fraud.simulation.payments import Floats

_TABLE = pyarrow.csv.read_csv(Path(__file__).with_suffix(".csv"))
CITIES: list[str] = _TABLE["name"].to_pylist()
LATITUDES, LONGITUDES, _SIZES = (
    _TABLE[name].to_numpy() for name in ("latitude", "longitude", "weight")
)
WEIGHTS: Floats = _SIZES / _SIZES.sum()
EARTH_RADIUS_KM = 6_371.0


def wrapped(longitude: Floats) -> Floats:
    """Longitudes brought into [-180, 180)."""
    inside: Floats = (longitude + 180.0) % 360.0 - 180.0
    return inside


def scattered(
    generator: np.random.Generator, latitude: Floats, longitude: Floats, spread_km: float
) -> tuple[Floats, Floats]:
    """Points around the given ones, normally spread by `spread_km` north and east."""
    north, east = generator.normal(0.0, spread_km / 111.2, (2, latitude.size))
    stretch = np.cos(np.radians(latitude)).clip(0.2)
    return (latitude + north).clip(-90.0, 90.0), wrapped(longitude + east / stretch)


def great_circle_km(
    latitude: Floats, longitude: Floats, to_latitude: Floats, to_longitude: Floats
) -> Floats:
    """Haversine distance on a sphere of 6,371 km."""
    phi, to_phi = np.radians(latitude), np.radians(to_latitude)
    half_north = np.sin((to_phi - phi) / 2.0) ** 2
    half_east = np.sin(np.radians(to_longitude - longitude) / 2.0) ** 2
    root = np.sqrt(half_north + np.cos(phi) * np.cos(to_phi) * half_east)
    distance: Floats = 2.0 * EARTH_RADIUS_KM * np.arcsin(np.minimum(1.0, root))
    return distance


def city_distances_km() -> Floats:
    """Distance from every city (row) to every city (column)."""
    return great_circle_km(
        LATITUDES[:, None], LONGITUDES[:, None], LATITUDES[None, :], LONGITUDES[None, :]
    )
