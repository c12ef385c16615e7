"""Small files in the layouts of public data sets: NAB, SKAB and AI4I 2020, with values drawn here.

Lives and readings are made up; only names, separators, units and shapes are those of the sources.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from tests.layout_files import write_csv, write_texts

NAB_MACHINES = 8
SKAB_RUNS, SKAB_SECONDS = 16, 1_200
AI4I_ROWS = 3_000
_SKAB_COLUMNS = ("Accelerometer1RMS", "Current", "Pressure", "Temperature", "Volume Flow RateRMS")
_SKAB_LEVELS = (
    *((0.03, 0.02, 0.002), (1.2, 0.4, 0.1), (0.4, 0.1, 0.2)),
    *((77.0, 3.0, 0.3), (32.0, -2.0, 0.4)),
)
_FLAGS = ("TWF", "HDF", "PWF", "OSF", "RNF")

NAB = """
contract: telemetry
columns:
  machine_id: {value: machine 7}
  event_time: {from: timestamp, timezone: UTC}
  temperature: {from: value, unit: degF}
"""
NAB_FAILURES = """
contract: failures
columns:
  machine_id: {value: machine 7}
  event_time: {from: failed, timezone: UTC}
  failure_mode: {value: motor}
"""
NAB_FOLDER = """
contract: telemetry
columns:
  machine_id: {from_file: stem}
  event_time: {from: timestamp, timezone: UTC}
  temperature: {from: value, unit: degF}
"""
NAB_WINDOWS = """
contract: failures
columns:
  machine_id: file
  event_time: {from: end, timezone: UTC}
  failure_mode: {value: motor}
"""
SKAB = """
contract: telemetry
file: {delimiter: ";"}
columns:
  machine_id: {from_file: stem}
  event_time: {from: datetime, timezone: Europe/Moscow}
  acceleration: Accelerometer1RMS
  current: Current
  pressure: {from: Pressure, unit: bar}
  temperature: {from: Temperature, unit: degC}
  flow: Volume Flow RateRMS
"""
AI4I = """
contract: telemetry
columns:
  machine_id: Type
  event_time: {from: UDI, unit: h, plus: 19723d}
  air: {from: "Air temperature [K]", unit: K}
  process: {from: "Process temperature [K]", unit: K}
  speed: {from: "Rotational speed [rpm]", unit: rpm}
  torque: {from: "Torque [Nm]"}
  wear: {from: "Tool wear [min]", unit: min}
"""
AI4I_FAILURES = """
contract: failures
unpivot: {columns: [TWF, HDF, PWF, OSF, RNF], label: mode, value: failed}
where: {failed: [1]}
columns:
  machine_id: Type
  event_time: {from: UDI, unit: h, plus: 19723d}
  failure_mode:
    from: mode
    values: {TWF: tool wear, HDF: heat, PWF: power, OSF: overstrain, RNF: random}
"""
AI4I_KIND = """
sensors:
  air: {unit: degC, low: -20, high: 60}
  process: {unit: degC, low: -20, high: 80}
  speed: {unit: rpm}
  torque: {}
  wear: {unit: h}
windows_hours: [24]
"""


def write_nab(folder: Path) -> None:
    """One machine, a reading every five minutes for five weeks, four failures."""
    random = np.random.default_rng(1)
    start = datetime(2013, 12, 2, 21, 15)
    times = [start + timedelta(minutes=5 * k) for k in range(35 * 288)]
    values = 85 + random.normal(0, 5, len(times))
    write_csv(folder / "nab.csv", ("timestamp", "value"), zip(times, values.round(4), strict=True))
    failed = [[start + timedelta(days=day)] for day in (8, 16, 24, 33)]
    write_csv(folder / "nab_failures.csv", ("failed",), failed)
    write_texts(folder, {"nab": NAB, "nab_failures": NAB_FAILURES})


def write_nab_folder(folder: Path) -> None:
    """Machines with a file each, of the same columns, and a table of the ends of anomalies."""
    (folder / "nab").mkdir()
    start, step = datetime(2014, 4, 1), timedelta(minutes=5)
    failed = []
    for number in range(NAB_MACHINES):
        random = np.random.default_rng(number)
        name = f"machine_temperature_{number}"
        count = 30 * 288
        ends = np.cumsum(random.integers(5 * 288, 10 * 288, 8))
        ends = ends[ends < count]
        left = ends[np.searchsorted(ends, np.arange(ends[-1]), side="right")] - np.arange(ends[-1])
        heat = np.zeros(count)
        heat[: ends[-1]] = 25 * np.exp(-left / 288)
        values = 85 + heat + random.normal(0, 2, count)
        times = [start + step * k for k in range(count)]
        rows = zip(times, values.round(4), strict=True)
        write_csv(folder / "nab" / f"{name}.csv", ("timestamp", "value"), rows)
        failed += [[name, start + step * int(end)] for end in ends]
    write_csv(folder / "nab_windows.csv", ("file", "end"), failed)
    write_texts(folder, {"nab_folder": NAB_FOLDER, "nab_windows": NAB_WINDOWS})


def write_skab(folder: Path) -> None:
    """Sixteen runs of one rig, each a file of readings a second, in different minutes of a day."""
    (folder / "skab").mkdir()
    for run in range(SKAB_RUNS):
        random = np.random.default_rng(run)
        seconds = int(SKAB_SECONDS * random.uniform(0.5, 1.0))
        start = datetime(2020, 3, 9, 10, 14) + timedelta(minutes=20 * run)
        wear = (np.arange(seconds) / seconds) ** 3
        columns = [
            level + step * wear + random.normal(0, spread, seconds)
            for level, step, spread in _SKAB_LEVELS
        ]
        times = [start + timedelta(seconds=k) for k in range(seconds)]
        rows = zip(times, *(column.round(6) for column in columns), strict=True)
        path = folder / "skab" / f"{run}.csv"
        write_csv(path, ("datetime", *_SKAB_COLUMNS), rows, delimiter=";")
    write_texts(folder, {"skab": SKAB})


def write_ai4i(folder: Path) -> None:
    """Rows in the order of their number, quality in `Type`, five flags that name the failure."""
    random = np.random.default_rng(3)
    rows = []
    wear = dict.fromkeys("LMH", 0.0)
    for number in range(1, AI4I_ROWS + 1):
        kind = str(random.choice(list("LMH")))
        wear[kind] += 2.0
        flags = dict.fromkeys(_FLAGS, 0)
        if wear[kind] > 100 and random.random() < 0.03 * (wear[kind] / 100) ** 4:
            flags[str(random.choice(_FLAGS))] = 1
            wear[kind] = 0.0
        air = 300 + random.normal(0, 2)
        rows.append(
            [
                number,
                f"{kind}{14859 + number}",
                kind,
                round(air, 1),
                round(air + 10, 1),
                int(random.normal(1540, 180)),
                round(40 + wear[kind] / 10 + random.normal(0, 5), 1),
                int(wear[kind]),
                int(any(flags.values())),
                *flags.values(),
            ]
        )
    header = (
        *("UDI", "Product ID", "Type", "Air temperature [K]", "Process temperature [K]"),
        *("Rotational speed [rpm]", "Torque [Nm]", "Tool wear [min]", "Machine failure", *_FLAGS),
    )
    write_csv(folder / "ai4i.csv", header, rows)
    write_texts(folder, {"ai4i": AI4I, "ai4i_failures": AI4I_FAILURES, "kind": AI4I_KIND})
