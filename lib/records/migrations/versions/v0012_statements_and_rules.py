"""Keep business statements, and versions of rules with the active one; find labels by subject."""

from alembic import op

from lib.records import columns
from lib.records.migrations.statements import create_table, drop_tables

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Create the tables and the index."""
    create_table(
        "business_statements",
        *columns.texts("id", "system"),
        *columns.integers("since", "until", "as_of", "recorded_at"),
        *columns.documents("wording", "statement"),
        *columns.documents("before", nullable=True),
        indexes={"by_system": ("system", "until", "as_of")},
    )
    create_table(
        "rule_versions",
        *columns.texts("system"),
        *columns.integers("number"),
        *columns.texts("text", "sha256", "revision", "by", "reason"),
        *columns.integers("created_at"),
        key=("system", "number"),
    )
    create_table(
        "rule_changes",
        columns.row_number("id"),
        *columns.texts("system", "action", "by", "reason"),
        *columns.integers("at"),
        *columns.integers("before", "after", nullable=True),
        indexes={"by_system": ("system", "id")},
    )
    create_table(
        "rule_declarations",
        *columns.texts("system", "origin", "text", "revision"),
        *columns.documents("fields", "actions"),
        *columns.booleans("has_pass_key"),
        *columns.integers("declared_at"),
        key=("system",),
    )
    op.create_index("review_labels_by_subject", "review_labels", ["system", "subject_id"])


def downgrade() -> None:
    """Drop them: services take the rules of their files."""
    op.drop_index("review_labels_by_subject", "review_labels")
    drop_tables("business_statements", "rule_versions", "rule_changes", "rule_declarations")
