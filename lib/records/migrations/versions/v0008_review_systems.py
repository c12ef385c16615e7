"""Let the review queue hold subjects of any system; those that exist are moderation's posts."""

import sqlalchemy as sa
from alembic import op

from lib.records.migrations.statements import keep_audit_columns

revision = "0008"
down_revision = "0007"

_TABLES = ("items", "verdicts", "outcomes", "labels", "golden", "audit")
_AUDIT_START = ("number", "at", "who", "what", "rule", "item_id", "case_id")
_AUDIT_END = ("policy_version", "model_version", "key_id")


def upgrade() -> None:
    """Add the system, and name the subject; the audit refuses to have either changed."""
    for name in _TABLES:
        op.execute(f"ALTER TABLE review_{name} RENAME COLUMN post_id TO subject_id")
        system = sa.Column("system", sa.Text(), nullable=False, server_default="moderation")
        op.add_column(f"review_{name}", system)
    op.drop_index("review_items_by_rank", "review_items")
    rank = ["system", "decided_at", "rank_us", "id"]
    op.create_index("review_items_by_rank", "review_items", rank)
    keep_audit_columns(*_AUDIT_START, "system", "subject_id", *_AUDIT_END)


def downgrade() -> None:
    """Drop the system: items of other systems go, their entries of the audit stay."""
    op.drop_index("review_items_by_rank", "review_items")
    op.create_index("review_items_by_rank", "review_items", ["decided_at", "rank_us", "id"])
    for name in _TABLES:
        if name != "audit":
            reviewed = sa.table(f"review_{name}", sa.column("system"))
            op.execute(sa.delete(reviewed).where(reviewed.c.system != "moderation"))
    for name in _TABLES:
        op.execute(f"ALTER TABLE review_{name} RENAME COLUMN subject_id TO post_id")
    keep_audit_columns(*_AUDIT_START, "post_id", *_AUDIT_END)
    for name in _TABLES:
        op.drop_column(f"review_{name}", "system")
