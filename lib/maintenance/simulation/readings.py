"""What sensors and controllers report of a week that has passed."""

from datetime import timedelta

import numpy as np
import pyarrow as pa

from lib.contract import TIME
from lib.maintenance.feature_set import HOUR_US
from lib.maintenance.history import Floats, Ints
from lib.maintenance.simulation.config import SENSORS, FleetConfig
from lib.maintenance.simulation.fleet import Fleet, Passed
from lib.maintenance.simulation.wear import WEEK_HOURS

_MEAN_GAP_HOURS = 10
_NOISE, _FAULTS, _ERRORS = 11, 12, 13
# what a worn component adds, in each sensor's own unit; the same order as SENSORS
_SHOWS = np.array(
    [
        [6.0, 9.0, 0.0, 0.0, 1.5, 0.0, 11.0],
        [3.0, 0.6, -2.2, 0.0, 2.0, -22.0, 2.0],
        [26.0, 1.8, 0.0, -45.0, 14.0, 0.0, 4.0],
    ]
)
_AT_LOAD = np.array([22.0, 0.9, 1.2, 450.0, 45.0, 0.0, 9.0])
_NOISE_SIZE = np.array([1.6, 0.35, 0.22, 22.0, 3.0, 1.2, 1.6])


def machine_ids(config: FleetConfig) -> list[str]:
    """Names of all machines, by number."""
    return [f"M{number:05d}" for number in range(config.machines)]


def hour_us(config: FleetConfig, hour: int) -> int:
    """Microseconds UTC of an hour of the fleet's."""
    return int((config.start + timedelta(hours=int(hour))).timestamp()) * 1_000_000


def observe(fleet: Fleet, passed: Passed) -> tuple[pa.Table, pa.Table]:
    """A week's checked columns of TELEMETRY and of ERRORS; a machine that stands is so read."""
    config = fleet.config
    values = _true_readings(fleet, passed)
    _disturb(config, passed.week, values)
    hours = hour_us(config, passed.week * WEEK_HOURS) + (np.arange(WEEK_HOURS) + 1) * HOUR_US
    kept = ~np.isnan(values).all(axis=2)
    machine, when = np.nonzero(kept)
    ids = pa.DictionaryArray.from_arrays(pa.array(machine, pa.int32()), machine_ids(config))
    columns = {
        "machine_id": ids.cast(pa.string()),
        "event_time": pa.array(hours[when]).cast(TIME),
    }
    read = values[machine, when]
    for column, sensor in enumerate(SENSORS):
        columns[sensor.name] = pa.array(np.ascontiguousarray(read[:, column]), from_pandas=True)
    return pa.table(columns), _errors(config, passed, hours)


def _visible(config: FleetConfig, wear: Floats) -> Floats:
    """How much of a component's wear shows, 0 to 1 at its failure, convex; components first."""
    begins = np.array([component.shows_from for component in config.components])
    begins = begins.reshape(-1, *(1,) * (wear.ndim - 1))
    visibility: Floats = np.clip((wear - begins) / (1.0 - begins), 0.0, 1.2) ** 2
    return visibility


def _true_readings(fleet: Fleet, passed: Passed) -> Floats:
    """(n, 168, sensors) with noise and no fault."""
    config, fixed = fleet.config, fleet.machines
    visibility = _visible(config, np.moveaxis(passed.wear, 1, 0))  # (components, n, 168)
    values = np.einsum("cnh,cs->nhs", visibility, _SHOWS[: len(config.components)])
    load = np.where(passed.running, passed.load, 0.0)
    values += fixed.base[:, None, :] + (load[:, :, None] - 1.0) * _AT_LOAD
    for number in range(config.machines):
        random = np.random.default_rng([config.seed, number, passed.week, _NOISE])
        values[number] += random.normal(0.0, 1.0, (WEEK_HOURS, len(SENSORS))) * _NOISE_SIZE
    stands = ~passed.running | (passed.load == 0.0)
    values[stands, 3] = 0.0
    lows, highs = (
        np.array([getattr(sensor, end) for sensor in SENSORS], dtype=np.float64)
        for end in ("low", "high")
    )
    read: Floats = np.clip(values, lows, highs)
    return read


def _disturb(config: FleetConfig, week: int, values: Floats) -> None:
    """Gaps of hours, sensors that stick, readings out of range, in place."""
    per_week = 7.0 / 365.25
    gap_rate = -np.log1p(-config.gap_share) * WEEK_HOURS / _MEAN_GAP_HOURS
    for number in range(config.machines):
        random = np.random.default_rng([config.seed, number, week, _FAULTS])
        for _ in range(random.poisson(config.stuck_per_year * per_week)):
            first, sensor = int(random.integers(WEEK_HOURS - 24)), random.choice([0, 1, 2, 4, 6])
            end = first + int(random.integers(12, 24))
            values[number, first:end, sensor] = values[number, first, sensor]
        for _ in range(random.poisson(config.spikes_per_year * per_week)):
            hour, sensor = random.integers(WEEK_HOURS), random.integers(len(SENSORS))
            values[number, hour, sensor] = 1e4
        for _ in range(random.poisson(gap_rate)):
            length = int(random.integers(1, 2 * _MEAN_GAP_HOURS))
            first = int(random.integers(1 - length, WEEK_HOURS))
            values[number, max(first, 0) : first + length] = np.nan


def _errors(config: FleetConfig, passed: Passed, hours: Ints) -> pa.Table:
    """Codes that come by themselves, and more often the more of a component's wear shows."""
    visibility = _visible(config, np.moveaxis(passed.wear, 1, 0))
    probability = np.moveaxis(0.0008 + 0.03 * visibility, 0, 1) * passed.running[:, None, :]
    drawn = np.stack(
        [
            np.random.default_rng([config.seed, number, passed.week, _ERRORS]).random(
                probability.shape[1:]
            )
            for number in range(config.machines)
        ]
    )
    machine, part, when = np.nonzero(drawn < probability)
    names = [f"E_{component.name}" for component in config.components]
    return pa.table(
        {
            "machine_id": [f"M{number:05d}" for number in machine],
            "event_time": pa.array(hours[when]).cast(TIME),
            "error_code": [names[index] for index in part],
        }
    )
