"""Create the tables of maintenance schedules and their work orders."""

from lib.records.migrations.statements import create_table, drop_tables
from lib.records.tables import documents, integers, texts

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create both tables."""
    create_table(
        "schedules",
        *texts("id"),
        *integers("week_start", "created_at"),
        *texts("model_version", nullable=True),
        *documents("request", "plan"),
    )
    create_table(
        "work_orders",
        *texts("id", "schedule_id", "machine_id"),
        *texts("component", nullable=True),
        *texts("plant", "line", "skill"),
        *integers("starts_at", "ends_at"),
        *documents("expected"),
        *integers("created_at"),
        *integers("closed_at", nullable=True),
        *documents("outcome", nullable=True),
        indexes={"by_machine": ("machine_id", "starts_at"), "by_schedule": ("schedule_id",)},
    )


def downgrade() -> None:
    """Drop them."""
    drop_tables("schedules", "work_orders")
