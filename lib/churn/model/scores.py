"""The whole base scored at one moment: chance, health and reasons of every customer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lib.churn.health import COMPONENTS, health_of
from lib.churn.profiles import CustomerFeatures
from lib.churn.reasons import reasons_of
from lib.churn.snapshots import Snapshots
from lib.churn.target import NEVER, Floats
from lib.contract import TIME, ContractError
from lib.storage import open_storage, read_noted

if TYPE_CHECKING:
    from lib.churn.model.model import ChurnModel

NOTE = "scores.json"
PROBABILITIES = "score_probabilities"
"""Field of the note: which probability a health score is worth, see `HealthReference.chances`."""
CONTRIBUTIONS = "contributions"
KEYS = ("customer_id", "as_of", "chance", "score", "band", "flagged", "mrr", "segment", "reasons")


def scores_table(model: ChurnModel, rows: Snapshots) -> pa.Table:
    """One row per customer.

    Returns:
        `customer_id`, `as_of`, `chance` to leave within the target's window, health `score` and
        `band`, its five components (null where nothing is told), `flagged` (among the riskiest that
        the team can look after), `mrr` (currency units), `segment`, `reasons` (JSON, the strongest
        first), every feature, so that an answer can be held against what it was made of, and
        `contributions`, what each of these adds to the log-odds beside that of the usual customer,
        in their order.
    """
    probabilities = model.probabilities(rows.matrix) if len(rows) else np.zeros(0)
    contributions = model.contributions(rows.matrix) if len(rows) else rows.matrix
    healths = [
        health_of(model.reference, rows.names, row, float(probability))
        for row, probability in zip(rows.matrix, probabilities, strict=True)
    ]
    reasons = [
        reasons_of(rows.names, row, adds, model.usual, model.base)
        for row, adds in zip(rows.matrix, contributions, strict=True)
    ]
    codes = np.nan_to_num(rows.column("segment_code")).astype(int).tolist()
    segments = model.base.segments
    columns = {
        "customer_id": pa.array(rows.customers.tolist(), pa.string()),
        "as_of": pa.array(rows.at_us).cast(TIME),
        "chance": pa.array(probabilities),
        "score": pa.array([health.score for health in healths], pa.float64()),
        "band": pa.array([health.band for health in healths], pa.string()),
        **{
            name: pa.array([health.components[name] for health in healths], pa.float64())
            for name in COMPONENTS
        },
        "flagged": pa.array(probabilities >= model.threshold),
        "mrr": _nullable(rows.column("mrr")),
        "segment": pa.array([segments[c - 1] if c else None for c in codes], pa.string()),
        "reasons": pa.array(
            [json.dumps([vars(reason) for reason in few]) for few in reasons], pa.string()
        ),
    }
    features = {
        f"feature:{name}": _nullable(rows.matrix[:, column])
        for column, name in enumerate(rows.names)
    }
    width = len(rows.names)
    beyond = contributions - model.contributions(model.usual[None, :])
    flat = pa.array(np.ascontiguousarray(beyond, dtype=np.float64).reshape(-1))
    adds = {CONTRIBUTIONS: pa.FixedSizeListArray.from_arrays(flat, width)}
    return pa.table(columns | features | adds)


def score_customers(model: ChurnModel, sights: Sequence[CustomerFeatures]) -> pa.Table:
    """The same for customers as they are known online."""
    names = model.names
    rows = [[sight.values[name] for name in names] for sight in sights]
    return scores_table(
        model,
        Snapshots(
            customers=np.array([sight.customer_id for sight in sights], dtype=np.str_),
            at_us=np.array([sight.at_us for sight in sights], dtype=np.int64),
            matrix=np.array(rows, dtype=np.float64).reshape(len(sights), len(names)),
            names=names,
            labels=np.full(len(sights), np.nan),
            notice_us=np.full(len(sights), NEVER),
        ),
    )


def features_in(table: pa.Table, names: tuple[str, ...]) -> Floats:
    """The features (rows, features) that a table of scores carries, NaN where missing."""
    columns = [table[f"feature:{name}"].fill_null(float("nan")).to_numpy() for name in names]
    return np.column_stack(columns)


def contributions_in(table: pa.Table) -> Floats | None:
    """What each feature adds to the log-odds beside that of the usual customer (rows, features).

    None in tables without it.
    """
    if CONTRIBUTIONS not in table.column_names:
        return None
    column = table[CONTRIBUTIONS].combine_chunks()
    return np.asarray(column.flatten().to_numpy().reshape(len(column), column.type.list_size))


def _nullable(values: Floats) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))


def read_scores(folder: str) -> tuple[pa.Table, dict[str, Any]]:
    """The scores that jobs.churn.score wrote, by customer, and its note about them.

    Args:
        folder: or URI.

    Raises:
        ContractError: there are none.
    """
    noted = read_noted(open_storage(folder), NOTE)
    if noted is None:
        raise ContractError(f"{folder}: no {NOTE} is there: expected output of jobs.churn.score")
    return noted[0].to_table().sort_by("customer_id"), noted[1]
