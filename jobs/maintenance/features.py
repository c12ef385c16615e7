"""Machines' past in, training rows with all features out; see `--help`."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pyarrow as pa

from jobs import ingestion
from jobs.framework.cluster import start_ray
from jobs.framework.command import run_job
from jobs.framework.paths import InputPath
from jobs.framework.row_folder import RowFolder, report_rows
from jobs.framework.tables import table_lines
from jobs.maintenance.sources import (
    Sources,
    intakes,
    kind_in,
    measured,
    small_tables,
    unread_attributes,
    with_attributes,
)
from jobs.maintenance.telemetry import (
    by_machine,
    far_lines,
    far_readings,
    telemetry_end,
    telemetry_mapping,
)
from lib.contract import ContractError
from lib.maintenance.dataset import (
    Tables,
    ending_in_failure,
    rows_and_failures,
    sensor_faults,
)
from lib.maintenance.failures import GRACE_HOURS, FailureCounts, counts_of
from lib.maintenance.feature_set import AssetFeatureSet, FeatureError
from lib.maintenance.history import History
from lib.maintenance.machine_kind import kind_text, load_kind
from lib.maintenance.model.rows import TrainingRows, to_table
from lib.storage import Storage, open_dataset, open_storage

NOTE = "features.json"


@dataclass(frozen=True, kw_only=True)
class FeaturesConfig(Sources):
    """Compute training rows: features of machines at regular times, and their next failure.

    Rows that break a contract go to OUTPUT/quarantine with a reason. Faulty readings are counted by
    sensor. Work is distributed over the cluster by machine.
    """

    kind: InputPath | None = None
    """YAML that declares sensors with bounds, components, windows and attributes; default: what
    the data has, which is written to OUTPUT/kind.yaml"""
    every_hours: float = 24.0
    """hours between two rows of a machine"""
    warm_up_hours: float = 24.0
    """hours of readings before a machine's first row"""
    preventive: Literal["censor", "ignore"] = "censor"
    """effect of a planned service on the time to failure: censor ends it as unobserved, ignore has
    no effect"""
    run_to_failure: bool = False
    """treat the last reading of each machine as its failure, as in run-to-failure tests"""
    failure_grace_hours: float = GRACE_HOURS
    """hours after a machine's last reading within which a recorded failure counts as the end of its
    run; later failures are counted and not used"""
    overwrite: bool = False
    """compute the rows again even if OUTPUT already holds the rows of the same files"""

    def check(self) -> None:
        """See `JobOptions`."""
        if self.every_hours <= 0:
            raise FeatureError(f"--every-hours: expected above 0, got {self.every_hours}")
        if not self.failure_grace_hours >= 0:
            raise FeatureError(
                f"--failure-grace-hours: expected 0 or more, got {self.failure_grace_hours}"
            )
        self.check_tables(None if self.kind is None else load_kind(self.kind))


def main(config: FeaturesConfig) -> str:
    """Compute and write the rows; returns the folder or URI of Parquet files."""
    folder = RowFolder(open_storage(config.output), NOTE)
    return report_rows(write_features(config), folder, _closing_lines)


def write_features(config: FeaturesConfig) -> str:
    """The folder of rows, computed unless it is there for the same inputs already.

    Raises:
        ContractError: a column is missing or of the wrong type, or there is nothing to read.
        FeatureError: the kind of machine cannot be meant, or telemetry lacks a sensor of it.
    """
    folder = RowFolder(open_storage(config.output), NOTE)
    declared = None if config.kind is None else load_kind(config.kind)
    config.check()
    inputs = _inputs(config, declared)
    if not config.overwrite and folder.has(inputs):
        return folder.data
    started = time.monotonic()
    folder.start()
    features, counted = _computed(config, declared, folder)
    folder.publish()
    note = {
        **inputs,
        **counted,
        "feature_set_digest": features.digest,
        "kind": kind_text(features),
        "features": list(features.names),
        "attributes_left_out": unread_attributes(config, features),
        "sensor_faults": _faults(folder.storage),
        "tables": intakes(folder.storage, "quarantine"),
        "seconds": round(time.monotonic() - started, 3),
    }
    folder.storage.write("kind.yaml", kind_text(features).encode())
    folder.finish(note)
    return folder.data


def _inputs(config: FeaturesConfig, declared: AssetFeatureSet | None) -> dict[str, Any]:
    """What the rows depend on."""
    return {
        "declared_digest": None if declared is None else declared.digest,
        "data_fingerprint": ingestion.fingerprint_of(config.files),
        "every_hours": config.every_hours,
        "warm_up_hours": config.warm_up_hours,
        "preventive": config.preventive,
        "run_to_failure": config.run_to_failure,
        "failure_grace_hours": config.failure_grace_hours,
    }


