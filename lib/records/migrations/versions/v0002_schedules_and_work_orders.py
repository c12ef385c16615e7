"""Create the tables of maintenance schedules and their work orders."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "schedules",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("week_start", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("model_version", sa.Text()),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="schedules_key"),
    )
    op.create_table(
        "work_orders",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("schedule_id", sa.Text(), nullable=False),
        sa.Column("machine_id", sa.Text(), nullable=False),
        sa.Column("component", sa.Text()),
        sa.Column("plant", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("skill", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("expected", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger()),
        sa.Column("outcome", sa.JSON()),
        sa.PrimaryKeyConstraint("id", name="work_orders_key"),
    )
    op.create_index("work_orders_by_machine", "work_orders", ["machine_id", "starts_at"])
    op.create_index("work_orders_by_schedule", "work_orders", ["schedule_id"])


def downgrade() -> None:
    """Drop them."""
    for table in ("work_orders", "schedules"):
        op.drop_table(table)
