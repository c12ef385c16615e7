"""Create the tables of decisions, facts and re-scored fallbacks."""

import sqlalchemy as sa

from lib.records import columns
from lib.records.migrations.statements import create_table, drop_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the first three tables."""
    create_table(
        "decisions",
        *columns.texts("system", "subject_id"),
        *columns.documents("entities"),
        *columns.integers("event_time", "received_at", "decided_at"),
        *columns.texts("decision"),
        *columns.numbers("score", nullable=True),
        *columns.texts("method"),
        *columns.texts("rule_id", nullable=True),
        *columns.documents("reasons", "rule_hits", "shadow_hits"),
        *columns.texts("model_version", "rules_version", "feature_set_digest", nullable=True),
        *columns.documents("features"),
        *columns.texts("request_id"),
        *columns.numbers("latency_ms"),
        *columns.documents("answer", "request"),
        key=("system", "subject_id"),
        indexes={"by_event_time": ("system", "event_time")},
    )
    create_table(
        "facts",
        columns.row_number("id"),
        *columns.texts("system", "subject_id", "kind"),
        *columns.booleans("value"),
        *columns.integers("observed_at"),
        *columns.texts("source"),
        *columns.integers("received_at"),
        sa.UniqueConstraint(
            "system", "subject_id", "kind", "observed_at", "value", "source", name="facts_once"
        ),
    )
    create_table(
        "rescores",
        *columns.texts("system", "subject_id"),
        *columns.integers("queued_at"),
        *columns.small_integers("attempts"),
        *columns.texts("claimed_by", nullable=True),
        *columns.integers("claimed_until", "rescored_at", nullable=True),
        *columns.documents("answer", nullable=True),
        key=("system", "subject_id"),
        indexes={"by_state": ("system", "rescored_at", "queued_at")},
    )


def downgrade() -> None:
    """Drop them."""
    drop_tables("decisions", "facts", "rescores")
