"""The whole numbers that are read off a payment and added up in its profiles."""

from __future__ import annotations

from typing import Any

import numpy as np

from lib.feature import Quantity
from lib.feature.exact_arithmetic import choose, unit_vector

PLACE_COLUMNS = ("latitude", "longitude")


def identity(amount_minor: Any) -> Any:
    """The amount as it is: whole minor units."""
    return amount_minor


def located(latitude: Any, longitude: Any) -> Any:
    """1 where a payment says where it was made, else 0."""
    present = (latitude == latitude) & (longitude == longitude)  # noqa: PLR0124
    return present.astype(np.int64) if isinstance(present, np.ndarray) else int(present)


def anywhere(located: Any) -> bool:
    """Whether any of the payments (or the one) has a place."""
    return bool(located.any()) if isinstance(located, np.ndarray) else bool(located)


def direction(axis: int) -> Any:
    """Reads one coordinate of the place as a vector from the Earth's centre; see `unit_vector`."""

    def read(latitude: Any, longitude: Any) -> Any:
        flag = located(latitude, longitude)
        if not anywhere(flag):
            return flag
        is_located = flag == 1
        vector = unit_vector(choose(is_located, latitude, 0.0), choose(is_located, longitude, 0.0))
        return vector[axis] * flag

    read.__qualname__ = f"direction_{'xyz'[axis]}"
    return read


def rounded(quantum: int) -> Any:
    """Reads the amount in whole multiples of `quantum` minor units, halves up."""

    def read(amount_minor: Any) -> Any:
        return (amount_minor + quantum // 2) // quantum

    read.__qualname__ = f"rounded_to_{quantum}"
    return read


AMOUNT = Quantity("amount", ("amount_minor",), identity)
AMOUNT_SQUARED = Quantity("amount_squared", ("amount_minor",), identity, squared=True)
LOCATED = Quantity("located", PLACE_COLUMNS, located)
DIRECTION = tuple(
    Quantity(f"direction_{'xyz'[axis]}", PLACE_COLUMNS, direction(axis)) for axis in range(3)
)
