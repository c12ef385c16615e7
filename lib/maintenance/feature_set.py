"""What is computed of a machine, as data: sensors, windows, codes, and every feature's name."""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

from lib.feature.attributes import Attribute, AttributeFaultError
from lib.maintenance.waveform import Bearing, feature_names

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
# A value that stays longer than this is not looked at further back: 30 days of readings and this
# margin then give the same features as the whole history.
LONGEST_HOLD_HOURS = 12.0
MARGIN_US = DAY_US

_UNIT_TOKENS = {"degC": "c", "%": "pct", "mm/s": "mm_s"}
WINDOW_MEASURES = ("mean", "std", "min", "max", "range", "slope", "coverage")
TRAILING_MEASURES = ("zscore", "level")
ROW_COLUMNS = ("machine_id", "event_time", "hours_watched", "event", "failure_mode")
"""Columns of training rows beside features."""


class FeatureError(ValueError):
    """A feature set or a machine's history is not what it has to be."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """A column of telemetry.

    Args:
        name: the column.
        unit: of its values, "" where there is none.
        low, high: bounds outside of which a reading is a fault of the sensor, not of the machine.
        stuck_hours: a value that has not changed for this long is a fault, too; None for sensors
            that may rest (a counter, a set point).
    """

    name: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    stuck_hours: float | None = None

    def __post_init__(self) -> None:
        if self.stuck_hours is not None and not 0 < self.stuck_hours <= LONGEST_HOLD_HOURS:
            raise FeatureError(
                f"sensor '{self.name}': expected stuck_hours above 0 and up to "
                f"{LONGEST_HOLD_HOURS:g}, got {self.stuck_hours}"
            )
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise FeatureError(
                f"sensor '{self.name}': expected low below high, got {self.low} and {self.high}"
            )

    @property
    def token(self) -> str:
        """Its unit as part of a feature's name, with a leading underscore."""
        unit = _UNIT_TOKENS.get(self.unit, self.unit)
        return f"_{unit.replace('/', '_').lower()}" if unit else ""


@dataclass(frozen=True, slots=True)
class Waveforms:
    """Waveforms that are recorded now and then; the newest one counts, as long as it is kept.

    Args:
        bearing: whose fault frequencies are looked for; needs the shaft's speed with each waveform.
    """

    bearing: Bearing | None = None


