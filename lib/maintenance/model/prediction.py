"""What a model says of one machine, and why a risk is high: what if one thing were as usual."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from lib.maintenance.feature_set import AssetFeatureSet
from lib.maintenance.history import Floats
from lib.maintenance.machine_attributes import attribute_text

HORIZONS = {"24h": 24.0, "72h": 72.0, "7d": 168.0, "30d": 720.0}
"""Hours of the horizons that are answered."""


@dataclass(frozen=True, slots=True)
class Driver:
    """What raises or lowers the risk.

    Attributes:
        what: a sensor, a code, a service clock, the age or an attribute in words.
        effect: how much lower the chance of a failure would be, were it as usual.
        feature: the feature of it that is farthest from usual.
        value: of that feature; None where it is missing.
        usual: the median in training; of a code the most frequent.
    """

    what: str
    effect: float
    feature: str
    value: float | None
    usual: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """Everything that is answered about one machine at one time.

    Attributes:
        chances: P(failure within) by horizon's name; None where training did not reach so far.
        hours: grid of the curve, from 0.
        survival: S at these hours.
        low, high: of the band in which S lies, as far as the number of machines in training goes.
        median_hours: of the time to failure; None: beyond the last hour.
        mean_hours: restricted to the last hour.
        likely_hours: interval of the time to failure; an end at the last hour says "or later".
        modes: chance of each mode, if it fails within the horizon.
        drivers: the largest first.
        alarm: whether the chance within the alarm's hours is at its threshold or above.
    """

    probabilities: dict[str, float | None]
    hours: tuple[float, ...]
    survival: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    median_hours: float | None
    mean_hours: float
    likely_hours: tuple[float, float]
    modes: dict[str, float]
    drivers: tuple[Driver, ...]
    alarm: bool

    @property
    def likely_mode(self) -> str:
        """The likeliest of `modes`."""
        return max(self.modes.items(), key=lambda entry: entry[1])[0]


def feature_groups(features: AssetFeatureSet) -> dict[str, list[int]]:
    """Columns by what they are about: sensors, codes, service clocks, age, attributes ..."""
    groups: dict[str, list[int]] = {}
    heads = {f"{code}_count_": code for code in features.error_codes}
    heads |= {f"hours_since_service_{part}": f"age of {part}" for part in features.components}
    heads |= {f"{sensor}_": sensor for sensor in sorted(features.sensor_names, key=len)[::-1]}
    measured = len(features.names) - len(features.attributes)
    for column, name in enumerate(features.names[:measured]):
        group = next((label for head, label in heads.items() if name.startswith(head)), name)
        groups.setdefault(group, []).append(column)
    own_names = {attribute.name for attribute in features.attributes}
    for column, attribute in enumerate(features.attributes, measured):
        words = attribute.words or attribute.name.replace("_", " ")
        is_taken = words in groups or words in own_names
        groups[attribute.name if is_taken else words] = [column]
    return groups


def driver_words(features: AssetFeatureSet, driver: Driver) -> str:
    """A driver as a sentence."""
    more = "raises" if driver.effect > 0 else "lowers"
    attribute = features.attribute_of(driver.feature)
    if attribute is None:
        value = "unknown" if driver.value is None else f"{driver.value:.4g}"
        end = f"{driver.feature} is {value}, usually {driver.usual:.4g}"
    else:
        value = "unknown" if driver.value is None else attribute_text(attribute, driver.value)
        end = f"it is {value}, usually {attribute_text(attribute, driver.usual)}"
    return f"{driver.what} {more} the risk: {end}"


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
