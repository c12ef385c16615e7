"""The features of a machine at given times: one function for a whole past and for its last days."""

import numpy as np
import numpy.typing as npt

from lib.feature.attribute_values import encode_attributes
from lib.maintenance.feature_set import (
    DAY_US,
    HOUR_US,
    LONGEST_HOLD_HOURS,
    WINDOW_MEASURES,
    AssetFeatureSet,
    FeatureError,
    Sensor,
)
from lib.maintenance.history import UNKNOWN_US, Floats, History, Ints
from lib.maintenance.window_kernels import (
    TRAILING_ROWS,
    against_trailing,
    correlation,
    held_us,
    latest,
    window_measures,
)

_HOLD_US = int(LONGEST_HOLD_HOURS * HOUR_US)


def evaluate(features: AssetFeatureSet, history: History, at_us: npt.ArrayLike) -> Floats:
    """(k, features) at the times `at_us` (k,), microseconds UTC; NaN where nothing is known.

    Only what happened up to and at `at_us` counts, and of readings and errors only
    `FeatureSet.kept_us`: `evaluate(f, history.kept(f, at), at)` has the same bits.

    Raises:
        FeatureError: the history has not the feature set's sensors.
    """
    at = np.asarray(at_us, dtype=np.int64)
    if history.readings.shape[1] != len(features.sensors):
        raise FeatureError(
            f"machine '{history.machine_id}': expected readings of {len(features.sensors)} sensors "
            f"({', '.join(features.sensor_names)}), got {history.readings.shape[1]} columns"
        )
    services = last_services(features, history, at)
    any_service = services.max(axis=1, initial=UNKNOWN_US)
    clean, columns = [], []
    for column, sensor in enumerate(features.sensors):
        raw = np.ascontiguousarray(history.readings[:, column])
        sound, faulty, hold_us = sound_readings(sensor, history.times_us, raw)
        clean.append(sound)
        columns.append(_of_sensor(features, history, at, any_service, sound, faulty, hold_us))
    columns.append(_correlations(features, history, at, clean))
    columns.append(_error_counts(features, history, at))
    columns.append(_of_machine(features, history, at, services))
    columns.append(_of_waveforms(features, history, at))
    if features.attributes:
        row = encode_attributes(features.attributes, history.attributes)
        columns.append(np.tile(row, (len(at), 1)))
    return np.concatenate(columns, axis=1)


def sound_readings(
    sensor: Sensor, times_us: Ints, raw: Floats
) -> tuple[Floats, npt.NDArray[np.bool_], Ints]:
    """Readings (n,) with NaN where the sensor is at fault, where it is, and how long it held.

    A reading is at fault outside of the sensor's bounds, and once it has stayed the same for
    `stuck_hours`.
    """
    hold_us = np.zeros(len(raw), dtype=np.int64)
    held_us(times_us, raw, _HOLD_US, hold_us)
    faulty = np.isinf(raw)
    if sensor.low is not None:
        faulty |= raw < sensor.low
    if sensor.high is not None:
        faulty |= raw > sensor.high
    if sensor.stuck_hours is not None:
        faulty |= hold_us >= int(sensor.stuck_hours * HOUR_US)
    return np.where(faulty, np.nan, raw), faulty, hold_us


def last_services(features: AssetFeatureSet, history: History, at_us: Ints) -> Ints:
    """(k, components + 1) last service of each part and of the whole, up to and at `at_us`.

    A service of the whole machine serves every part. `UNKNOWN_US` where there was none.
    """
    last_times = np.full((len(at_us), len(features.components) + 1), UNKNOWN_US, dtype=np.int64)
    for column in range(len(features.components) + 1):
        part = column if column < len(features.components) else -1
        part_mask = (history.service_parts == part) | (history.service_parts == -1)
        times = history.service_times_us[part_mask]
        row = np.searchsorted(times, at_us, side="right")
        last_times[:, column] = np.append(UNKNOWN_US, times)[row]
    return last_times


def _rows(times_us: Ints, at_us: Ints, after_us: Ints) -> tuple[Ints, Ints]:
    """First and end of the rows in (after, at]."""
    first = np.searchsorted(times_us, after_us, side="right")
    end = np.searchsorted(times_us, at_us, side="right")
    return np.minimum(first, end).astype(np.int64), end.astype(np.int64)


