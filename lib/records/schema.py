"""The tables of every system, but for those of the review queue (`lib.records.review.tables`)."""

from sqlalchemy import Column, Integer, UniqueConstraint, and_, or_

from lib.records import columns
from lib.records.tables import METADATA, table

__all__ = ["METADATA"]

DECISIONS = table(
    "decisions",
    *columns.texts("system", "subject_id", "decision", "method", "request_id"),
    *columns.integers("event_time", "received_at", "decided_at"),
    *columns.numbers("score", nullable=True),
    *columns.numbers("latency_ms"),
    *columns.texts(
        "rule_id", "model_version", "rules_version", "feature_set_digest", nullable=True
    ),
    *columns.documents(
        "entities", "reasons", "rule_hits", "shadow_hits", "features", "answer", "request"
    ),
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
    *columns.texts("system", "subject_id"),
    *columns.texts("entity_id", nullable=True),
    *columns.integers("received_at"),
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
    *columns.texts("id", "system", "date", "address", "path", "digest"),
    *columns.integers("rows", "since", "until", "archived_at"),
    indexes={"by_date": ("date",)},
)
"""Parquet files of one system's decisions: `since` and `until` (exclusive) bound event times."""

ERASURES = table(
    "erasures",
    *columns.texts("id", "system", "kind", "entity_hash", "by"),
    *columns.integers("began_at"),
    *columns.integers("ended_at", nullable=True),
    *columns.documents("counts"),
)
"""That something was erased, when and by whom, without saying about whom: a keyed hash."""

FACTS = table(
    "facts",
    columns.row_number("id"),
    *columns.texts("system", "subject_id", "kind", "source"),
    *columns.booleans("value"),
    *columns.integers("observed_at", "received_at"),
    UniqueConstraint(
        "system", "subject_id", "kind", "observed_at", "value", "source", name="facts_once"
    ),
)
"""What became known later, with its history: a fact is added, never changed."""

RESCORES = table(
    "rescores",
    *columns.texts("system", "subject_id"),
    *columns.integers("queued_at"),
    *columns.small_integers("attempts"),
    *columns.texts("claimed_by", "fault", nullable=True),
    *columns.integers("claimed_until", "rescored_at", "parked_at", nullable=True),
    *columns.documents("answer", nullable=True),
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
    *columns.texts("id"),
    *columns.integers("week_start", "created_at"),
    *columns.texts("model_version", nullable=True),
    *columns.documents("request", "plan"),
    *columns.documents("basis", nullable=True),
)
"""A week as it was requested and planned; `basis` has the curves that its costs follow from."""

WORK_ORDERS = table(
    "work_orders",
    *columns.texts("id", "schedule_id", "machine_id", "plant", "line", "skill"),
    *columns.texts("component", nullable=True),
    *columns.integers("starts_at", "ends_at", "created_at"),
    *columns.integers("closed_at", nullable=True),
    *columns.documents("expected"),
    *columns.documents("outcome", nullable=True),
    indexes={
        "by_machine": ("machine_id", "starts_at"),
        "by_schedule": ("schedule_id",),
        "by_closing": ("closed_at",),
    },
)
"""A service that a schedule planned, and its outcome."""

SCHEDULE_CHANGES = table(
    "schedule_changes",
    *columns.texts("schedule_id", "id", "action", "by", "key_id"),
    *columns.texts("machine_id", "component", nullable=True),
    *columns.integers("revision", "at"),
    *columns.integers("before", "after", nullable=True),
    *columns.documents("detail"),
    key=("schedule_id", "id"),
    indexes={"by_time": ("at",)},
)
"""The audit of schedules: a service moved, dropped or locked from `before` to `after`, a week that
was solved again or accepted, a work order that was closed; a row is added, never changed."""

CUSTOMER_HEALTH = table(
    "customer_health",
    *columns.texts("customer_id", "band"),
    *columns.integers("at", "created_at"),
    *columns.numbers("chance", "score"),
    *columns.documents("components", "reasons"),
    *columns.texts("model_version", "segment", nullable=True),
    *columns.numbers("mrr", nullable=True),
    key=("customer_id", "at"),
    indexes={"by_time": ("at", "segment", "score")},
)
"""A customer's health at a moment, with its components: its history."""

