"""Decisions and labels as Arrow tables, as monitoring, experiments and reports read them.

A Parquet export of decisions has the same columns, so whoever keeps decisions elsewhere brings them
into this form.
"""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from lib.records.json_codec import write_json
from lib.records.models import Decision, Fact

_TIME = pa.timestamp("us", tz="UTC")
FEATURE_PREFIX = "feature_"
"""Stands before the name of a feature in the name of its column (float64, NaN is missing)."""

DECISION_SCHEMA = pa.schema(
    [
        pa.field("subject_id", pa.string(), nullable=False),
        pa.field("entity_id", pa.string()),
        *(pa.field(f"{name}", _TIME, False) for name in ("event_time", "received_at")),
        pa.field("decided_at", _TIME, nullable=False),
        pa.field("decision", pa.string(), nullable=False),
        pa.field("score", pa.float64()),
        pa.field("method", pa.string(), nullable=False),
        pa.field("rule_id", pa.string()),
        *(pa.field(name, pa.list_(pa.string())) for name in ("rule_hits", "shadow_hits")),
        *(pa.field(name, pa.string()) for name in ("model_version", "rules_version")),
        pa.field("latency_ms", pa.float64()),
        *(pa.field(name, pa.string()) for name in ("request", "answer")),
    ]
)
"""Columns of every system's decisions; `request` and `answer` are JSON, features follow."""

LABEL_SCHEMA = pa.schema(
    [
        pa.field("subject_id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("value", pa.bool_(), nullable=False),
        *(pa.field(name, _TIME, nullable=False) for name in ("observed_at", "received_at")),
        pa.field("source", pa.string(), nullable=False),
    ]
)
"""What became known of subjects; of two of a kind about one the later `observed_at` counts."""

_JSON = ("request", "answer")


def decision_table(decisions: Iterable[Decision], entity: str) -> pa.Table:
    """Decisions as rows of `DECISION_SCHEMA`, with a column of each feature that any of them has.

    Args:
        decisions: of one system.
        entity: name of the entity that `entity_id` holds, e.g. `user_id`.

    Returns:
        One row per decision, in their order; feature columns are sorted by name.
    """
    rows = list(decisions)
    columns = [
        pa.array([_value(decision, field.name, entity) for decision in rows], field.type)
        for field in DECISION_SCHEMA
    ]
    table = pa.Table.from_arrays(columns, schema=DECISION_SCHEMA)
    for name in sorted({name for decision in rows for name in decision.features}):
        values = [float(decision.features.get(name, float("nan"))) for decision in rows]
        table = table.append_column(f"{FEATURE_PREFIX}{name}", pa.array(values, pa.float64()))
    return table


def label_table(facts: Iterable[Fact]) -> pa.Table:
    """Facts as rows of `LABEL_SCHEMA`, in their order."""
    rows = list(facts)
    columns = [
        pa.array([getattr(fact, field.name) for fact in rows], field.type) for field in LABEL_SCHEMA
    ]
    return pa.Table.from_arrays(columns, schema=LABEL_SCHEMA)


def _value(decision: Decision, name: str, entity: str) -> Any:
    if name == "entity_id":
        return decision.entities.get(entity)
    value = getattr(decision, name)
    if name in _JSON:
        return write_json(value).decode()
    return value
