"""Create the tables of decisions, facts and re-scored fallbacks."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the first three tables."""
    _create_decisions()
    _create_facts()
    _create_rescores()


def downgrade() -> None:
    """Drop them."""
    for table in ("rescores", "facts", "decisions"):
        op.drop_table(table)


def _create_decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("entities", sa.JSON(), nullable=False),
        sa.Column("event_time", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("score", sa.Double()),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("rule_id", sa.Text()),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("rule_hits", sa.JSON(), nullable=False),
        sa.Column("shadow_hits", sa.JSON(), nullable=False),
        sa.Column("model_version", sa.Text()),
        sa.Column("rules_version", sa.Text()),
        sa.Column("feature_set_digest", sa.Text()),
        sa.Column("features", sa.JSON(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("latency_ms", sa.Double(), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("system", "subject_id", name="decisions_key"),
    )
    op.create_index("decisions_by_event_time", "decisions", ["system", "event_time"])


def _create_facts() -> None:
    op.create_table(
        "facts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Boolean(), nullable=False),
        sa.Column("observed_at", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="facts_key"),
        sa.UniqueConstraint(
            "system", "subject_id", "kind", "observed_at", "value", "source", name="facts_once"
        ),
    )


def _create_rescores() -> None:
    op.create_table(
        "rescores",
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("queued_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_by", sa.Text()),
        sa.Column("claimed_until", sa.BigInteger()),
        sa.Column("rescored_at", sa.BigInteger()),
        sa.Column("answer", sa.JSON()),
        sa.PrimaryKeyConstraint("system", "subject_id", name="rescores_key"),
    )
    op.create_index("rescores_by_state", "rescores", ["system", "rescored_at", "queued_at"])
