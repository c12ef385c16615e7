"""Create the tables of maintenance schedules and their work orders."""

from lib.records import columns
from lib.records.migrations.statements import create_table, drop_tables

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create both tables."""
    create_table(
        "schedules",
        *columns.texts("id"),
        *columns.integers("week_start", "created_at"),
        *columns.texts("model_version", nullable=True),
        *columns.documents("request", "plan"),
    )
    create_table(
        "work_orders",
        *columns.texts("id", "schedule_id", "machine_id"),
        *columns.texts("component", nullable=True),
        *columns.texts("plant", "line", "skill"),
        *columns.integers("starts_at", "ends_at"),
        *columns.documents("expected"),
        *columns.integers("created_at"),
        *columns.integers("closed_at", nullable=True),
        *columns.documents("outcome", nullable=True),
        indexes={"by_machine": ("machine_id", "starts_at"), "by_schedule": ("schedule_id",)},
    )


def downgrade() -> None:
    """Drop them."""
    drop_tables("schedules", "work_orders")
