"""What every feature is, the slow obvious way: one machine, one time, plain loops."""

from __future__ import annotations

import math
from statistics import fmean, stdev

from lib.maintenance.feature_set import DAY_US, HOUR_US, AssetFeatureSet, Sensor
from lib.maintenance.history import UNKNOWN_US, History

NAN = math.nan


def expected(features: AssetFeatureSet, past: History, at: int) -> dict[str, float]:
    services = list(zip(past.service_times_us.tolist(), past.service_parts.tolist(), strict=True))
    services = [(time, part) for time, part in services if time <= at]
    any_service = max((time for time, _ in services), default=UNKNOWN_US)
    row: dict[str, float] = {}
    sound = {}
    for index, sensor in enumerate(features.sensors):
        raw = list(zip(past.times_us.tolist(), past.readings[:, index].tolist(), strict=True))
        raw = [(time, value) for time, value in raw if time <= at]
        sound[sensor.name] = [(t, v) for t, v in raw if not faulty(sensor, raw, t, v)]
        row |= of_sensor(features, sensor, raw, sound[sensor.name], any_service, at)
    hours = features.windows_hours[0]
    for first, other in features.correlations:
        row[f"{first}_{other}_correlation_{hours}h"] = correlation(
            within(sound[first], at, hours), within(sound[other], at, hours)
        )
    for index, code in enumerate(features.error_codes):
        for width in features.error_windows_hours:
            row[f"{code}_count_{width}h"] = float(
                sum(
                    at - width * HOUR_US < time <= at and code_index == index
                    for time, code_index in zip(past.error_times_us, past.error_codes, strict=True)
                )
            )
    return row | of_machine(features, past, services, at) | of_waveforms(features, past, at)


def of_waveforms(features: AssetFeatureSet, past: History, at: int) -> dict[str, float]:
    if not features.wave_measures:
        return {}
    first = at - features.trailing_hours * HOUR_US
    kept = [k for k, time in enumerate(past.wave_times_us.tolist()) if first < time <= at]
    row = {"hours_since_waveform": NAN}
    if kept:
        row["hours_since_waveform"] = (at - int(past.wave_times_us[kept[-1]])) / HOUR_US
    for column, name in enumerate(features.wave_measures):
        row[f"waveform_{name}"] = float(past.wave_measures[kept[-1], column]) if kept else NAN
    return row


def unchanged_us(raw: list[tuple[int, float]], at: int) -> int:
    """How long the value at `at` has not changed, walking back; a gap over 12 h ends it."""
    readings = [(t, v) for t, v in raw if t <= at and not math.isnan(v)]
    if not readings or readings[-1][0] != at:
        return 0
    first = at
    for time, value in reversed(readings):
        if value != readings[-1][1] or first - time > 12 * HOUR_US:
            break
        first = time
    return min(at - first, 12 * HOUR_US)


def faulty(sensor: Sensor, raw: list[tuple[int, float]], time: int, value: float) -> bool:
    if math.isnan(value):
        return False
    if sensor.low is not None and value < sensor.low:
        return True
    if sensor.high is not None and value > sensor.high:
        return True
    return (
        sensor.stuck_hours is not None and unchanged_us(raw, time) >= sensor.stuck_hours * HOUR_US
    )


def within(rows: list[tuple[int, float]], at: int, hours: float) -> list[tuple[int, float]]:
    return [(t, v) for t, v in rows if at - hours * HOUR_US < t <= at and not math.isnan(v)]


def of_sensor(
    features: AssetFeatureSet,
    sensor: Sensor,
    raw: list[tuple[int, float]],
    sound: list[tuple[int, float]],
    service: int,
    at: int,
) -> dict[str, float]:
    name, unit, row = sensor.name, sensor.token, {}
    for hours in features.windows_hours:
        rows = within(sound, at, hours)
        values = [value for _, value in rows]
        for measure, value in {
            "mean": fmean(values) if values else NAN,
            "std": stdev(values) if len(values) > 1 else NAN,
            "min": min(values, default=NAN),
            "max": max(values, default=NAN),
            "range": max(values) - min(values) if values else NAN,
        }.items():
            row[f"{name}_{measure}{unit}_{hours}h"] = value
        row[f"{name}_slope{unit}_per_h_{hours}h"] = slope(rows)
        row[f"{name}_coverage_{hours}h"] = min(1.0, len(rows) / hours * features.interval_hours)
    now = features.windows_hours[0]
    recent = within(sound, at, now)
    last = recent[-1][1] if recent else NAN
    far = [(t, v) for t, v in within(sound, at, features.trailing_hours) if t > service]
    values = [value for _, value in far]
    spread = stdev(values) if len(values) >= 12 else 0.0
    mean = fmean(values) if values else NAN
    newest = [t for t, _ in raw if at - now * HOUR_US < t <= at]
    return row | {
        f"{name}_last{unit}": last,
        f"{name}_zscore": (last - mean) / spread if spread > 0 else NAN,
        f"{name}_level": (row[f"{name}_mean{unit}_{now}h"] - mean) / spread if spread > 0 else NAN,
        f"{name}_unchanged_hours": unchanged_us(raw, newest[-1]) / HOUR_US if newest else 0.0,
        f"{name}_faults_{now}h": float(
            sum(faulty(sensor, raw, t, v) for t, v in within(raw, at, now))
        ),
    }


def slope(rows: list[tuple[int, float]]) -> float:
    if not rows:
        return NAN
    hours = [(time - rows[0][0]) / HOUR_US for time, _ in rows]
    middle, mean = fmean(hours), fmean(value for _, value in rows)
    spread = sum((hour - middle) ** 2 for hour in hours)
    across = sum((h - middle) * (v - mean) for h, (_, v) in zip(hours, rows, strict=True))
    return across / spread if spread > 0 else NAN


def correlation(first: list[tuple[int, float]], other: list[tuple[int, float]]) -> float:
    second = dict(other)
    pairs = [(value, second[time]) for time, value in first if time in second]
    if len(pairs) < 3:
        return NAN
    mean_one, mean_other = fmean(a for a, _ in pairs), fmean(b for _, b in pairs)
    squares = (
        sum((a - mean_one) ** 2 for a, _ in pairs),
        sum((b - mean_other) ** 2 for _, b in pairs),
    )
    if min(squares) <= 0:
        return NAN
    return sum((a - mean_one) * (b - mean_other) for a, b in pairs) / math.sqrt(
        squares[0] * squares[1]
    )


def of_machine(
    features: AssetFeatureSet, past: History, services: list[tuple[int, int]], at: int
) -> dict[str, float]:
    row = {}
    for index, part in enumerate(features.components):
        own_services = [time for time, served in services if served in (index, -1)]
        row[f"hours_since_service_{part}"] = (
            (at - max(own_services)) / HOUR_US if own_services else NAN
        )
    installed = past.installed_us if past.installed_us <= at else UNKNOWN_US
    began = max([installed, *(time for time, _ in services)])
    is_known = began != UNKNOWN_US
    run = 0
    for day, count in zip(past.run_days.tolist(), past.run_counts.tolist(), strict=True):
        if is_known and day * DAY_US >= began and (day + 1) * DAY_US <= at:
            run += count
    read = [t for t in past.times_us.tolist() if at - features.trailing_hours * HOUR_US < t <= at]
    return row | {
        "hours_since_service": (at - began) / HOUR_US if is_known else NAN,
        "operating_hours_since_service": run * features.interval_hours if is_known else NAN,
        "hours_since_reading": (at - max(read)) / HOUR_US if read else NAN,
        "age_hours": (at - installed) / HOUR_US if installed != UNKNOWN_US else NAN,
    }