def _computed(
    config: FeaturesConfig, declared: AssetFeatureSet | None, folder: RowFolder
) -> tuple[AssetFeatureSet, dict[str, Any]]:
    """The kind of machine, and how many rows of how many machines were written."""
    start_ray()
    quarantine, work = folder.quarantine, folder.work
    small = small_tables(config, quarantine)
    kind = declared or kind_in(telemetry_mapping(config), small)
    features = with_attributes(config, kind, small["machines"])
    small["waveforms"] = measured(config, features, quarantine)
    every, warm_up, preventive = config.every_hours, config.warm_up_hours, config.preventive
    to_the_end, grace = config.run_to_failure, config.failure_grace_hours
    end = telemetry_end(config, work.address("end"))

    def rows_of(tables: Tables) -> pa.Table:
        if not tables.telemetry.num_rows:
            return _empty_table(features)
        pasts = list(tables.histories(features))
        _note_faults(features, pasts, quarantine)
        booked = 0 if tables.failures is None else tables.failures.num_rows
        tables = ending_in_failure(tables) if to_the_end else tables
        training_rows, counts = rows_and_failures(
            features, tables, every, warm_up, preventive, pasts, grace
        )
        _note_failures(counts, booked, pasts, quarantine)
        return (
            _empty_table(features)
            if training_rows is None
            else to_table(training_rows, features.names)
        )

    end_us = None if end is None else end.last_us
    rows = by_machine(config, small, rows_of, quarantine, features, end_us).materialize()
    count = rows.count()
    if not count:
        reason = ingestion.most_frequent_reason(work, "quarantine/telemetry", config.telemetry)
        raise ContractError(
            f"{reason}; no machine has readings for longer than {config.warm_up_hours:g} h that "
            f"pass the contract; see {work.shown('quarantine/telemetry')}"
        )
    folder.write(rows)
    data = open_dataset(work, "data")
    names = set(data.to_table(columns=["machine_id"])["machine_id"].unique().to_pylist())
    listed = small["machines"]
    silent = [] if listed is None else sorted({*listed["machine_id"].to_pylist()} - names)
    return features, {
        "rows": count,
        "machines": len(names),
        "machines_without_rows": silent,
        "failure_counts": asdict(_failures_seen(work, small["failures"])),
        "far_readings": far_readings(end),
    }


def _empty_table(features: AssetFeatureSet) -> pa.Table:
    """A table of no rows, typed like the others."""
    return to_table(TrainingRows.none(len(features.names)), features.names)


def _note_faults(features: AssetFeatureSet, pasts: Sequence[History], quarantine: str) -> None:
    text = json.dumps(sensor_faults(features, pasts))
    open_storage(quarantine).write(f"sensors/{_group_name(pasts)}.json", text.encode())


def _note_failures(
    counts: FailureCounts, booked: int, pasts: Sequence[History], quarantine: str
) -> None:
    """What rows see of failures, and how many the table of failures has of these machines."""
    text = json.dumps({**asdict(counts), "booked": booked})
    open_storage(quarantine).write(f"failures_seen/{_group_name(pasts)}.json", text.encode())


def _group_name(pasts: Sequence[History]) -> str:
    """Of the ledgers of a group of machines: a second run of the task overwrites them."""
    return hashlib.sha256(pasts[0].machine_id.encode()).hexdigest()[:24]


def _failures_seen(work: Storage, failures: pa.Table | None) -> FailureCounts:
    """What rows see of all failures, those of machines that were never read included."""
    total, booked = FailureCounts(), 0
    for path in work.files("quarantine/failures_seen"):
        entry = json.loads(work.read(path) or b"{}")
        booked += entry.pop("booked", 0)
        total += counts_of(entry)
    others = (0 if failures is None else failures.num_rows) - booked
    return total + FailureCounts(without_rows=others)


def _faults(output: Storage) -> dict[str, dict[str, int]]:
    """By sensor, over all machines."""
    total: dict[str, Counter[str]] = {}
    for path in output.files("quarantine/sensors"):
        for name, counts in json.loads(output.read(path) or b"{}").items():
            total.setdefault(name, Counter()).update(counts)
    return {name: dict(counts) for name, counts in total.items()}


def _closing_lines(folder: RowFolder) -> str:
    note = folder.read_note()
    lines = table_lines(note["tables"], 14)
    lines.append(f"{'sensor':14}{'missing':>12}{'stuck':>10}{'out of range':>13}")
    for name, counts in note["sensor_faults"].items():
        lines.append(
            f"{name:14}{counts['missing']:>12,}{counts['stuck']:>10,}{counts['out_of_range']:>13,}"
        )
    lines += [
        f"no reading of sensor '{name}' in any row: check where the mapping takes it from"
        for name, faults in note["sensor_faults"].items()
        if faults["readings"] and faults["missing"] == faults["readings"]
    ]
    lines += [
        f"attribute '{name}': the kind of machine declares others; left out"
        for name in note.get("attributes_left_out", ())
    ]
    return "\n".join(
        [
            *lines,
            f"training rows {note['rows']:>12,}   of {note['machines']:,} machines, "
            f"{len(note['features'])} features each",
            f"machines listed that have none: {len(note['machines_without_rows']):,}",
            *far_lines(note),
            *_failure_lines(note),
            *folder.locations("features"),
        ]
    )


def _failure_lines(note: dict[str, Any]) -> list[str]:
    counts = counts_of(note["failure_counts"])
    return counts.lines() if counts.total else []


if __name__ == "__main__":
    run_job(FeaturesConfig, main)
