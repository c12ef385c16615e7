"""Create the tables of the review queue, and keep its audit from being changed."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TABLES = (
    *("review_items", "review_verdicts", "review_outcomes", "review_labels", "review_golden"),
    *("review_reviewers", "review_audit"),
)
_REFUSAL = "review_audit is append only"


def upgrade() -> None:
    """Create all seven."""
    _create_items()
    _create_verdicts()
    _create_outcomes()
    _create_golden()
    _create_audit()
    _refuse_changes()


def downgrade() -> None:
    """Drop them."""
    for table in reversed(_TABLES):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION review_audit_refuse()")


def _row_id(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False)


def _create_items() -> None:
    op.create_table(
        "review_items",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("post_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("policies", sa.JSON(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("reach", sa.BigInteger(), nullable=False),
        sa.Column("priority", sa.Double(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("rank_us", sa.BigInteger(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text()),
        sa.Column("language", sa.Text()),
        sa.Column("skill", sa.Text()),
        sa.Column("shown", sa.JSON(), nullable=False),
        sa.Column("for_reviewer", sa.Text()),
        sa.Column("known", sa.JSON()),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("leased_by", sa.Text()),
        sa.Column("leased_until", sa.BigInteger()),
        sa.Column("decided_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="review_items_key"),
    )
    op.create_index("review_items_by_rank", "review_items", ["decided_at", "rank_us", "id"])
    op.create_index("review_items_by_post", "review_items", ["post_id"])


def _create_verdicts() -> None:
    op.create_table(
        "review_verdicts",
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("post_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("verdicts", sa.JSON(), nullable=False),
        sa.Column("note", sa.Text()),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text()),
        sa.PrimaryKeyConstraint("item_id", name="review_verdicts_key"),
    )
    op.create_index("review_verdicts_by_case", "review_verdicts", ["case_id"])
    op.create_index("review_verdicts_by_post", "review_verdicts", ["post_id", "reviewer"])
    op.create_index("review_verdicts_by_time", "review_verdicts", ["decided_at"])


def _create_outcomes() -> None:
    op.create_table(
        "review_outcomes",
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("post_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("verdicts", sa.JSON(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text()),
        sa.PrimaryKeyConstraint("case_id", name="review_outcomes_key"),
    )
    op.create_index("review_outcomes_by_post", "review_outcomes", ["post_id", "at"])
    op.create_table(
        "review_labels",
        _row_id("number"),
        sa.Column("post_id", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("violates", sa.Boolean(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="review_labels_key"),
        sa.UniqueConstraint("case_id", "policy", name="review_labels_once"),
    )


def _create_golden() -> None:
    op.create_table(
        "review_golden",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("post_id", sa.Text(), nullable=False),
        sa.Column("policies", sa.JSON(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("reach", sa.BigInteger(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("language", sa.Text()),
        sa.Column("skill", sa.Text()),
        sa.Column("shown", sa.JSON(), nullable=False),
        sa.Column("known", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="review_golden_key"),
    )
    op.create_table(
        "review_reviewers",
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("slots", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("reviewer", name="review_reviewers_key"),
    )


def _create_audit() -> None:
    op.create_table(
        "review_audit",
        _row_id("number"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text()),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("post_id", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text()),
        sa.Column("before", sa.JSON()),
        sa.Column("after", sa.JSON()),
        sa.PrimaryKeyConstraint("number", name="review_audit_key"),
    )
    op.create_index("review_audit_by_post", "review_audit", ["post_id", "number"])
    op.create_index("review_audit_by_what", "review_audit", ["what", "at"])


def _refuse_changes() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION review_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER review_audit_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON review_audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION review_audit_refuse()"
        )
        return
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER review_audit_kept_{change.lower()} BEFORE {change} ON review_audit "
            f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        )
