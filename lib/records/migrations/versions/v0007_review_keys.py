"""Keep which API key acted in review, name claims, and keep the review queue's own salt."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_SKELETON = (
    *("number", "at", "who", "what", "rule", "item_id", "case_id", "post_id"),
    *("policy_version", "model_version"),
)
_REFUSAL = "review_audit is append only"


def upgrade() -> None:
    """Add the columns and the table; the audit refuses to have its key changed."""
    op.add_column("review_audit", sa.Column("key_id", sa.Text()))
    op.add_column("review_verdicts", sa.Column("key_id", sa.Text()))
    op.add_column("review_items", sa.Column("claim_id", sa.Text()))
    op.create_index("review_items_by_claim", "review_items", ["claim_id"])
    op.create_table(
        "review_settings",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="review_settings_key"),
    )
    _keep(*_SKELETON, "key_id")


def downgrade() -> None:
    """Drop them; the keys that acted are forgotten."""
    _keep(*_SKELETON)
    op.drop_table("review_settings")
    op.drop_index("review_items_by_claim", "review_items")
    op.drop_column("review_items", "claim_id")
    op.drop_column("review_verdicts", "key_id")
    op.drop_column("review_audit", "key_id")


def _keep(*names: str) -> None:
    """An update of the audit may take `before` and `after` away, and change none of the names."""
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
