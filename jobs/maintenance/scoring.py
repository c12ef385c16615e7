"""Scoring of machines with a model, over the cluster."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc
import ray

from jobs import ingestion
from jobs.framework.cluster import start_ray
from jobs.framework.options import parse_time, time_text
from jobs.framework.row_folder import RowFolder
from jobs.framework.tables import table_lines
from jobs.maintenance.score import ScoreConfig
from jobs.maintenance.sources import intakes, measured, require_machine_attributes, small_tables
from jobs.maintenance.telemetry import (
    by_machine,
    far_lines,
    far_readings,
    telemetry_end,
    telemetry_mapping,
)
from jobs.model_source import model_directory
from lib.contract import ContractError
from lib.contract.coercion import as_array
from lib.contract.end_of_data import DataEnd
from lib.maintenance.dataset import Tables, current_rows
from lib.maintenance.model.model import SYSTEM, SurvivalModel, load_model
from lib.maintenance.model.scores import scores_table
from lib.storage import open_dataset, open_storage

_SHOWN = 10
_NOTE = "scores.json"


def score_machines(config: ScoreConfig) -> str:
    """Score and write; returns the folder or URI of Parquet files."""
    with model_directory(SYSTEM, config.model, config.registry, config.version) as directory:
        model = load_model(directory)
    telemetry_mapping(config, model.features)  # refuses units that the model cannot take
    require_machine_attributes(config, model.features)
    folder = RowFolder(open_storage(config.output), _NOTE)
    start_ray()
    folder.start()
    quarantine = folder.quarantine
    small = small_tables(config, quarantine)
    small["waveforms"] = measured(config, model.features, quarantine)
    end = None if config.at is not None else _end(config, folder.work.address("end"))
    at_us = parse_time("--at", str(config.at)) if end is None else end.last_us
    rows = _scored(config, model, small, at_us, quarantine)
    folder.write(rows)
    folder.publish()
    note = {
        "scored_at": time_text(at_us),
        "model_version": model.version,
        "grid_hours": model.grid.tolist(),
        "modes": list(model.modes),
        "machines": open_dataset(folder.storage, "data").count_rows(),
        "tables": intakes(folder.storage, "quarantine"),
        "far_readings": far_readings(end),
    }
    folder.finish(note)
    print(_closing_lines(folder))
    return folder.data


def _end(config: ScoreConfig, quarantine: str) -> DataEnd:
    """When readings end.

    Raises:
        ContractError: none passes its contract.
    """
    end = telemetry_end(config, quarantine)
    if end is None:
        storage = open_storage(quarantine)
        reason = ingestion.most_frequent_reason(storage, "telemetry", config.telemetry)
        raise ContractError(
            f"{reason}; no reading passed the contract; see {storage.shown('telemetry')}"
        )
    return end


def _scored(
    config: ScoreConfig,
    model: SurvivalModel,
    small: dict[str, pa.Table | None],
    at_us: int,
    quarantine: str,
) -> ray.data.Dataset:
    shared, explain = ray.put(model), config.explain

    def score(tables: Tables) -> pa.Table:
        replica_model: SurvivalModel = ray.get(shared)
        names, rows, last = current_rows(replica_model.features, tables, at_us)
        return scores_table(replica_model, names, rows, at_us, last, explain)

    scores = by_machine(config, small, score, quarantine, model.features).materialize()
    silent = _silent(small["machines"], scores)
    if silent is None:
        return scores
    empty_table = _no_readings(model)
    names, rows, last = current_rows(model.features, Tables(empty_table, machines=silent), at_us)
    more = scores_table(model, names, rows, at_us, last, explain)
    return scores.union(ray.data.from_arrow(more))


def _no_readings(model: SurvivalModel) -> pa.Table:
    """A table of no readings."""
    columns = {"machine_id": pa.array([], pa.string()), "event_time": pa.array([], pa.int64())}
    sensors = {name: pa.array([], pa.float64()) for name in model.features.sensor_names}
    return pa.table(columns | sensors)


def _silent(machines: pa.Table | None, scores: ray.data.Dataset) -> pa.Table | None:
    """Machines that are listed and have no telemetry."""
    if machines is None:
        return None
    blocks = ray.get(scores.select_columns(["machine_id"]).to_arrow_refs())
    read = pa.concat_tables(blocks)["machine_id"].combine_chunks()
    rest = machines.filter(pc.invert(pc.is_in(as_array(machines["machine_id"]), value_set=read)))
    return rest if rest.num_rows else None


def _closing_lines(folder: RowFolder) -> str:
    note = folder.read_note()
    table = open_dataset(folder.storage, "data").to_table()
    worst = table.sort_by([("mean_hours", "ascending")]).slice(0, _SHOWN).to_pylist()
    lines = [f"{'machine':16}{'24 h':>8}{'7 d':>8}{'30 d':>8}  {'likely':12} because of"]
    for row in worst:
        probabilities = [row[f"failure_within_{name}"] for name in ("24h", "7d", "30d")]
        cells = "".join(
            f"{'-' if probability is None else format(probability, '.1%'):>8}"
            for probability in probabilities
        )
        causes = ", ".join(cause for cause, _ in json.loads(row["drivers"])[:3])
        lines.append(f"{row['machine_id'][:15]:16}{cells}  {row['likely_mode'] or '-':12} {causes}")
    return "\n".join(
        [
            *lines,
            *table_lines(note["tables"], 14),
            *far_lines(note),
            f"{note['machines']:,} machines at {note['scored_at']}, "
            f"{pc.sum(table['alarm']).as_py()} alarms, model {note['model_version']}",
            *folder.locations("scores"),
        ]
    )
