"""Create the tables of the review queue, and keep its audit from being changed."""

import sqlalchemy as sa
from alembic import op

from lib.records.migrations.statements import (
    create_refusal,
    create_table,
    drop_tables,
    is_postgresql,
    refuse_statements,
)
from lib.records.tables import (
    booleans,
    documents,
    integers,
    numbers,
    row_number,
    small_integers,
    texts,
)

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create all seven."""
    _create_items_and_verdicts()
    _create_outcomes_and_labels()
    _create_golden_and_audit()
    if is_postgresql():
        create_refusal()
        refuse_statements("UPDATE", "DELETE", "TRUNCATE")
    else:
        refuse_statements("UPDATE", "DELETE")


def downgrade() -> None:
    """Drop them."""
    drop_tables(
        *("review_items", "review_verdicts", "review_outcomes", "review_labels", "review_golden"),
        *("review_reviewers", "review_audit"),
    )
    if is_postgresql():
        op.execute("DROP FUNCTION review_audit_refuse()")


def _create_items_and_verdicts() -> None:
    create_table(
        "review_items",
        *texts("id", "case_id", "post_id", "kind", "rule", "policy"),
        *documents("policies"),
        *small_integers("severity"),
        *integers("reach"),
        *numbers("priority"),
        *integers("created_at", "due_at", "rank_us"),
        *texts("policy_version"),
        *texts("model_version", "language", "skill", nullable=True),
        *documents("shown"),
        *texts("for_reviewer", nullable=True),
        *documents("known", nullable=True),
        *integers("token"),
        *texts("leased_by", nullable=True),
        *integers("leased_until", "decided_at", nullable=True),
        indexes={"by_rank": ("decided_at", "rank_us", "id"), "by_post": ("post_id",)},
    )
    create_table(
        "review_verdicts",
        *texts("item_id", "case_id", "post_id", "kind", "reviewer"),
        *integers("token"),
        *documents("verdicts"),
        *texts("note", nullable=True),
        *integers("decided_at"),
        *texts("policy_version"),
        *texts("model_version", nullable=True),
        key=("item_id",),
        indexes={
            "by_case": ("case_id",),
            "by_post": ("post_id", "reviewer"),
            "by_time": ("decided_at",),
        },
    )


def _create_outcomes_and_labels() -> None:
    create_table(
        "review_outcomes",
        *texts("case_id", "post_id", "kind", "rule"),
        *documents("verdicts"),
        *integers("at"),
        *texts("policy_version"),
        *texts("model_version", nullable=True),
        key=("case_id",),
        indexes={"by_post": ("post_id", "at")},
    )
    create_table(
        "review_labels",
        row_number("number"),
        *texts("post_id", "policy"),
        *booleans("violates"),
        *texts("by", "rule"),
        *integers("at"),
        *texts("policy_version", "case_id"),
        sa.UniqueConstraint("case_id", "policy", name="review_labels_once"),
        key=("number",),
    )


def _create_golden_and_audit() -> None:
    create_table(
        "review_golden",
        *texts("id", "post_id"),
        *documents("policies"),
        *small_integers("severity"),
        *integers("reach"),
        *texts("policy_version"),
        *texts("language", "skill", nullable=True),
        *documents("shown", "known"),
    )
    create_table("review_reviewers", *texts("reviewer"), *integers("slots"), key=("reviewer",))
    create_table(
        "review_audit",
        row_number("number"),
        *integers("at"),
        *texts("who", "what"),
        *texts("rule", nullable=True),
        *texts("item_id", "case_id", "post_id", "policy_version"),
        *texts("model_version", nullable=True),
        *documents("before", "after", nullable=True),
        key=("number",),
        indexes={"by_post": ("post_id", "number"), "by_what": ("what", "at")},
    )
