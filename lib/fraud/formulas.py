"""The arithmetic of single features, for one payment and for a table of them alike."""

from __future__ import annotations

from typing import Any

from lib.feature import DAY, HOUR
from lib.feature.exact_arithmetic import (
    NAN,
    UNIT_VECTOR_SCALE,
    Value,
    at_least,
    at_most,
    choose,
    distance_km,
    is_missing,
    natural_log,
    ratio,
    square_root,
    unit_vector,
)
from lib.fraud.quantities import anywhere, located

MINOR_UNITS = 100.0
USUAL_DIGITS = 2
DEVIATION_FLOOR = 1.0
CLEAN_MEAN_FLOOR = 1.0
CLEAN_MEAN_OF_A_STRANGER = 50.0
SHORTEST_GAP_HOURS = 5.0 / 60.0
IMPOSSIBLE_KMH = 800.0
CONNECTED_CASES_CAP = 1000.0


def major(amount_minor: Value) -> Value:
    """Minor units as units of the currency."""
    return amount_minor / MINOR_UNITS


def major_of(digits: int) -> Any:
    """Reads minor units of so many decimal digits as units of the currency."""
    if digits == USUAL_DIGITS:
        return major
    per_unit = 10.0**digits

    def read(amount_minor: Value) -> Value:
        return amount_minor / per_unit

    read.__qualname__ = f"major_of_{digits}_digits"
    return read


def log_amount(amount: Value) -> Value:
    """`ln(1 + amount)`."""
    return natural_log(amount + 1.0)


def hour_of_day(event_time: Any) -> Value:
    """Whole hours since midnight, UTC."""
    return (event_time // HOUR % 24) * 1.0


def day_of_week(event_time: Any) -> Value:
    """Days since Monday, UTC."""
    # 1970-01-01 was a Thursday; Monday is 0
    return ((event_time // DAY + 3) % 7) * 1.0


def is_weekend(day_of_week: Value) -> Value:
    """1 on Saturday and Sunday, else 0."""
    return choose(day_of_week >= 5.0, 1.0, 0.0)


def zscore(amount: Value, mean: Value, deviation: Value) -> Value:
    """Deviations from the user's mean; 0 where there is no mean to deviate from."""
    score = (amount - mean) / at_least(deviation, DEVIATION_FLOOR)
    return choose(is_missing(score), 0.0, score)


def own_scale(clean_mean: Value) -> Value:
    """What this user usually pays; a fixed sum where nothing settled is known of them."""
    scale = at_least(clean_mean, CLEAN_MEAN_FLOOR)
    return choose(is_missing(clean_mean), CLEAN_MEAN_OF_A_STRANGER, scale)


def ratio_to_own(amount: Value, clean_mean: Value) -> Value:
    """The amount against what the user usually pays."""
    return amount / at_least(clean_mean, CLEAN_MEAN_FLOOR)


def excess(amount_sum: Value, count: Value, clean_mean: Value) -> Value:
    """How many usual payments more was paid than payments were made."""
    return amount_sum / own_scale(clean_mean) - count


def rms_ratio(square_sum: Value, clean_mean: Value) -> Value:
    """Root of the sum of squared amounts, in usual payments: large for few large ones."""
    return square_root(square_sum) / own_scale(clean_mean)


def coordinate(axis: int) -> Any:
    """Reads one coordinate of the place on the unit sphere; NaN without a place."""

    def read(latitude: Value, longitude: Value) -> Value:
        is_located = located(latitude, longitude) == 1
        if not anywhere(is_located):
            return latitude * NAN
        vector = unit_vector(choose(is_located, latitude, 0.0), choose(is_located, longitude, 0.0))
        return choose(is_located, vector[axis] / UNIT_VECTOR_SCALE, NAN)

    read.__qualname__ = f"coordinate_{'xyz'[axis]}"
    return read


def distance(x: Value, y: Value, z: Value, u: Value, v: Value, w: Value) -> Value:
    """Kilometres on the ground between two places given as vectors."""
    return distance_km((x, y, z), (u, v, w))


def velocity(distance: Value, minutes: Value) -> Value:
    """Kilometres per hour between two payments, five minutes apart at least."""
    return ratio(distance, at_least(minutes / 60.0, SHORTEST_GAP_HOURS))


def impossible(velocity: Value) -> Value:
    """1 where nobody travels so fast, else 0."""
    return choose(velocity > IMPOSSIBLE_KMH, 1.0, 0.0)


def union(u: Value, m: Value, d: Value, um: Value, ud: Value, md: Value, umd: Value) -> Value:
    """Inclusion and exclusion; a payment without a device has no device terms."""
    device = d - ud - md + umd
    cases = u + m - um + choose(is_missing(device), 0.0, device)
    return at_most(cases, CONNECTED_CASES_CAP)