CUSTOMER_STANDINGS = table(
    "customer_standings",
    *columns.texts("customer_id", "band"),
    *columns.texts("segment", nullable=True),
    *columns.integers("at"),
    *columns.integers("noticed_at", nullable=True),
    *columns.numbers("probability", "score", "revenue_at_risk"),
    *columns.numbers("mrr", nullable=True),
    key=("customer_id",),
    indexes={
        "by_risk": ("revenue_at_risk", "customer_id"),
        "by_score": ("score", "customer_id"),
        "by_segment": ("segment", "band", "noticed_at", "score", "revenue_at_risk"),
    },
)
"""Each customer's newest health, to be listed by it; `noticed_at` where it gave notice since."""

CUSTOMER_STEPS = table(
    "customer_steps",
    columns.row_number("id"),
    *columns.integers("at"),
    *columns.texts("author", "key_id", "action", "subject_id"),
    *columns.texts("customer_id", nullable=True),
    *columns.documents("detail"),
    indexes={
        "by_customer": ("customer_id", "at"),
        "by_time": ("at",),
        "by_action": ("action", "at"),
    },
)
"""What people did about customers, and that they stopped all interventions; only added to."""

HEALTH_OVERRIDES = table(
    "health_overrides",
    *columns.texts("id", "customer_id", "author", "reason", "key_id"),
    *columns.numbers("score", nullable=True),
    *columns.integers("created_at", "expires_at"),
    indexes={"by_customer": ("customer_id", "created_at"), "by_expiry": ("expires_at",)},
)
"""A person's score in place of the computed one, until when; no score withdraws the one before."""

LATER_OVERRIDES = HEALTH_OVERRIDES.alias("later_overrides")
IS_LATER_OVERRIDE = and_(
    LATER_OVERRIDES.c.customer_id == HEALTH_OVERRIDES.c.customer_id,
    or_(
        LATER_OVERRIDES.c.created_at > HEALTH_OVERRIDES.c.created_at,
        and_(
            LATER_OVERRIDES.c.created_at == HEALTH_OVERRIDES.c.created_at,
            LATER_OVERRIDES.c.id < HEALTH_OVERRIDES.c.id,
        ),
    ),
)
"""Joins an override with those that replaced it, for good: also once they expire themselves."""

INTERVENTION_PLANS = table(
    "intervention_plans",
    *columns.texts("id"),
    *columns.integers("planned_at", "created_at"),
    *columns.documents("request", "summary"),
    indexes={"by_time": ("created_at",)},
)
"""A day's plan as it was requested and made."""

INTERVENTIONS = table(
    "interventions",
    *columns.texts("id", "plan_id", "customer_id", "playbook"),
    *columns.integers("planned_at"),
    *columns.booleans("held_out"),
    *columns.numbers("propensity", "chance", "expected_fall", "value", "cost", "hours"),
    indexes={
        "by_customer": ("customer_id", "planned_at"),
        "by_plan": ("plan_id",),
        "by_time": ("planned_at",),
    },
)
"""Customers who were chosen for a playbook, including the holdout, so that effects show."""

INTERVENTION_OUTCOMES = table(
    "intervention_outcomes",
    *columns.texts("intervention_id", "kind"),
    *columns.booleans("value"),
    *columns.integers("observed_at", "received_at"),
    *columns.texts("note", "author", "key_id", nullable=True),
    key=("intervention_id", "kind"),
)
"""An intervention's outcomes: whether it took place, whether the customer left."""

EXPERIMENTS = table(
    "experiments",
    *columns.texts("id", "system", "key"),
    *columns.documents("declaration"),
    *columns.numbers("share"),
    *columns.integers("started_at"),
    *columns.integers("ended_at", nullable=True),
    *columns.texts("ended_by", "reason", nullable=True),
    indexes={"by_system": ("system", "ended_at")},
)
"""A comparison of two models on requests: its declaration, its secret key, its present share."""

