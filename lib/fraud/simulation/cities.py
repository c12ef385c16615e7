"""Cities of the simulated world: degrees WGS 84 (to about a kilometre) and a weight.

Coordinates are those of the city centres; weights are rough sizes and nothing more. Some lie close
to the antimeridian (Suva, Anadyr, Apia, Nuku'alofa), where naive arithmetic on longitudes breaks.
"""

from typing import NamedTuple

import numpy as np

from lib.fraud.simulation.payments import Floats


class City(NamedTuple):
    """A place where customers and merchants are."""

    name: str
    latitude: float
    longitude: float
    weight: float


CITIES = (
    City("New York", 40.71, -74.01, 8.0),
    City("Los Angeles", 34.05, -118.24, 5.0),
    City("Chicago", 41.88, -87.63, 4.0),
    City("Toronto", 43.65, -79.38, 3.0),
    City("Mexico City", 19.43, -99.13, 4.0),
    City("Bogota", 4.71, -74.07, 2.0),
    City("Sao Paulo", -23.55, -46.63, 5.0),
    City("Buenos Aires", -34.60, -58.38, 3.0),
    City("London", 51.51, -0.13, 6.0),
    City("Paris", 48.86, 2.35, 5.0),
    City("Madrid", 40.42, -3.70, 3.0),
    City("Berlin", 52.52, 13.41, 3.0),
    City("Rome", 41.90, 12.50, 2.0),
    City("Warsaw", 52.23, 21.01, 2.0),
    City("Istanbul", 41.01, 28.98, 4.0),
    City("Cairo", 30.04, 31.24, 3.0),
    City("Lagos", 6.52, 3.38, 3.0),
    City("Nairobi", -1.29, 36.82, 2.0),
    City("Johannesburg", -26.20, 28.05, 2.0),
    City("Dubai", 25.20, 55.27, 2.0),
    City("Mumbai", 19.08, 72.88, 5.0),
    City("Delhi", 28.61, 77.21, 5.0),
    City("Singapore", 1.35, 103.82, 3.0),
    City("Jakarta", -6.21, 106.85, 4.0),
    City("Hong Kong", 22.32, 114.17, 3.0),
    City("Seoul", 37.57, 126.98, 4.0),
    City("Tokyo", 35.68, 139.69, 7.0),
    City("Sydney", -33.87, 151.21, 3.0),
    City("Auckland", -36.85, 174.76, 1.5),
    City("Suva", -18.12, 178.44, 0.7),
    City("Anadyr", 64.73, 177.51, 0.3),
    City("Apia", -13.83, -171.77, 0.4),
    City("Nuku'alofa", -21.14, -175.20, 0.4),
    City("Honolulu", 21.31, -157.86, 1.0),
    City("Anchorage", 61.22, -149.90, 0.6),
    City("Reykjavik", 64.15, -21.94, 0.6),
)

LATITUDES: Floats = np.array([city.latitude for city in CITIES])
LONGITUDES: Floats = np.array([city.longitude for city in CITIES])
WEIGHTS: Floats = np.array([city.weight for city in CITIES]) / sum(c.weight for c in CITIES)
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