def _of_sensor(
    features: AssetFeatureSet,
    history: History,
    at: Ints,
    service: Ints,
    sound: Floats,
    faulty: npt.NDArray[np.bool_],
    hold_us: Ints,
) -> Floats:
    times, columns = history.times_us, []
    for hours in features.windows_hours:
        first, end = _rows(times, at, at - hours * HOUR_US)
        out = np.empty((len(at), len(WINDOW_MEASURES)))
        window_measures(times, sound, first, end, hours / features.interval_hours, out)
        columns.append(out)
    first, end = _rows(times, at, at - features.windows_hours[0] * HOUR_US)
    last = np.empty(len(at))
    latest(sound, first, end, last)
    unchanged = np.where(end > first, hold_us[np.maximum(end - 1, 0)] if len(hold_us) else 0, 0)
    counted = np.append(0, np.cumsum(faulty))
    trailing = np.maximum(at - features.trailing_hours * HOUR_US, service)
    now = np.stack([last, columns[0][:, 0]], axis=1)
    scores = np.empty_like(now)
    against_trailing(sound, *_rows(times, at, trailing), now, TRAILING_ROWS, scores)
    more = [last, scores[:, 0], scores[:, 1], unchanged / HOUR_US, counted[end] - counted[first]]
    return np.concatenate([*columns, np.stack(more, axis=1)], axis=1)


def _correlations(
    features: AssetFeatureSet, history: History, at: Ints, clean: list[Floats]
) -> Floats:
    out = np.empty((len(features.correlations), len(at)))
    first, end = _rows(history.times_us, at, at - features.windows_hours[0] * HOUR_US)
    for row, (sensor, other) in enumerate(features.correlations):
        correlation(
            clean[features.column_of(sensor)],
            clean[features.column_of(other)],
            first,
            end,
            out[row],
        )
    return out.T


def _error_counts(features: AssetFeatureSet, history: History, at: Ints) -> Floats:
    columns = []
    for code in range(len(features.error_codes)):
        times = history.error_times_us[history.error_codes == code]
        for hours in features.error_windows_hours:
            first, end = _rows(times, at, at - hours * HOUR_US)
            columns.append((end - first).astype(np.float64))
    return np.stack(columns, axis=1) if columns else np.empty((len(at), 0))


def _of_machine(features: AssetFeatureSet, history: History, at: Ints, services: Ints) -> Floats:
    installed = np.full(len(at), history.installed_us, dtype=np.int64)
    installed[installed > at] = UNKNOWN_US
    since = [_hours(at, services[:, part]) for part in range(len(features.components))]
    began = np.maximum(services.max(axis=1), installed)
    times = np.append(UNKNOWN_US, history.times_us)
    read = times[np.searchsorted(history.times_us, at, side="right")]
    read = np.where(read > at - features.trailing_hours * HOUR_US, read, UNKNOWN_US)
    columns = [
        *since,
        _hours(at, began),
        _operating_hours(features, history, at, began),
        _hours(at, read),
        _hours(at, installed),
    ]
    return np.stack(columns, axis=1)


def _of_waveforms(features: AssetFeatureSet, history: History, at: Ints) -> Floats:
    """The newest waveform's measures, while it is kept, and how old it is."""
    width = len(features.wave_measures)
    if not width:
        return np.empty((len(at), 0))
    times = np.append(UNKNOWN_US, history.wave_times_us)
    position = np.searchsorted(history.wave_times_us, at, side="right")
    kept = times[position] > at - features.trailing_hours * HOUR_US
    measures = np.vstack([np.full((1, width), np.nan), history.wave_measures.reshape(-1, width)])
    newest = np.where(kept[:, None], measures[position], np.nan)
    return np.column_stack([newest, _hours(at, np.where(kept, times[position], UNKNOWN_US))])


def _hours(at: Ints, since: Ints) -> Floats:
    is_known = since != UNKNOWN_US
    return np.where(is_known, (at - np.where(is_known, since, at)) / HOUR_US, np.nan)


def _operating_hours(features: AssetFeatureSet, history: History, at: Ints, began: Ints) -> Floats:
    """Readings while running on the whole UTC days between `began` and `at`, in hours."""
    counted = np.append(0, np.cumsum(history.run_counts))
    is_known = began != UNKNOWN_US
    first_day = -(-np.where(is_known, began, at) // DAY_US)
    first = np.searchsorted(history.run_days, first_day, side="left")
    end = np.searchsorted(history.run_days, at // DAY_US, side="left")
    counts = np.maximum(counted[end] - counted[np.minimum(first, end)], 0)
    return np.where(is_known, counts * features.interval_hours, np.nan)
