"""What is known of one machine: readings, error codes and services, each in order of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lib.feature.attribute_values import AttributeValue
from lib.maintenance.feature_set import DAY_US, AssetFeatureSet, FeatureError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
UNKNOWN_US = np.iinfo(np.int64).min


def _no_times() -> Ints:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class History:
    """A machine's past. Times are microseconds UTC, ascending; codes are places in the set's names.

    Attributes:
        machine_id: names the machine.
        times_us: (n,) when the sensors were read; no time twice.
        readings: (n, sensors) in the sensors' units, NaN where a sensor gave none.
        error_times_us, error_codes: (e,) reports of the controller.
        service_times_us, service_parts: (s,) services; the part is -1 for the whole machine.
        installed_us: when it was put into service, `UNKNOWN_US` where nobody knows.
        wave_times_us: (w,) when waveforms were recorded, ascending.
        wave_measures: (w, measures) what was measured of each, see `FeatureSet.wave_measures`.
        run_days, run_counts: (d,) UTC days since 1970, and readings while running on each. Kept
            for ever, while readings are dropped after `FeatureSet.kept_us`.
        attributes: what the list of machines says beside its contract, by name; what is missing is
            left out. They do not change with time.
    """

    machine_id: str
    times_us: Ints
    readings: Floats
    error_times_us: Ints = field(default_factory=_no_times)
    error_codes: Ints = field(default_factory=_no_times)
    service_times_us: Ints = field(default_factory=_no_times)
    service_parts: Ints = field(default_factory=_no_times)
    installed_us: int = UNKNOWN_US
    run_days: Ints = field(default_factory=_no_times)
    run_counts: Ints = field(default_factory=_no_times)
    wave_times_us: Ints = field(default_factory=_no_times)
    wave_measures: Floats = field(default_factory=lambda: np.empty((0, 0)))
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.readings.ndim != 2 or len(self.readings) != len(self.times_us):
            raise FeatureError(
                f"machine '{self.machine_id}': expected one row of readings for each of "
                f"{len(self.times_us)} times, got shape {self.readings.shape}"
            )
        if (np.diff(self.times_us) <= 0).any():
            raise FeatureError(f"machine '{self.machine_id}': times of readings must ascend")
        if len(self.wave_measures) != len(self.wave_times_us):
            raise FeatureError(f"machine '{self.machine_id}': expected measures of each waveform")
        for name in ("error_times_us", "service_times_us", "run_days", "wave_times_us"):
            if (np.diff(getattr(self, name)) < 0).any():
                raise FeatureError(f"machine '{self.machine_id}': {name} must ascend")

    def kept(self, features: AssetFeatureSet, at_us: int) -> History:
        """What has to be remembered at `at_us` for all features from then on.

        Readings and errors of the last 30 days and a margin; of services the last of each part.
        """
        first = at_us - features.kept_us
        rows, errors = self.times_us > first, self.error_times_us > first
        services = _latest_of_each(self.service_parts)
        waves = self.wave_times_us > first
        return History(
            self.machine_id,
            self.times_us[rows],
            self.readings[rows],
            self.error_times_us[errors],
            self.error_codes[errors],
            self.service_times_us[services],
            self.service_parts[services],
            self.installed_us,
            self.run_days,
            self.run_counts,
            self.wave_times_us[waves],
            self.wave_measures[waves],
            self.attributes,
        )


def running(features: AssetFeatureSet, times_us: Ints, readings: Floats) -> tuple[Ints, Ints]:
    """UTC days, and how often the machine was seen running on each."""
    is_running = np.ones(len(times_us), dtype=bool)
    if features.operating is not None:
        sensor, above = features.operating
        is_running = readings[:, features.column_of(sensor)] > above
    days, counts = np.unique(times_us[is_running] // DAY_US, return_counts=True)
    return days.astype(np.int64), counts.astype(np.int64)


def _latest_of_each(parts: Ints) -> Ints:
    """Rows of the last service of each part, in order of time."""
    backwards = parts[::-1]
    _, first = np.unique(backwards, return_index=True)
    return np.sort(len(parts) - 1 - first).astype(np.int64)
