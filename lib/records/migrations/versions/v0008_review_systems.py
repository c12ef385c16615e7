"""Let the review queue hold subjects of any system; those that exist are moderation's posts."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TABLES = ("items", "verdicts", "outcomes", "labels", "golden", "audit")
_AUDIT_START = ("number", "at", "who", "what", "rule", "item_id", "case_id")
_AUDIT_END = ("policy_version", "model_version", "key_id")
_REFUSAL = "review_audit is append only"


def upgrade() -> None:
    """Add the system, and name the subject; the audit refuses to have either changed."""
    for name in _TABLES:
        op.execute(f"ALTER TABLE review_{name} RENAME COLUMN post_id TO subject_id")
        system = sa.Column("system", sa.Text(), nullable=False, server_default="moderation")
        op.add_column(f"review_{name}", system)
    op.drop_index("review_items_by_rank", "review_items")
    rank = ["system", "decided_at", "rank_us", "id"]
    op.create_index("review_items_by_rank", "review_items", rank)
    _protect(*_AUDIT_START, "system", "subject_id", *_AUDIT_END)


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
    _protect(*_AUDIT_START, "post_id", *_AUDIT_END)
    for name in _TABLES:
        op.drop_column(f"review_{name}", "system")


def _protect(*names: str) -> None:
    """An update of the audit may clear `before` and `after`, and change none of the names."""
    if op.get_bind().dialect.name == "postgresql":
        changed = " OR ".join(f'NEW."{name}" IS DISTINCT FROM OLD."{name}"' for name in names)
        op.execute(
            "CREATE OR REPLACE FUNCTION review_audit_refuse_changes() RETURNS trigger "
            f"LANGUAGE plpgsql AS $$ BEGIN IF {changed} OR NEW.before IS NOT NULL "
            f"OR NEW.after IS NOT NULL THEN RAISE EXCEPTION '{_REFUSAL}'; END IF; "
            "RETURN NEW; END $$"
        )
        return
    changed = " OR ".join(f'NEW."{name}" IS NOT OLD."{name}"' for name in names)
    op.execute("DROP TRIGGER review_audit_kept_update")
    op.execute(
        "CREATE TRIGGER review_audit_kept_update BEFORE UPDATE ON review_audit "
        f"WHEN {changed} OR NEW.before IS NOT NULL OR NEW.after IS NOT NULL "
        f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
    )
