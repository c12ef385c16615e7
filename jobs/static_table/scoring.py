"""Scoring of a table without times."""

import json
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from jobs.framework.row_folder import RowFolder
from jobs.framework.tables import table_lines
from jobs.model_source import model_directory
from jobs.static_table.score import ScoreConfig
from jobs.static_table.sources import folder_of, read_rows, row_line
from lib.contract import source_schema
from lib.static_table.contracts import ROW_ID
from lib.static_table.model import TableModel, artifact_system, load_table_model
from lib.static_table.report import OUTCOMES, PLURALS
from lib.static_table.scores import score_rows
from lib.static_table.table_mapping import TableMapping, parse_table_mapping, scoring_mapping
from lib.storage import open_storage, write_parquet

NOTE = "scores.json"
_SHOWN = 10


def score_table(config: ScoreConfig) -> str:
    """Score and write; returns the folder or URI of Parquet files."""
    system = artifact_system(config.system)
    with model_directory(system, config.model, config.registry, config.version) as directory:
        model = load_table_model(directory, config.system)
    table_mapping = _mapping(config, model)
    mapping = scoring_mapping(table_mapping.mapping)
    source_schema(mapping, config.static, may_be_empty=True)
    folder = RowFolder(open_storage(config.output), NOTE)
    folder.start()
    rows, summary = read_rows(mapping, config.static, folder.quarantine)
    scores = score_rows(model, rows)
    write_parquet(scores.table, folder.storage, "work/data/scores.parquet")
    folder.publish()
    note = {
        "system": config.system,
        "model_version": model.version,
        "rows": scores.table.num_rows,
        "unknown": scores.unknown,
        "lacking": list(scores.lacking),
        "tables": {"rows": asdict(summary)},
    }
    folder.finish(note)
    print(row_line(rows.num_rows, summary))
    print("\n".join(_closing_lines(config.system, scores.table, note, folder)))
    return folder.data


def _mapping(config: ScoreConfig, model: TableModel) -> TableMapping:
    """The mapping file, or that of the training; it must bring what the model reads."""
    mapping = config.read_mapping()
    if mapping is None:
        return parse_table_mapping(
            model.mapping_text, "mapping of the model", folder_of(config.static)
        )
    model.inputs.require_in(mapping)
    return mapping


def _closing_lines(
    system: str, scores: pa.Table, note: dict[str, Any], folder: RowFolder
) -> list[str]:
    """The riskiest rows, what the model did not know, and where everything lies."""
    top = scores.sort_by([("probability", "descending"), (ROW_ID, "ascending")]).slice(0, _SHOWN)
    lines = [f"warning: {text}" for text in note["lacking"]]
    lines += [
        f"{count:,} rows have a value of {name} that the model has no code for"
        for name, count in note["unknown"].items()
    ]
    lines += table_lines(note["tables"], 12)
    lines.append(f"{'row':24}{OUTCOMES[system] + 's':>8}  because of")
    for row in top.to_pylist():
        raising = [reason["words"] for reason in json.loads(row["reasons"]) if reason["effect"] > 0]
        why = "; ".join(words.removesuffix("; raises the risk") for words in raising) or "-"
        lines.append(f"{row[ROW_ID][:23]:24}{row['probability']:>8.1%}  {why[:100]}")
    lines.append(
        f"{note['rows']:,} {PLURALS[system]} scored; no decision is made; "
        f"model {note['model_version']}"
    )
    return [*lines, *folder.locations("scores")]
