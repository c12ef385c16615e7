"""List customers by their newest health, keep who did what about them, and who reports outcomes."""

import sqlalchemy as sa
from alembic import op

from lib.records import columns
from lib.records.migrations.statements import create_table, drop_tables

revision = "0014"
down_revision = "0013"

_INDEXES = {
    "customer_health_by_time": ("customer_health", ["at", "segment", "score"]),
    "health_overrides_by_expiry": ("health_overrides", ["expires_at"]),
    "intervention_plans_by_time": ("intervention_plans", ["created_at"]),
}
_NEWEST = (
    "INSERT INTO customer_standings "
    "(customer_id, band, at, probability, score, revenue_at_risk) "
    "SELECT customer_id, band, at, chance, score, 0 FROM customer_health AS newest WHERE at = "
    "(SELECT max(at) FROM customer_health AS each WHERE each.customer_id = newest.customer_id)"
)


def upgrade() -> None:
    """Add tables, columns and indexes; segment and revenue are known from the next score on."""
    op.add_column("customer_health", sa.Column("segment", sa.Text(), nullable=True))
    op.add_column("customer_health", sa.Column("mrr", sa.Double(), nullable=True))
    for name in ("author", "key_id"):
        op.add_column("intervention_outcomes", sa.Column(name, sa.Text(), nullable=True))
    for name, (table, names) in _INDEXES.items():
        op.create_index(name, table, names)
    create_table(
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
    op.execute(_NEWEST)
    create_table(
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


def downgrade() -> None:
    """Drop them; who reported an outcome is forgotten, and interventions go on."""
    drop_tables("customer_standings", "customer_steps")
    for name, (table, _) in _INDEXES.items():
        op.drop_index(name, table)
    for name in ("author", "key_id"):
        op.drop_column("intervention_outcomes", name)
    for name in ("segment", "mrr"):
        op.drop_column("customer_health", name)
