"""Create the tables of the review queue, and keep its audit from being changed."""

import sqlalchemy as sa
from alembic import op

from lib.records import columns
from lib.records.migrations.statements import (
    create_refusal,
    create_table,
    drop_tables,
    is_postgresql,
    refuse_statements,
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
        *columns.texts("id", "case_id", "post_id", "kind", "rule", "policy"),
        *columns.documents("policies"),
        *columns.small_integers("severity"),
        *columns.integers("reach"),
        *columns.numbers("priority"),
        *columns.integers("created_at", "due_at", "rank_us"),
        *columns.texts("policy_version"),
        *columns.texts("model_version", "language", "skill", nullable=True),
        *columns.documents("shown"),
        *columns.texts("for_reviewer", nullable=True),
        *columns.documents("known", nullable=True),
        *columns.integers("token"),
        *columns.texts("leased_by", nullable=True),
        *columns.integers("leased_until", "decided_at", nullable=True),
        indexes={"by_rank": ("decided_at", "rank_us", "id"), "by_post": ("post_id",)},
    )
    create_table(
        "review_verdicts",
        *columns.texts("item_id", "case_id", "post_id", "kind", "reviewer"),
        *columns.integers("token"),
        *columns.documents("verdicts"),
        *columns.texts("note", nullable=True),
        *columns.integers("decided_at"),
        *columns.texts("policy_version"),
        *columns.texts("model_version", nullable=True),
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
        *columns.texts("case_id", "post_id", "kind", "rule"),
        *columns.documents("verdicts"),
        *columns.integers("at"),
        *columns.texts("policy_version"),
        *columns.texts("model_version", nullable=True),
        key=("case_id",),
        indexes={"by_post": ("post_id", "at")},
    )
    create_table(
        "review_labels",
        columns.row_number("number"),
        *columns.texts("post_id", "policy"),
        *columns.booleans("violates"),
        *columns.texts("by", "rule"),
        *columns.integers("at"),
        *columns.texts("policy_version", "case_id"),
        sa.UniqueConstraint("case_id", "policy", name="review_labels_once"),
        key=("number",),
    )


def _create_golden_and_audit() -> None:
    create_table(
        "review_golden",
        *columns.texts("id", "post_id"),
        *columns.documents("policies"),
        *columns.small_integers("severity"),
        *columns.integers("reach"),
        *columns.texts("policy_version"),
        *columns.texts("language", "skill", nullable=True),
        *columns.documents("shown", "known"),
    )
    create_table(
        "review_reviewers",
        *columns.texts("reviewer"),
        *columns.integers("slots"),
        key=("reviewer",),
    )
    create_table(
        "review_audit",
        columns.row_number("number"),
        *columns.integers("at"),
        *columns.texts("who", "what"),
        *columns.texts("rule", nullable=True),
        *columns.texts("item_id", "case_id", "post_id", "policy_version"),
        *columns.texts("model_version", nullable=True),
        *columns.documents("before", "after", nullable=True),
        key=("number",),
        indexes={"by_post": ("post_id", "number"), "by_what": ("what", "at")},
    )
