"""Effects of an experiment's interventions on customers that were not in it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from jobs.churn.score_uplift import ScoreUpliftConfig
from jobs.framework.row_folder import RowFolder
from jobs.model_source import model_directory
from jobs.static_table.sources import folder_of, read_rows, row_line
from lib.static_table.table_mapping import (
    TableMapping,
    parse_table_mapping,
    read_table_mapping,
    scoring_mapping,
)
from lib.storage import open_storage, write_parquet
from lib.uplift.contracts import EXPERIMENT
from lib.uplift.model import SYSTEM, ExperimentModel, load_experiment_model
from lib.uplift.scores import NOTE, uplift_table


def score_uplift(config: ScoreUpliftConfig) -> str:
    """Score and write; returns the folder or URI of Parquet files."""
    with model_directory(SYSTEM, config.model, None, "") as directory:
        model = load_experiment_model(directory)
    mapping = scoring_mapping(_mapping(config, model).mapping)
    folder = RowFolder(open_storage(config.output), NOTE)
    folder.start()
    rows, summary = read_rows(mapping, config.customers, folder.quarantine)
    table = uplift_table(model, rows)
    write_parquet(table, folder.storage, "work/data/uplift.parquet")
    folder.publish()
    note: dict[str, Any] = {
        "model_version": model.version,
        "suffices": dict(model.suffices),
        "is_unwanted": model.is_unwanted,
        "rows": rows.num_rows,
        "tables": {"customers": asdict(summary)},
    }
    folder.finish(note)
    print(row_line(rows.num_rows, summary))
    print("\n".join([*_effect_lines(model.suffices, table), *folder.locations("effects")]))
    return folder.data


def _mapping(config: ScoreUpliftConfig, model: ExperimentModel) -> TableMapping:
    if config.mapping_customers is None:
        origin, beside = "mapping of the model", folder_of(config.customers)
        return parse_table_mapping(model.mapping_text, origin, beside, EXPERIMENT)
    mapping = read_table_mapping(config.mapping_customers, folder_of(config.customers), EXPERIMENT)
    model.inputs.require_in(mapping)
    return mapping


def _effect_lines(suffices: Mapping[str, bool], table: pa.Table) -> list[str]:
    arms = np.array(table["arm"].to_pylist(), dtype=np.str_)
    effects, lines = table["uplift"].to_numpy(), []
    for arm, is_enough in suffices.items():
        own = effects[arms == arm]
        if is_enough and len(own):
            low, high = np.quantile(own, [0.1, 0.9])
            lines.append(f"{arm}: {own.mean():+.2%} in the mean, {low:+.2%} to {high:+.2%} (80%)")
        else:
            lines.append(f"{arm}: the experiment does not tell customers apart")
    return lines
