"""What sensors, controllers and accelerometers report of a week that has passed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa

from lib.contract import TIME
from lib.maintenance.feature_set import HOUR_US
from lib.maintenance.history import Floats, Ints
from lib.maintenance.simulation.config import SENSORS, FleetConfig
from lib.maintenance.simulation.fleet import Fleet, Passed
from lib.maintenance.simulation.wear import WEEK_HOURS

SAMPLING_RATE_HZ = 12_000.0
SHAFT_HZ = 25.0
KNOCKS_PER_TURN = 3.585
_MEAN_GAP_HOURS = 10
_NOISE, _FAULTS, _ERRORS, _WAVE = 11, 12, 13, 14
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


@dataclass(frozen=True)
class SimulatedReadings:
    """A week's tables, and what is wrong in them by design.

    Attributes:
        telemetry: checked columns of TELEMETRY.
        errors: of ERRORS.
        gaps: hours without a reading; stuck: readings that repeat; spikes: out of range.
    """

    telemetry: pa.Table
    errors: pa.Table
    gaps: int
    stuck: int
    spikes: int


def machine_ids(config: FleetConfig) -> list[str]:
    """Names of all machines, by number."""
    return [f"M{number:05d}" for number in range(config.machines)]


def hour_us(config: FleetConfig, hour: int) -> int:
    """Microseconds UTC of an hour of the fleet's."""
    return int((config.start + timedelta(hours=int(hour))).timestamp()) * 1_000_000


def observe(fleet: Fleet, passed: Passed) -> SimulatedReadings:
    """Telemetry and error codes of a week; a machine that stands is read as standing."""
    config = fleet.config
    values = _true_readings(fleet, passed)
    gaps, stuck, spikes = _disturb(config, passed.week, values)
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
    return SimulatedReadings(pa.table(columns), _errors(config, passed, hours), gaps, stuck, spikes)


def waveform(fleet: Fleet, passed: Passed, machine: int, hour: int, seconds: float) -> Floats:
    """Acceleration (n,) in g at 12 kHz: shaft, noise, and knocks of a worn bearing's outer race."""
    random = np.random.default_rng([fleet.config.seed, machine, passed.week, hour, _WAVE])
    at = np.arange(int(seconds * SAMPLING_RATE_HZ)) / SAMPLING_RATE_HZ
    worn = _visible(fleet.config, passed.wear[machine, :, hour])[0]
    turns = 2.0 * np.pi * SHAFT_HZ * at + random.uniform(0.0, 6.0)
    shaft = 0.25 * np.sin(turns) + 0.1 * np.sin(2.0 * turns)
    knocks = np.mod(at * SHAFT_HZ * KNOCKS_PER_TURN + random.random(), 1.0)
    ringing = np.exp(-knocks * 14.0) * np.sin(2.0 * np.pi * 3300.0 * at)
    return np.asarray(shaft + 2.5 * worn * ringing + random.normal(0.0, 0.15, len(at)))


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


def _disturb(config: FleetConfig, week: int, values: Floats) -> tuple[int, int, int]:
    """Gaps of hours, sensors that stick, readings out of range, in place; how many of each."""
    per_week = 7.0 / 365.25
    gap_rate = -np.log1p(-config.gap_share) * WEEK_HOURS / _MEAN_GAP_HOURS
    stuck = np.zeros(values.shape, dtype=bool)
    spiked = np.zeros(values.shape, dtype=bool)
    for number in range(config.machines):
        random = np.random.default_rng([config.seed, number, week, _FAULTS])
        for _ in range(random.poisson(config.stuck_per_year * per_week)):
            first, sensor = int(random.integers(WEEK_HOURS - 24)), random.choice([0, 1, 2, 4, 6])
            end = first + int(random.integers(12, 24))
            values[number, first:end, sensor] = values[number, first, sensor]
            stuck[number, first + 1 : end, sensor] = True
        for _ in range(random.poisson(config.spikes_per_year * per_week)):
            hour, sensor = random.integers(WEEK_HOURS), random.integers(len(SENSORS))
            values[number, hour, sensor] = 1e4
            spiked[number, hour, sensor] = True
        for _ in range(random.poisson(gap_rate)):
            length = int(random.integers(1, 2 * _MEAN_GAP_HOURS))
            first = int(random.integers(1 - length, WEEK_HOURS))
            values[number, max(first, 0) : first + length] = np.nan
    there = ~np.isnan(values)
    gaps = int((~there).all(axis=2).sum())
    return gaps, int((stuck & ~spiked & there).sum()), int((spiked & there).sum())


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
