"""Add who is signed in to the console."""

from lib.records import columns
from lib.records.migrations.statements import create_table, drop_tables

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create the table."""
    create_table(
        "console_sessions",
        *columns.texts("id", "key_id"),
        *columns.texts("reviewer", "end_reason", nullable=True),
        *columns.integers("created_at", "seen_at"),
        *columns.integers("ended_at", nullable=True),
        indexes={"by_time": ("created_at",)},
    )


def downgrade() -> None:
    """Drop it."""
    drop_tables("console_sessions")
