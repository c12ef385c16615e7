"""Let items of the review queue wait for a time or a person, and outcomes take effect once."""

import sqlalchemy as sa
from alembic import op

from lib.records import columns
from lib.records.migrations.statements import create_table, drop_tables

revision = "0010"
down_revision = "0009"

_INDEX, _INDEXED = "review_outcomes_by_effect", ["system", "applied_at", "at"]


def upgrade() -> None:
    """Add the columns; outcomes that exist have taken effect when their cases were closed."""
    op.add_column("review_items", sa.Column("assignee", sa.Text(), nullable=True))
    op.add_column("review_items", sa.Column("snoozed_until", sa.BigInteger(), nullable=True))
    op.add_column("review_outcomes", sa.Column("settled_at", sa.BigInteger(), nullable=True))
    op.add_column("review_outcomes", sa.Column("applied_at", sa.BigInteger(), nullable=True))
    at: sa.ColumnClause[int] = sa.column("at")
    outcomes = sa.table("review_outcomes", at, sa.column("settled_at"), sa.column("applied_at"))
    op.execute(sa.update(outcomes).values(settled_at=at, applied_at=at))
    op.create_index(_INDEX, "review_outcomes", _INDEXED)
    create_table(
        "review_waiting",
        *columns.texts("system", "subject_id"),
        *columns.integers("queued_at"),
        key=("system", "subject_id"),
    )


def downgrade() -> None:
    """Drop them: snoozed and assigned items are anybody's at once."""
    drop_tables("review_waiting")
    op.drop_index(_INDEX, "review_outcomes")
    for name in ("applied_at", "settled_at"):
        op.drop_column("review_outcomes", name)
    for name in ("snoozed_until", "assignee"):
        op.drop_column("review_items", name)
