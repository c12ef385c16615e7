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
    PrimaryKeyConstraint("system", "subject_id", "received_at", name="decisions_key"),
    Index("decisions_by_event_time", "system", "event_time"),
    postgresql_partition_by="RANGE (received_at)",
)
"""One row per subject (a payment, a machine's day, a post): the first decision wins.

In PostgreSQL a partition holds the decisions that were received on one UTC day. SQLite has one
table, whose key leaves out `received_at`.
"""

DECISION_IDS = Table(
    "decision_ids",
    METADATA,
    Column("system", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("entity_id", Text),
    Column("received_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("system", "subject_id", name="decision_ids_key"),
    Index("decision_ids_by_entity", "system", "entity_id"),
    Index("decision_ids_by_time", "received_at"),
)
"""Which subjects were decided about, whom that concerned, and on which day it lies.

No unique index spans partitions, so this key holds that the first decision of an id wins; it
outlives the decision's move to the archive.
"""

DECISION_ARCHIVES = Table(
    "decision_archives",
    METADATA,
    Column("id", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("date", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("archived_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("id", name="decision_archives_key"),
    Index("decision_archives_by_date", "date"),
)
"""Parquet files of one system's decisions: `since` and `until` (exclusive) bound event times."""

ERASURES = Table(
    "erasures",
    METADATA,
    Column("id", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("entity_hash", Text, nullable=False),
    Column("began_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("counts", _JSON, nullable=False),
    Column("by", Text, nullable=False),
    PrimaryKeyConstraint("id", name="erasures_key"),
)
"""That something was erased, when and by whom, without saying about whom: a keyed hash."""

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
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("parked_at", BigInteger),
    Column("fault", Text),
    PrimaryKeyConstraint("system", "subject_id", name="rescores_key"),
    Index("rescores_by_state", "system", "rescored_at", "queued_at"),
)
"""Decisions of a fallback: waiting to be scored again, or with what the model said later.

One that failed waits longer each time; after some failures it is parked, and claimed no more.
"""

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

CUSTOMER_HEALTH = Table(
    "customer_health",
    METADATA,
    Column("customer_id", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("chance", Double, nullable=False),
    Column("score", Double, nullable=False),
    Column("band", Text, nullable=False),
    Column("components", _JSON, nullable=False),
    Column("reasons", _JSON, nullable=False),
    Column("model_version", Text),
    PrimaryKeyConstraint("customer_id", "at", name="customer_health_key"),
)
"""A customer's health at a moment, with what it was made of: its history."""

HEALTH_OVERRIDES = Table(
    "health_overrides",
    METADATA,
    Column("id", Text, nullable=False),
    Column("customer_id", Text, nullable=False),
    Column("score", Double),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("id", name="health_overrides_key"),
    Index("health_overrides_by_customer", "customer_id", "created_at"),
)
"""What a person knows better than the score, until when; no score withdraws the one before."""

INTERVENTION_PLANS = Table(
    "intervention_plans",
    METADATA,
    Column("id", Text, nullable=False),
    Column("planned_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("request", _JSON, nullable=False),
    Column("summary", _JSON, nullable=False),
    PrimaryKeyConstraint("id", name="intervention_plans_key"),
)
"""A day's plan as it was asked for and made."""

INTERVENTIONS = Table(
    "interventions",
    METADATA,
    Column("id", Text, nullable=False),
    Column("plan_id", Text, nullable=False),
    Column("customer_id", Text, nullable=False),
    Column("playbook", Text, nullable=False),
    Column("planned_at", BigInteger, nullable=False),
    Column("held_out", Boolean, nullable=False),
    Column("propensity", Double, nullable=False),
    Column("chance", Double, nullable=False),
    Column("expected_fall", Double, nullable=False),
    Column("value", Double, nullable=False),
    Column("cost", Double, nullable=False),
    Column("hours", Double, nullable=False),
    PrimaryKeyConstraint("id", name="interventions_key"),
    Index("interventions_by_customer", "customer_id", "planned_at"),
    Index("interventions_by_plan", "plan_id"),
    Index("interventions_by_time", "planned_at"),
)
"""Who was chosen for what, those included who were then left alone, so that effects show."""

INTERVENTION_OUTCOMES = Table(
    "intervention_outcomes",
    METADATA,
    Column("intervention_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("value", Boolean, nullable=False),
    Column("observed_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("note", Text),
    PrimaryKeyConstraint("intervention_id", "kind", name="intervention_outcomes_key"),
)
"""What became of an intervention: whether it took place, whether the customer left."""
