"""Scores of rows: probability, reasons, and what the rows lack."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lib.static_table.contracts import ROW_ID
from lib.static_table.model import TableModel, missing_shares

SCHEMA = pa.schema(
    [
        (ROW_ID, pa.string()),
        ("score", pa.float64()),
        ("probability", pa.float64()),
        ("reasons", pa.string()),
        ("model_version", pa.string()),
    ]
)
_MUCH_MORE = 0.5


@dataclass(frozen=True)
class Scores:
    """Scored rows.

    Attributes:
        table: by `SCHEMA`: `score` are log-odds of the trees, `probability` is calibrated,
            `reasons` a JSON list of the three strongest contributions. It holds no decision.
        unknown: rows whose category the model does not know, by attribute.
        lacking: attributes that are missing far more often than in the training, in words.
    """

    table: pa.Table
    unknown: dict[str, int]
    lacking: tuple[str, ...]


def score_rows(model: TableModel, rows: pa.Table) -> Scores:
    """Scores of rows that passed their contract, in their order."""
    matrix = model.inputs.encode(rows)
    log_odds = model.trees.log_odds(matrix) if rows.num_rows else np.zeros(0)
    reasons = model.reasons(rows, matrix) if rows.num_rows else []
    columns = [
        rows[ROW_ID],
        pa.array(log_odds, pa.float64()),
        pa.array(model.calibrator.probabilities(log_odds), pa.float64()),
        pa.array([json.dumps([vars(reason) for reason in few]) for few in reasons], pa.string()),
        pa.array([model.version] * rows.num_rows, pa.string()),
    ]
    shares = missing_shares(matrix) if rows.num_rows else model.missing
    return Scores(
        pa.table(columns, schema=SCHEMA),
        model.inputs.unknown_counts(matrix),
        _lacking(model, shares),
    )


def _lacking(model: TableModel, shares: Sequence[float]) -> tuple[str, ...]:
    return tuple(
        f"{attribute.name} is missing in {share:.0%} of the rows, in {usual:.0%} of those that the "
        "model learnt from"
        for attribute, share, usual in zip(
            model.inputs.attributes, shares, model.missing, strict=True
        )
        if share > usual + _MUCH_MORE
    )
