"""Add what schedules were computed from, and what people changed in them."""

import sqlalchemy as sa
from alembic import op

from lib.records import columns
from lib.records.migrations.statements import create_table, drop_tables

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the column, the index and the table."""
    op.add_column("schedules", sa.Column("basis", sa.JSON(none_as_null=True), nullable=True))
    op.create_index("work_orders_by_closing", "work_orders", ["closed_at"])
    create_table(
        "schedule_changes",
        *columns.texts("schedule_id", "id", "action", "by", "key_id"),
        *columns.texts("machine_id", "component", nullable=True),
        *columns.integers("revision", "at"),
        *columns.integers("before", "after", nullable=True),
        *columns.documents("detail"),
        key=("schedule_id", "id"),
        indexes={"by_time": ("at",)},
    )


def downgrade() -> None:
    """Drop them."""
    drop_tables("schedule_changes")
    op.drop_index("work_orders_by_closing", "work_orders")
    with op.batch_alter_table("schedules") as table:
        table.drop_column("basis")
