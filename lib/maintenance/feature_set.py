"""What is computed of a machine, as data: sensors, windows, codes, and every feature's name."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256

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
class Feature:
    """One column of the feature table: its name, unit, and what it says."""

    name: str
    unit: str
    description: str


@dataclass(frozen=True, slots=True)
class Waveforms:
    """Waveforms that are recorded now and then; the newest one counts, as long as it is kept.

    Args:
        bearing: whose fault frequencies are looked for; needs the shaft's speed with each waveform.
    """

    bearing: Bearing | None = None

    @property
    def measures(self) -> tuple[str, ...]:
        """What is measured of each waveform, in order; see `waveform_features`."""
        return feature_names(self.bearing)


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
            self.place(name)

    def place(self, sensor: str) -> int:
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

    @property
    def kept_us(self) -> int:
        """How far back readings and errors of a machine have to be kept, in microseconds."""
        return self.trailing_hours * HOUR_US + MARGIN_US

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """Every feature, in the order of the table's columns."""
        features = [feature for sensor in self.sensors for feature in self._of_sensor(sensor)]
        for first, second in self.correlations:
            hours = self.windows_hours[0]
            features.append(
                Feature(
                    f"{first}_{second}_correlation_{hours}h",
                    "",
                    f"Pearson correlation of {first} and {second} over {hours} h",
                )
            )
        return (*features, *self._of_machine(), *self._of_waveforms())

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def digest(self) -> str:
        """Fingerprint of the declaration: another one means other features."""
        text = json.dumps([asdict(self), self.names], sort_keys=True)
        return sha256(text.encode()).hexdigest()

    def _of_sensor(self, sensor: Sensor) -> list[Feature]:
        features = []
        for hours in self.windows_hours:
            for measure in WINDOW_MEASURES:
                unit = {"slope": f"{sensor.unit}/h", "coverage": "share"}.get(measure, sensor.unit)
                token = {"coverage": "", "slope": f"{sensor.token}_per_h"}.get(
                    measure, sensor.token
                )
                text = f"{measure} of {sensor.name} over {hours} h"
                features.append(Feature(f"{sensor.name}_{measure}{token}_{hours}h", unit, text))
        days = f"{self.trailing_hours} h or since the last service"
        now = f"{self.windows_hours[0]}h"
        return [
            *features,
            Feature(f"{sensor.name}_last{sensor.token}", sensor.unit, "latest sound reading"),
            Feature(f"{sensor.name}_zscore", "", f"latest reading against the last {days}"),
            Feature(f"{sensor.name}_level", "", f"mean over {now} against the last {days}"),
            Feature(f"{sensor.name}_unchanged_hours", "h", "how long it has not changed, up to 12"),
            Feature(f"{sensor.name}_faults_{now}", "", "readings out of range or stuck"),
        ]

    @property
    def wave_measures(self) -> tuple[str, ...]:
        """What is measured of each waveform; empty without any."""
        return () if self.waveforms is None else self.waveforms.measures

    def _of_waveforms(self) -> list[Feature]:
        features = [
            Feature(f"waveform_{name}", "", f"{name} of the newest waveform")
            for name in self.wave_measures
        ]
        hours = Feature("hours_since_waveform", "h", "since the newest waveform was recorded")
        return [*features, hours] if features else []

    def _of_machine(self) -> list[Feature]:
        counts = [
            Feature(f"{code}_count_{hours}h", "", f"reports of {code} over {hours} h")
            for code in self.error_codes
            for hours in self.error_windows_hours
        ]
        services = [
            Feature(f"hours_since_service_{part}", "h", f"since {part} was serviced or replaced")
            for part in self.components
        ]
        return [
            *counts,
            *services,
            Feature("hours_since_service", "h", "since any service, or since installation"),
            Feature(
                "operating_hours_since_service",
                "h",
                "hours run on whole UTC days since any service, or since installation",
            ),
            Feature("hours_since_reading", "h", "since the sensors were last read"),
            Feature("age_hours", "h", "since installation"),
        ]
