"""Scoring of customers with a model, over the cluster."""

import json
import time

import pyarrow as pa
import pyarrow.compute as pc
import ray

from jobs.churn.score import ScoreConfig
from jobs.churn.sources import by_customer, intakes, read_stream
from jobs.churn.table_counts import customer_counts, note_customers, table_lines, table_warnings
from jobs.framework.options import parse_time, time_text
from jobs.framework.row_folder import RowFolder
from jobs.model_source import model_directory
from lib.churn.features import base_tables
from lib.churn.health import COMPONENTS
from lib.churn.health_repository import HealthRepository, entry_of
from lib.churn.model import SYSTEM
from lib.churn.model.model import ChurnModel, load_model
from lib.churn.model.scores import KEYS, NOTE, PROBABILITIES, scores_table
from lib.churn.snapshots import snapshots
from lib.churn.vocabulary import ChurnError
from lib.feature import DAY
from lib.storage import open_dataset, open_storage

_SHOWN = 10


def score_customers(config: ScoreConfig) -> str:
    """Score and write; returns the folder or URI of Parquet files."""
    with model_directory(SYSTEM, config.model, config.registry, config.version) as directory:
        model = load_model(directory)
    absent = sorted(base_tables(model.base) - {*config.table_names, "customers"})
    if absent:
        raise ChurnError(
            f"--{absent[0]} is missing, which the model was trained with; without it every "
            "customer would look silent"
        )
    folder = RowFolder(open_storage(config.output), NOTE)
    folder.start()
    quarantine = folder.quarantine
    stream = read_stream(config, quarantine, model.base)
    at_us = (
        (stream.last_us // DAY + 1) * DAY if config.at is None else parse_time("--at", config.at)
    )
    shared, until = ray.put(model), stream.last_us

    def score(happened: pa.Table) -> pa.Table:
        note_customers(happened, quarantine)
        shared_model: ChurnModel = ray.get(shared)
        return scores_table(
            shared_model,
            snapshots(happened, shared_model.base, [at_us], shared_model.target, until),
        )

    rows = by_customer(stream, score).materialize()
    if not rows.count():
        raise ChurnError(f"no customer is there at {time_text(at_us)}")
    folder.write(rows)
    folder.publish()
    note = {
        "as_of": time_text(at_us),
        "model_version": model.version,
        "window_days": model.target.window_days,
        PROBABILITIES: model.reference.chances.tolist(),
        "customers": rows.count(),
        "tables": intakes(folder.storage, "quarantine"),
        **customer_counts(folder.storage),
    }
    folder.finish(note)
    if config.records is not None:
        keep_health(folder, config.records, at_us, model.version)
    print(closing_lines(folder))
    return folder.data


def keep_health(folder: RowFolder, records: str, at_us: int, version: str | None) -> int:
    """Add scores to the history of customers' health; returns how many are new.

    Args:
        folder: with the scores.
        records: URL of the records database.
        at_us: their moment, microseconds UTC; of a day that has not ended, they count from now on.
        version: of the model.
    """
    columns = [*KEYS, *COMPONENTS]
    new, now = 0, time.time_ns() // 1000
    # a score of the future would outrank all that is known until then
    at_us = min(at_us, now)
    with HealthRepository(records) as repository:
        repository.migrate()
        for batch in open_dataset(folder.storage, "data").to_batches(columns=columns):
            rows = batch.to_pylist()
            new += repository.insert_entries(entry_of(row, at_us, version, now) for row in rows)
    return new


def closing_lines(folder: RowFolder) -> str:
    """The riskiest customers, and where everything lies."""
    note = folder.read_note()
    columns = ["customer_id", "chance", "score", "band", "reasons", "flagged"]
    table = open_dataset(folder.storage, "data").to_table(columns=columns)
    worst = table.sort_by([("chance", "descending")]).slice(0, _SHOWN).to_pylist()
    lines = [f"{'customer':18}{'leaves':>8}{'health':>8}  {'band':7}because of"]
    for row in worst:
        raising = [reason["words"] for reason in json.loads(row["reasons"]) if reason["effect"] > 0]
        why = raising[0].removesuffix("; raises the risk") if raising else "-"
        lines.append(
            f"{row['customer_id'][:17]:18}{row['chance']:>8.1%}{row['score']:>8.0f}  "
            f"{row['band']:7}{why[:80]}"
        )
    bands = {
        entry["values"]: entry["counts"] for entry in pc.value_counts(table["band"]).to_pylist()
    }
    counted = ", ".join(f"{count:,} {band}" for band, count in sorted(bands.items()))
    return "\n".join(
        [
            *table_warnings(note),
            *table_lines(note),
            *lines,
            f"{note['customers']:,} customers as of {note['as_of']}: {counted}; "
            f"{pc.sum(table['flagged']).as_py():,} flagged; within {note['window_days']} days; "
            f"model {note['model_version']}",
            *folder.locations("scores"),
        ]
    )