@dataclass(frozen=True)
class AssetFeatureSet:
    """All features of a kind of machine. Windows are of time, not of rows: (at - window, at].

    Args:
        sensors: what is read.
        components: parts that are serviced apart from each other.
        error_codes: codes that are counted.
        windows_hours: whole hours, the first one is what `now` means for z-scores.
        trailing_hours: how far back a machine's own normal reaches; it begins anew at a service.
        error_windows_hours: windows in which codes are counted; none beyond `trailing_hours`.
        interval_hours: the time between two readings when nothing is missing.
        correlations: pairs of sensors whose correlation over the first window is a feature.
        operating: sensor and value above which a machine counts as running; None: whenever read.
        waveforms: what is measured of waveforms; None: there are none.
        attributes: columns of `machines` beside those of its contract, frozen; their features come
            last.
    """

    sensors: tuple[Sensor, ...]
    components: tuple[str, ...] = ()
    error_codes: tuple[str, ...] = ()
    windows_hours: tuple[int, ...] = (24,)
    trailing_hours: int = 720
    error_windows_hours: tuple[int, ...] = (24, 168, 720)
    interval_hours: float = 1.0
    correlations: tuple[tuple[str, str], ...] = ()
    operating: tuple[str, float] | None = None
    waveforms: Waveforms | None = None
    attributes: tuple[Attribute, ...] = ()

    def __post_init__(self) -> None:
        names = self.sensor_names
        if not names or len(set(names)) != len(names):
            raise FeatureError(f"expected sensors with different names, got {list(names)}")
        if not self.windows_hours or min(self.windows_hours) <= 0:
            raise FeatureError(f"expected windows above 0 hours, got {list(self.windows_hours)}")
        if self.interval_hours <= 0:
            raise FeatureError(f"expected interval_hours above 0, got {self.interval_hours}")
        longest = max((*self.windows_hours, *self.error_windows_hours))
        if longest > self.trailing_hours:
            raise FeatureError(
                f"no window may be longer than trailing_hours ({self.trailing_hours}), "
                f"which is what is kept of a machine; got {longest}"
            )
        used = [*(name for pair in self.correlations for name in pair)]
        for name in used + ([self.operating[0]] if self.operating else []):
            self.column_of(name)
        self._check_attributes()

    def _check_attributes(self) -> None:
        """Refuse attributes whose names mean something else of a machine.

        Raises:
            AttributeFaultError: with the name.
        """
        reserved = dict.fromkeys(self._measured_names, "a packaged feature")
        reserved |= dict.fromkeys(ROW_COLUMNS, "a column of training rows")
        reserved |= dict.fromkeys(self.error_codes, "an error code")
        reserved |= dict.fromkeys(self.components, "a component")
        reserved |= dict.fromkeys(self.sensor_names, "a sensor")
        for attribute in self.attributes:
            for name in (attribute.name, attribute.feature_name):
                if name in reserved:
                    meaning = f"'{name}' is the name of {reserved[name]}"
                    raise AttributeFaultError(
                        attribute.name, f"{meaning}; give the attribute another name"
                    )
            reserved[attribute.name] = reserved[attribute.feature_name] = "another attribute"

    def column_of(self, sensor: str) -> int:
        """Column of a sensor.

        Raises:
            FeatureError: there is no such sensor.
        """
        if sensor not in self.sensor_names:
            raise FeatureError(
                f"unknown sensor '{sensor}'; declared are {', '.join(self.sensor_names)}"
            )
        return self.sensor_names.index(sensor)

    @cached_property
    def sensor_names(self) -> tuple[str, ...]:
        """Names of the sensors in the order of a history's columns."""
        return tuple(sensor.name for sensor in self.sensors)

    def attribute_of(self, feature: str) -> Attribute | None:
        """The attribute that a feature is made of; None of a feature of what happens."""
        return next((each for each in self.attributes if each.feature_name == feature), None)

    @property
    def kept_us(self) -> int:
        """How far back readings and errors of a machine have to be kept, in microseconds."""
        return self.trailing_hours * HOUR_US + MARGIN_US

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in the order of the table's columns."""
        return (*self._measured_names, *(each.feature_name for each in self.attributes))

    @cached_property
    def _measured_names(self) -> tuple[str, ...]:
        """Names of the features of what happens to a machine, all but those of attributes."""
        now = f"{self.windows_hours[0]}h"
        return (
            *(name for sensor in self.sensors for name in self._of_sensor(sensor)),
            *(f"{first}_{second}_correlation_{now}" for first, second in self.correlations),
            *(f"{code}_count_{h}h" for code in self.error_codes for h in self.error_windows_hours),
            *(f"hours_since_service_{part}" for part in self.components),
            *("hours_since_service", "operating_hours_since_service"),
            *("hours_since_reading", "age_hours"),
            *(f"waveform_{name}" for name in self.wave_measures),
            *(("hours_since_waveform",) if self.wave_measures else ()),
        )

    @cached_property
    def digest(self) -> str:
        """Fingerprint of the declaration: another one means other features."""
        declared = asdict(self)
        if not self.attributes:
            del declared["attributes"]
        for attribute in declared.get("attributes", ()):
            del attribute["words"]
        return _digest([declared, self.names])

    @cached_property
    def history_digest(self) -> str:
        """Fingerprint of what is remembered of a machine: that of the set without attributes."""
        declared = asdict(self)
        del declared["attributes"]
        return _digest([declared, self._measured_names])

    @cached_property
    def codes(self) -> tuple[int, ...]:
        """Columns of the features that are codes of categories."""
        start = len(self._measured_names)
        return tuple(
            start + number
            for number, attribute in enumerate(self.attributes)
            if attribute.type == "category"
        )

    @property
    def wave_measures(self) -> tuple[str, ...]:
        """What is measured of each waveform; empty without any."""
        return () if self.waveforms is None else feature_names(self.waveforms.bearing)

    def _of_sensor(self, sensor: Sensor) -> list[str]:
        tokens = {"coverage": "", "slope": f"{sensor.token}_per_h"}
        windows = [
            f"{measure}{tokens.get(measure, sensor.token)}_{hours}h"
            for hours in self.windows_hours
            for measure in WINDOW_MEASURES
        ]
        others = (f"last{sensor.token}", *TRAILING_MEASURES, "unchanged_hours")
        faults = f"faults_{self.windows_hours[0]}h"
        return [f"{sensor.name}_{name}" for name in (*windows, *others, faults)]


def _digest(content: list[Any]) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
