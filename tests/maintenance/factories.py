"""Pasts of a machine as they come: gaps, stuck and absurd readings, repairs, bursts of errors."""

from __future__ import annotations

import numpy as np

from lib.maintenance.feature_set import HOUR_US, AssetFeatureSet, Sensor, Waveforms
from lib.maintenance.history import UNKNOWN_US, History, running
from lib.maintenance.waveform import Bearing

START_US = 20_000 * 24 * HOUR_US
SMALL = AssetFeatureSet(
    sensors=(
        Sensor("temperature", "degC", low=-40.0, high=150.0, stuck_hours=6.0),
        Sensor("vibration", "mm/s", low=0.0, stuck_hours=4.0),
        Sensor("rpm", "rpm"),
    ),
    components=("bearing", "seal"),
    error_codes=("E1", "E2"),
    windows_hours=(24, 72),
    correlations=(("temperature", "vibration"),),
    operating=("rpm", 100.0),
    waveforms=Waveforms(Bearing(9, 7.94, 39.04)),
)


def past(seed: int, days: int = 60, features: AssetFeatureSet = SMALL) -> History:
    """One machine's past with everything that goes wrong in it."""
    random = np.random.default_rng(seed)
    hours = np.arange(days * 24)
    jitter = random.integers(-20, 20, len(hours)) * 60_000_000
    times = START_US + hours * HOUR_US + jitter
    for _ in range(random.integers(1, 5)):
        first = random.integers(0, len(hours))
        times[first : first + random.integers(1, 80)] = 0
    if not times.any():
        times[0] = START_US  # the gaps of a short past may hold all of it
    times = times[times > 0]
    readings = random.normal([60.0, 4.0, 900.0], [5.0, 1.0, 500.0], (len(times), 3))
    for column in range(3):
        first = random.integers(0, len(times))
        readings[first : first + random.integers(2, 60), column] = readings[first, column]
    readings[random.random(readings.shape) < 0.05] = np.nan
    readings[random.random(readings.shape) < 0.01] = 1e6
    errors, services = random.integers(0, 60), random.integers(0, 5)
    span = (START_US, START_US + days * 24 * HOUR_US)
    return History(
        f"m{seed}",
        times,
        readings,
        np.sort(random.integers(*span, errors)),
        random.integers(0, 2, errors),
        np.sort(random.integers(*span, services)),
        random.integers(-1, 2, services),
        UNKNOWN_US if seed % 3 == 0 else START_US - 1000 * HOUR_US,
        *running(features, times, readings),
        *_waves(random, span, len(features.wave_measures)),
    )


def _waves(random: np.random.Generator, span: tuple[int, int], width: int):
    """A waveform every two weeks or so, some with a measure that it could not give."""
    times = np.sort(random.choice(np.arange(*span, HOUR_US), random.integers(0, 5), replace=False))
    measures = random.normal(size=(len(times), width))
    measures[random.random(measures.shape) < 0.1] = np.nan
    return times, measures
