"""Scoring of payments with a model, over the cluster."""

import json

import numpy as np
import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy

from jobs.cluster.admission import await_core
from jobs.framework.cluster import start_ray
from jobs.framework.row_folder import write_private_rows
from jobs.fraud.score import ScoreConfig
from jobs.fraud.training_set import open_source
from jobs.model_source import model_directory
from lib.fraud.model.inputs import feature_matrix
from lib.fraud.model.policy import DECISIONS
from lib.fraud.model.scoring import Scorer
from lib.registry import read_artifact
from lib.storage import Storage, open_dataset, open_storage, split_address

_KEPT = ("transaction_id", "event_time")


class BatchScorer:
    """Loads the model once in each Ray Data actor, then scores tables.

    Args:
        config: where the model is.
    """

    def __init__(self, config: ScoreConfig) -> None:
        self._scorer = load_scorer(config)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Ids, score and decision of a table of payments with features, in their order."""
        scorer = self._scorer
        scores = scorer.score(feature_matrix(table, scorer.names))
        names = np.array(DECISIONS)[scorer.policy.decisions(scores)]
        answers = {
            "fraud_score": pa.array(scores),
            "decision": pa.array(names, pa.string()),
            "model_version": pa.repeat(scorer.version, table.num_rows),
        }
        return pa.table({name: table[name] for name in _KEPT} | answers)


def load_scorer(config: ScoreConfig) -> Scorer:
    """The model of a folder, or of the registry (fetched to this machine first).

    Raises:
        ContractError: neither or both of model and registry are given.
        ArtifactError: the model is damaged or of another feature set.
        RegistryError: the registry holds no such version.
    """
    with model_directory("fraud", config.model, config.registry, config.version) as folder:
        return Scorer.load(read_artifact(folder, open_source(config.features).features))


def score_payments(config: ScoreConfig) -> str:
    """Score everything; returns the folder or URI of Parquet files."""
    version = load_scorer(config).version
    start_ray()
    await_core()
    output = open_storage(config.output)
    folder, name = split_address(output.address())
    above = open_storage(folder)
    draft = f"{name}.unfinished"
    above.delete(draft)
    try:
        _score_files(config, above, draft)
        above.move(draft, name)
    finally:
        above.delete(draft)
    note = {"model_version": version, "payments": open_dataset(output).count_rows()}
    output.write("_complete.json", json.dumps(note).encode())
    print(_closing_lines(output))
    return output.address()


def _score_files(config: ScoreConfig, storage: Storage, draft: str) -> None:
    """Read, score on actors, write."""
    source = open_source(config.features)
    rows = ray.data.read_parquet(
        source.storage.at(source.folder), filesystem=source.storage.filesystem
    ).select_columns([*_KEPT, *source.features.names])
    scored = rows.map_batches(
        BatchScorer,
        fn_constructor_args=(config,),
        batch_size=config.batch_size,
        batch_format="pyarrow",
        zero_copy_batch=True,
        compute=ActorPoolStrategy(min_size=1, max_size=config.actors),
    )
    write_private_rows(scored, storage, draft)


def _closing_lines(output: Storage) -> str:
    """Payments by decision, and where they are."""
    table = open_dataset(output).to_table(columns=["decision"])
    counts = dict(pair.values() for pair in table["decision"].value_counts().to_pylist())
    lines = [f"{name:10}{counts.get(name, 0):>12,}" for name in DECISIONS]
    return "\n".join([*lines, f"{'payments':10}{table.num_rows:>12,}", f"scores: {output.shown()}"])
