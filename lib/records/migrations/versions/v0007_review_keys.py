"""Keep which API key acted in review, name claims, and keep the review queue's own salt."""

import sqlalchemy as sa
from alembic import op

from lib.records import columns
from lib.records.migrations.statements import create_table, keep_audit_columns

revision = "0007"
down_revision = "0006"

_SKELETON = (
    *("number", "at", "who", "what", "rule", "item_id", "case_id", "post_id"),
    *("policy_version", "model_version"),
)


def upgrade() -> None:
    """Add the columns and the table; the audit refuses to have its key changed."""
    op.add_column("review_audit", sa.Column("key_id", sa.Text()))
    op.add_column("review_verdicts", sa.Column("key_id", sa.Text()))
    op.add_column("review_items", sa.Column("claim_id", sa.Text()))
    op.create_index("review_items_by_claim", "review_items", ["claim_id"])
    create_table("review_settings", *columns.texts("name", "value"), key=("name",))
    keep_audit_columns(*_SKELETON, "key_id")


def downgrade() -> None:
    """Drop them; the keys that acted are forgotten."""
    keep_audit_columns(*_SKELETON)
    op.drop_table("review_settings")
    op.drop_index("review_items_by_claim", "review_items")
    op.drop_column("review_items", "claim_id")
    op.drop_column("review_verdicts", "key_id")
    op.drop_column("review_audit", "key_id")
