"""The whole base scored at one moment: chance, health and reasons of every customer."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa

from lib.churn.health import COMPONENTS, health_of
from lib.churn.model.churn_model import ChurnModel
from lib.churn.reasons import reasons_of
from lib.churn.snapshots import Snapshots
from lib.contract import TIME

KEYS = ("customer_id", "as_of", "chance", "score", "band", "flagged", "mrr", "segment", "reasons")


def scores_table(model: ChurnModel, rows: Snapshots) -> pa.Table:
    """One row per customer.

    Returns:
        `customer_id`, `as_of`, `chance` to leave within the target's window, health `score` and
        `band`, its five components (null where nothing is told), `flagged` (among the riskiest that
        the team can look after), `mrr` (currency units), `segment`, `reasons` (JSON, the strongest
        first), and every feature, so that an answer can be held against what it was made of.
    """
    chances = model.probabilities(rows.matrix)
    contributions = model.contributions(rows.matrix) if len(rows) else rows.matrix
    healths = [
        health_of(model.reference, rows.names, row, float(chance))
        for row, chance in zip(rows.matrix, chances, strict=True)
    ]
    reasons = [
        reasons_of(rows.names, row, adds, model.usual)
        for row, adds in zip(rows.matrix, contributions, strict=True)
    ]
    codes = np.nan_to_num(rows.column("segment_code")).astype(int).tolist()
    segments = model.base.segments
    columns = {
        "customer_id": pa.array(rows.customers.tolist(), pa.string()),
        "as_of": pa.array(rows.at_us).cast(TIME),
        "chance": pa.array(chances),
        "score": pa.array([one.score for one in healths], pa.float64()),
        "band": pa.array([one.band for one in healths], pa.string()),
        **{
            name: pa.array([one.components[name] for one in healths], pa.float64())
            for name in COMPONENTS
        },
        "flagged": pa.array(chances >= model.threshold),
        "mrr": _nullable(rows.column("mrr")),
        "segment": pa.array([segments[c - 1] if c else None for c in codes], pa.string()),
        "reasons": pa.array(
            [json.dumps([vars(one) for one in few]) for few in reasons], pa.string()
        ),
    }
    features = {
        f"feature:{name}": _nullable(rows.matrix[:, place]) for place, name in enumerate(rows.names)
    }
    return pa.table(columns | features)


def features_in(
    table: pa.Table, names: tuple[str, ...]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The features (rows, features) that a table of scores carries, NaN where missing."""
    columns = [table[f"feature:{name}"].fill_null(float("nan")).to_numpy() for name in names]
    return np.column_stack(columns)


def _nullable(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))
