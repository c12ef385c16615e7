"""The tables of every system, but for those of the review queue (`lib.records.review.tables`)."""

from sqlalchemy import Column, Integer, UniqueConstraint, and_

from lib.records.tables import (
    METADATA,
    booleans,
    documents,
    integers,
    numbers,
    row_number,
    small_integers,
    table,
    texts,
)

__all__ = ["METADATA"]

DECISIONS = table(
    "decisions",
    *texts("system", "subject_id", "decision", "method", "request_id"),
    *integers("event_time", "received_at", "decided_at"),
    *numbers("score", nullable=True),
    *numbers("latency_ms"),
    *texts("rule_id", "model_version", "rules_version", "feature_set_digest", nullable=True),
    *documents("entities", "reasons", "rule_hits", "shadow_hits", "features", "answer", "request"),
    key=("system", "subject_id", "received_at"),
    indexes={"by_event_time": ("system", "event_time")},
    postgresql_partition_by="RANGE (received_at)",
)
"""One row per subject (a payment, a machine's day, a post): the first decision wins.

In PostgreSQL a partition holds the decisions that were received on one UTC day. SQLite has one
table, whose key leaves out `received_at`.
"""

DECISION_IDS = table(
    "decision_ids",
    *texts("system", "subject_id"),
    *texts("entity_id", nullable=True),
    *integers("received_at"),
    key=("system", "subject_id"),
    indexes={"by_entity": ("system", "entity_id"), "by_time": ("received_at",)},
)
"""Which subjects were decided about, whom that concerned, and on which day it lies.

No unique index spans partitions, so this key holds that the first decision of an id wins; it
outlives the decision's move to the archive.
"""

SAME_DECISION = and_(
    *(DECISIONS.c[name] == DECISION_IDS.c[name] for name in ("system", "subject_id", "received_at"))
)
"""Joins a decision with its id, which knows its day: one partition is looked into, not all."""

DECISION_ARCHIVES = table(
    "decision_archives",
    *texts("id", "system", "date", "address", "path", "digest"),
    *integers("rows", "since", "until", "archived_at"),
    indexes={"by_date": ("date",)},
)
"""Parquet files of one system's decisions: `since` and `until` (exclusive) bound event times."""

ERASURES = table(
    "erasures",
    *texts("id", "system", "kind", "entity_hash", "by"),
    *integers("began_at"),
    *integers("ended_at", nullable=True),
    *documents("counts"),
)
"""That something was erased, when and by whom, without saying about whom: a keyed hash."""

FACTS = table(
    "facts",
    row_number("id"),
    *texts("system", "subject_id", "kind", "source"),
    *booleans("value"),
    *integers("observed_at", "received_at"),
    UniqueConstraint(
        "system", "subject_id", "kind", "observed_at", "value", "source", name="facts_once"
    ),
)
"""What became known later, with its history: a fact is added, never changed."""

RESCORES = table(
    "rescores",
    *texts("system", "subject_id"),
    *integers("queued_at"),
    *small_integers("attempts"),
    *texts("claimed_by", "fault", nullable=True),
    *integers("claimed_until", "rescored_at", "parked_at", nullable=True),
    *documents("answer", nullable=True),
    Column("failures", Integer, nullable=False, server_default="0"),
    key=("system", "subject_id"),
    indexes={"by_state": ("system", "rescored_at", "queued_at")},
)
"""Decisions of a fallback: waiting to be scored again, or with what the model said later.

A decision that failed waits longer each time; after some failures it is parked, and claimed no
more.
"""

SCHEDULES = table(
    "schedules",
    *texts("id"),
    *integers("week_start", "created_at"),
    *texts("model_version", nullable=True),
    *documents("request", "plan"),
)
"""A week as it was requested and planned."""

WORK_ORDERS = table(
    "work_orders",
    *texts("id", "schedule_id", "machine_id", "plant", "line", "skill"),
    *texts("component", nullable=True),
    *integers("starts_at", "ends_at", "created_at"),
    *integers("closed_at", nullable=True),
    *documents("expected"),
    *documents("outcome", nullable=True),
    indexes={"by_machine": ("machine_id", "starts_at"), "by_schedule": ("schedule_id",)},
)
"""A service that a schedule planned, and its outcome."""

CUSTOMER_HEALTH = table(
    "customer_health",
    *texts("customer_id", "band"),
    *integers("at", "created_at"),
    *numbers("chance", "score"),
    *documents("components", "reasons"),
    *texts("model_version", nullable=True),
    key=("customer_id", "at"),
)
"""A customer's health at a moment, with its components: its history."""

HEALTH_OVERRIDES = table(
    "health_overrides",
    *texts("id", "customer_id", "author", "reason", "key_id"),
    *numbers("score", nullable=True),
    *integers("created_at", "expires_at"),
    indexes={"by_customer": ("customer_id", "created_at")},
)
"""A person's score in place of the computed one, until when; no score withdraws the one before."""

INTERVENTION_PLANS = table(
    "intervention_plans",
    *texts("id"),
    *integers("planned_at", "created_at"),
    *documents("request", "summary"),
)
"""A day's plan as it was requested and made."""

INTERVENTIONS = table(
    "interventions",
    *texts("id", "plan_id", "customer_id", "playbook"),
    *integers("planned_at"),
    *booleans("held_out"),
    *numbers("propensity", "chance", "expected_fall", "value", "cost", "hours"),
    indexes={
        "by_customer": ("customer_id", "planned_at"),
        "by_plan": ("plan_id",),
        "by_time": ("planned_at",),
    },
)
"""Customers who were chosen for a playbook, including the holdout, so that effects show."""

INTERVENTION_OUTCOMES = table(
    "intervention_outcomes",
    *texts("intervention_id", "kind"),
    *booleans("value"),
    *integers("observed_at", "received_at"),
    *texts("note", nullable=True),
    key=("intervention_id", "kind"),
)
"""An intervention's outcomes: whether it took place, whether the customer left."""
