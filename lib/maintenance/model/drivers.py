"""Why a risk is high: what it would be if one thing were as usual."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from lib.maintenance.feature_set import AssetFeatureSet
from lib.maintenance.history import Floats
from lib.maintenance.model.prediction import Driver


def feature_groups(features: AssetFeatureSet) -> dict[str, list[int]]:
    """Columns by what they are about: each sensor, code and service clock, age, running hours."""
    groups: dict[str, list[int]] = {}
    heads = {f"{code}_count_": code for code in features.error_codes}
    heads |= {f"hours_since_service_{part}": f"age of {part}" for part in features.components}
    heads |= {f"{sensor}_": sensor for sensor in sorted(features.sensor_names, key=len)[::-1]}
    for column, name in enumerate(features.names):
        group = next((label for head, label in heads.items() if name.startswith(head)), name)
        groups.setdefault(group, []).append(column)
    return groups


def drivers(
    row: Floats,
    names: tuple[str, ...],
    groups: Mapping[str, list[int]],
    usual: Floats,
    spread: Floats,
    risk: Callable[[Floats], Floats],
    most: int = 5,
) -> tuple[Driver, ...]:
    """The groups whose return to their usual values would change the risk of `row` most.

    Occlusion by the training median, one group at a time: effects of things that act together do
    not add up to the whole.

    Args:
        row: (features,) of one machine.
        names: of the features.
        groups: columns by name, see `feature_groups`.
        usual: (features,) medians in training.
        spread: (features,) standard deviations in training.
        risk: chances (n,) of rows (n, features).
        most: drivers at most.
    """
    rows = np.repeat(row[None], len(groups) + 1, axis=0)
    for number, columns in enumerate(groups.values(), 1):
        rows[number, columns] = usual[columns]
    probabilities = risk(rows)
    effects = probabilities[0] - probabilities[1:]
    far = np.abs(np.nan_to_num(row) - np.nan_to_num(usual)) / np.maximum(spread, 1e-12)
    candidates = []
    for (group, columns), effect in zip(groups.items(), effects, strict=True):
        column = columns[int(np.argmax(far[columns]))]
        value = float(row[column])
        optional_value = None if np.isnan(value) else value
        candidates.append(
            Driver(group, float(effect), names[column], optional_value, float(usual[column]))
        )
    candidates.sort(key=lambda driver: -abs(driver.effect))
    return tuple(driver for driver in candidates[:most] if abs(driver.effect) > 1e-4)
