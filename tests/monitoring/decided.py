"""Decisions of each system as its own simulator and model make them, on days drawn alike."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from lib.feature import compute
from lib.fraud.features import FRAUD
from lib.fraud.model.inputs import feature_matrix
from lib.fraud.simulation import SimulationConfig, simulate
from lib.moderation.author import AUTHORS, wording_key
from lib.monitoring import REFERENCE_FILE, ReferenceSketch, fit_bins
from lib.registry import Registry, TrainingRecord, write_artifact
from tests.churn import small_model as churn_model
from tests.maintenance import small_fleet
from tests.moderation import small_model as moderation_model
from tests.serve import small_fraud_model

DAY = 86_400_000_000
START = 1_793_491_200_000_000
"""2026-11-01, UTC."""
REFERENCE_DAYS = 42
TRAINED_AT = START - 1


@dataclass(frozen=True)
class Pool:
    """Rows of a system that days are drawn from.

    Attributes:
        system: its name.
        entity: name of the entity in decisions.
        names: of features.
        matrix: (n, features).
        score: (n,) of the model.
        entities: (n,) ids.
        requests: (n,) as JSON.
        decisions: from the mildest on, with the score from which each is decided.
        drifting: the feature that a drift is planted in.
    """

    system: str
    entity: str
    names: tuple[str, ...]
    matrix: npt.NDArray[np.float64]
    score: npt.NDArray[np.float64]
    entities: list[str]
    requests: list[str]
    decisions: dict[str, float]
    drifting: str


@cache
def fraud() -> Pool:
    ensemble = small_fraud_model.small()
    payments = simulate(SimulationConfig(users=120, days=30), 7).transactions
    matrix = feature_matrix(compute(FRAUD, payments), FRAUD.names)
    columns = [payments[name].to_pylist() for name in ("amount_minor", "merchant_id")]
    requests = [{"amount_minor": a, "merchant_id": m} for a, m in zip(*columns, strict=True)]
    return Pool(
        "fraud", "user_id", FRAUD.names, matrix.astype(np.float64), ensemble.score(matrix),
        payments["user_id"].to_pylist(), list(map(json.dumps, requests)),
        {"APPROVE": 0.0, "REVIEW": 0.05, "DECLINE": 0.3}, "amount",
    )  # fmt: skip


def maintenance(fleet: Path) -> Pool:
    trained = small_fleet.trained(fleet)
    rows = np.asarray(trained.rows.rows, dtype=np.float64)
    survival = np.ravel(trained.model.curves(rows).at(168.0))
    names = trained.features.names
    return Pool(
        "maintenance", "machine_id", names, rows, 1.0 - survival,
        [str(machine) for machine in trained.rows.machines], ["{}"] * len(rows),
        {"MONITOR": 0.0, "INSPECT": 0.1, "SERVICE": 0.3}, names[0],
    )  # fmt: skip


@cache
def churn() -> Pool:
    _, rows = churn_model.rows()
    return Pool(
        "churn", "customer_id", rows.names, np.asarray(rows.matrix, dtype=np.float64),
        churn_model.trained().probabilities(rows.matrix), [str(c) for c in rows.customers],
        ["{}"] * len(rows), {"MONITOR": 0.0, "CONTACT": 0.1, "ACT_NOW": 0.4}, "mrr",
    )  # fmt: skip


@cache
def moderation() -> Pool:
    posts, probabilities, _ = moderation_model.unseen_posts()
    generator = np.random.default_rng(3)
    count = len(posts)
    authors = [f"a{number}" for number in generator.integers(0, 80, count)]
    times = START + np.sort(generator.integers(0, 10 * DAY, count))
    texts = [f"post number {number} of many" for number in generator.integers(0, 300, count)]
    events = pa.table(
        {
            "post_id": [f"p{number}" for number in range(count)],
            "author_id": authors,
            "wording_key": [wording_key(text) for text in texts],
            "event_time": pa.array(times, pa.timestamp("us", "UTC")),
        }
    )
    table = compute(AUTHORS, events)
    matrix = np.column_stack([table[name].to_numpy() for name in AUTHORS.names])
    requests = [json.dumps({"language": "en" if n % 3 else "de"}) for n in range(count)]
    return Pool(
        "moderation", "author_id", AUTHORS.names, matrix.astype(np.float64),
        probabilities.max(axis=1), authors, requests,
        {"ALLOW": 0.0, "REVIEW": 0.4, "REMOVE": 0.8}, "minutes_since_last_post",
    )  # fmt: skip


def days(pool: Pool, first: int, last: int, version: str, seed: int, rows: int = 250) -> pa.Table:
    """Decisions of days `first` to before `last`, counted from `START`, drawn from the pool."""
    generator = np.random.default_rng(seed)
    parts = []
    for day in range(first, last):
        count = int(rows * generator.uniform(0.93, 1.07))
        chosen = generator.integers(0, len(pool.score), count)
        times = START + day * DAY + np.sort(generator.integers(0, DAY, count))
        parts.append(_table(pool, chosen, times, version, day))
    return pa.concat_tables(parts)


def _table(
    pool: Pool, chosen: npt.NDArray[np.int64], times: npt.NDArray[np.int64], version: str, day: int
) -> pa.Table:
    stamps = pa.array(times, pa.timestamp("us", "UTC"))
    names, cuts = list(pool.decisions), np.array(list(pool.decisions.values()))
    actions = np.searchsorted(cuts, pool.score[chosen], side="right") - 1
    columns: dict[str, Any] = {
        "subject_id": [f"{pool.system}-{day}-{number}" for number in range(len(chosen))],
        "entity_id": [pool.entities[at] for at in chosen],
        "event_time": stamps,
        "received_at": stamps,
        "decided_at": stamps,
        "decision": [names[at] for at in actions],
        "score": pool.score[chosen],
        "method": ["model"] * len(chosen),
        "model_version": [version] * len(chosen),
        "request": [pool.requests[at] for at in chosen],
        "answer": ["{}"] * len(chosen),
    }
    for index, name in enumerate(pool.names):
        columns[f"feature_{name}"] = pool.matrix[chosen, index]
    return pa.table(columns)


def publish(pool: Pool, registry: Path, folder: Path, *, with_reference: bool = True) -> str:
    """Publish a model that remembers six weeks of the pool; returns its version."""
    trained = days(pool, -REFERENCE_DAYS, 0, "trained", seed=1)
    measures = [(name, f"feature_{name}") for name in pool.names]
    sketch = ReferenceSketch(fit_bins(trained, [*measures, ("score", "score")]))
    sketch.add(trained)
    reference = sketch.finish(pool.system, pool.entity, volume_is_served=True)
    files = {REFERENCE_FILE: reference.to_json()} if with_reference else {"weights.json": b"{}"}
    write_artifact(
        folder / "artifact",
        TrainingRecord(TRAINED_AT, "simulated", "test", {}, {}),
        system=pool.system,
        feature_set_digest="ab" * 32,
        feature_names=pool.names,
        files=files,
        thresholds={},
    )
    models = Registry(registry)
    version = models.publish(folder / "artifact", pool.system)
    models.set_alias(pool.system, "champion", version, at=TRAINED_AT, by="test")
    return version


def planted(table: pa.Table, pool: Pool, day: int, factor: float = 100.0) -> pa.Table:
    """The same decisions with a feature in another unit from a day on."""
    name = f"feature_{pool.drifting}"
    later = np.asarray(table["event_time"].cast(pa.int64())) >= START + day * DAY
    values = table[name].to_numpy() * np.where(later, factor, 1.0)
    return table.set_column(table.schema.get_field_index(name), name, pa.array(values))


def write(table: pa.Table, path: Path) -> str:
    """A Parquet export in several row groups."""
    pq.write_table(table, path, row_group_size=700)
    return str(path)
