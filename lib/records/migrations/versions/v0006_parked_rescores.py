"""Count failures of what is scored again, and park what fails too often."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns."""
    with op.batch_alter_table("rescores") as table:
        table.add_column(sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("parked_at", sa.BigInteger()))
        table.add_column(sa.Column("fault", sa.Text()))


def downgrade() -> None:
    """Drop them; what is parked waits again."""
    with op.batch_alter_table("rescores") as table:
        for name in ("fault", "parked_at", "failures"):
            table.drop_column(name)
