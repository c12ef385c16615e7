"""What feature files of payments may name: formulas, quantities, and what is remembered."""

from __future__ import annotations

from functools import cache

from lib.feature import Quantity
from lib.feature.feature_library import (
    FeatureLibrary,
    NamedQuantity,
    NamedRecord,
    SquaredQuantity,
)
from lib.fraud import formulas
from lib.fraud.amounts import AmountScale
from lib.fraud.quantities import AMOUNT, AMOUNT_SQUARED, DIRECTION, LOCATED, rounded

_ENTITIES = ("user_id", "merchant_id", "device_id")
_FORMULAS = (
    formulas.log_amount,
    formulas.is_weekend,
    formulas.zscore,
    formulas.ratio_to_own,
    formulas.excess,
    formulas.rms_ratio,
    formulas.distance,
    formulas.velocity,
    formulas.impossible,
    formulas.union,
)
_AXES = ("x", "y", "z")


@cache
def payment_library(scale: AmountScale) -> FeatureLibrary:
    """What files of payments of a scale may name; the same objects for the same scale."""
    per_unit = float(scale.minor_per_unit)
    squared = _squared(scale)
    directions = {
        f"direction_{axis}": NamedQuantity(
            part, f"{axis} of the place as a vector from the Earth's centre, ten-millionths"
        )
        for axis, part in zip(_AXES, DIRECTION, strict=True)
    }
    return FeatureLibrary(
        formulas={formula.__name__: formula for formula in _FORMULAS},
        column_formulas={
            "major": formulas.major_of(scale.digits),
            "hour_of_day": formulas.hour_of_day,
            "day_of_week": formulas.day_of_week,
            **{f"coordinate_{axis}": formulas.coordinate(k) for k, axis in enumerate(_AXES)},
        },
        quantities={
            "amount": NamedQuantity(
                AMOUNT,
                "the amount, currency units",
                per_unit,
                resolution=1.0 / per_unit,
                squared=squared,
            ),
            "squared_amount": NamedQuantity(
                squared.squares, "the square of the amount", squared.scale**2
            ),
            "located": NamedQuantity(LOCATED, "1 of a payment with a place, else 0"),
            **directions,
        },
        records={
            "place": NamedRecord(DIRECTION, LOCATED, "where the newest payment with a place was")
        },
        packaged_only=frozenset(("log_amount", "rms_ratio", "distance", "squared_amount")),
        lasting_keys=frozenset(
            tuple(part for k, part in enumerate(_ENTITIES) if mask >> k & 1) for mask in range(1, 8)
        ),
        lasting_facts=frozenset(("fraud",)),
    )


def _squared(scale: AmountScale) -> SquaredQuantity:
    """Amounts in multiples so large that sums of their squares stay exact."""
    per_unit, quantum = float(scale.minor_per_unit), scale.quantum
    if quantum == 1:
        return SquaredQuantity(AMOUNT, AMOUNT_SQUARED, per_unit)
    read, columns = rounded(quantum), AMOUNT.columns
    return SquaredQuantity(
        Quantity(f"amount_in_{quantum}", columns, read),
        Quantity(f"amount_in_{quantum}_squared", columns, read, squared=True),
        per_unit / quantum,
    )