EXPERIMENT_CHANGES = table(
    "experiment_changes",
    columns.row_number("id"),
    *columns.texts("experiment_id", "action", "by"),
    *columns.integers("at"),
    *columns.documents("detail"),
    indexes={"by_experiment": ("experiment_id", "id")},
)
"""The audit of experiments: started, share raised, judged, ended; a row is added, never changed."""

EXPERIMENT_DECISIONS = table(
    "experiment_decisions",
    *columns.texts("system", "subject_id", "experiment_id", "entity_id", "arm"),
    *columns.integers("event_time", "decided_at"),
    *columns.texts("champion_version", "champion_decision", nullable=True),
    *columns.numbers("champion_score", nullable=True),
    *columns.texts("challenger_version", "challenger_decision", "fault", nullable=True),
    *columns.numbers("challenger_score", "challenger_ms", nullable=True),
    key=("system", "subject_id", "experiment_id"),
    indexes={"by_time": ("experiment_id", "decided_at")},
)
"""What both models said of a subject; `arm` decided, `fault` is why the challenger has no score."""

MONITORED_WINDOWS = table(
    "monitored_windows",
    *columns.texts("system", "model_version"),
    *columns.integers("since", "until", "created_at"),
    *columns.documents("summary"),
    key=("system", "model_version", "since", "until"),
)
"""What monitoring measured of the decisions of a window of event times."""

INCIDENTS = table(
    "incidents",
    *columns.texts("id", "system", "kind", "measure"),
    *columns.integers("since", "opened_at", "seen_at"),
    *columns.integers("closed_at", nullable=True),
    *columns.documents("detail"),
    indexes={"by_system": ("system", "closed_at")},
)
"""A change that somebody should look at: since when, of what kind, and in which measure."""

RETRAININGS = table(
    "retrainings",
    *columns.texts("id", "system"),
    *columns.texts("decision", "version", "champion_version", nullable=True),
    *columns.integers("began_at"),
    *columns.integers("ended_at", nullable=True),
    *columns.documents("detail"),
    indexes={"by_system": ("system", "began_at")},
)
"""A training on what became known since, and whether its model was published, with the reason."""

CONSOLE_SESSIONS = table(
    "console_sessions",
    *columns.texts("id", "key_id"),
    *columns.texts("reviewer", "end_reason", nullable=True),
    *columns.integers("created_at", "seen_at"),
    *columns.integers("ended_at", nullable=True),
    indexes={"by_time": ("created_at",)},
)
"""Who is signed in to the console, with which key; `id` is the SHA-256 of the browser's secret."""

BUSINESS_STATEMENTS = table(
    "business_statements",
    *columns.texts("id", "system"),
    *columns.integers("since", "until", "as_of", "recorded_at"),
    *columns.documents("wording", "statement"),
    *columns.documents("before", nullable=True),
    indexes={"by_system": ("system", "until", "as_of")},
)
"""What a system came to in a period, with the period before it; `id` is of its content."""

RULE_VERSIONS = table(
    "rule_versions",
    *columns.texts("system"),
    *columns.integers("number"),
    *columns.texts("text", "sha256", "revision", "by", "reason"),
    *columns.integers("created_at"),
    key=("system", "number"),
)
"""A rule set as it was written, added and never changed. `revision` stands in decisions."""

RULE_CHANGES = table(
    "rule_changes",
    columns.row_number("id"),
    *columns.texts("system", "action", "by", "reason"),
    *columns.integers("at"),
    *columns.integers("before", "after", nullable=True),
    indexes={"by_system": ("system", "id")},
)
"""Which version became active, and why; the last row says which is. NULL is the service's file."""

RULE_DECLARATIONS = table(
    "rule_declarations",
    *columns.texts("system", "origin", "text", "revision"),
    *columns.documents("fields", "actions"),
    *columns.booleans("has_pass_key"),
    *columns.integers("declared_at"),
    key=("system",),
)
"""What rules of a system may read and decide, and the rules of its file, as a replica last said."""
