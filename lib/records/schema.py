"""The tables of every system. All times are microseconds since 1970 UTC, as 64-bit integers."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()

_JSON = JSON(none_as_null=True)
_ROW_ID = BigInteger().with_variant(Integer(), "sqlite")

DECISIONS = Table(
    "decisions",
    METADATA,
    Column("system", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("entities", _JSON, nullable=False),
    Column("event_time", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    Column("decision", Text, nullable=False),
    Column("score", Double),
    Column("method", Text, nullable=False),
    Column("rule_id", Text),
    Column("reasons", _JSON, nullable=False),
    Column("rule_hits", _JSON, nullable=False),
    Column("shadow_hits", _JSON, nullable=False),
    Column("model_version", Text),
    Column("rules_version", Text),
    Column("feature_set_digest", Text),
    Column("features", _JSON, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("latency_ms", Double, nullable=False),
    Column("answer", _JSON, nullable=False),
    Column("request", _JSON, nullable=False),
    PrimaryKeyConstraint("system", "subject_id", name="decisions_key"),
    Index("decisions_by_event_time", "system", "event_time"),
)
"""One row per subject (a payment, a machine's day, a post): the first decision wins."""

FACTS = Table(
    "facts",
    METADATA,
    Column("id", _ROW_ID, nullable=False),
    Column("system", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("value", Boolean, nullable=False),
    Column("observed_at", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("id", name="facts_key"),
    UniqueConstraint(
        "system", "subject_id", "kind", "observed_at", "value", "source", name="facts_once"
    ),
)
"""What became known later, with its history: a fact is added, never changed."""

RESCORES = Table(
    "rescores",
    METADATA,
    Column("system", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("queued_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("claimed_by", Text),
    Column("claimed_until", BigInteger),
    Column("rescored_at", BigInteger),
    Column("answer", _JSON),
    PrimaryKeyConstraint("system", "subject_id", name="rescores_key"),
    Index("rescores_by_state", "system", "rescored_at", "queued_at"),
)
"""Decisions of a fallback: waiting to be scored again, or with what the model said later."""

SCHEDULES = Table(
    "schedules",
    METADATA,
    Column("id", Text, nullable=False),
    Column("week_start", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("model_version", Text),
    Column("request", _JSON, nullable=False),
    Column("plan", _JSON, nullable=False),
    PrimaryKeyConstraint("id", name="schedules_key"),
)
"""A week as it was asked for and planned."""

WORK_ORDERS = Table(
    "work_orders",
    METADATA,
    Column("id", Text, nullable=False),
    Column("schedule_id", Text, nullable=False),
    Column("machine_id", Text, nullable=False),
    Column("component", Text),
    Column("plant", Text, nullable=False),
    Column("line", Text, nullable=False),
    Column("skill", Text, nullable=False),
    Column("starts_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("expected", _JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Column("outcome", _JSON),
    PrimaryKeyConstraint("id", name="work_orders_key"),
    Index("work_orders_by_machine", "machine_id", "starts_at"),
    Index("work_orders_by_schedule", "schedule_id"),
)
"""A service that a schedule planned, and what became of it."""
