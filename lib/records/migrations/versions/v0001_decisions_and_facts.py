"""Create the tables of decisions, facts and re-scored fallbacks."""

import sqlalchemy as sa

from lib.records.migrations.statements import create_table, drop_tables
from lib.records.tables import (
    booleans,
    documents,
    integers,
    numbers,
    row_number,
    small_integers,
    texts,
)

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the first three tables."""
    create_table(
        "decisions",
        *texts("system", "subject_id"),
        *documents("entities"),
        *integers("event_time", "received_at", "decided_at"),
        *texts("decision"),
        *numbers("score", nullable=True),
        *texts("method"),
        *texts("rule_id", nullable=True),
        *documents("reasons", "rule_hits", "shadow_hits"),
        *texts("model_version", "rules_version", "feature_set_digest", nullable=True),
        *documents("features"),
        *texts("request_id"),
        *numbers("latency_ms"),
        *documents("answer", "request"),
        key=("system", "subject_id"),
        indexes={"by_event_time": ("system", "event_time")},
    )
    create_table(
        "facts",
        row_number("id"),
        *texts("system", "subject_id", "kind"),
        *booleans("value"),
        *integers("observed_at"),
        *texts("source"),
        *integers("received_at"),
        sa.UniqueConstraint(
            "system", "subject_id", "kind", "observed_at", "value", "source", name="facts_once"
        ),
    )
    create_table(
        "rescores",
        *texts("system", "subject_id"),
        *integers("queued_at"),
        *small_integers("attempts"),
        *texts("claimed_by", nullable=True),
        *integers("claimed_until", "rescored_at", nullable=True),
        *documents("answer", nullable=True),
        key=("system", "subject_id"),
        indexes={"by_state": ("system", "rescored_at", "queued_at")},
    )


def downgrade() -> None:
    """Drop them."""
    drop_tables("decisions", "facts", "rescores")
