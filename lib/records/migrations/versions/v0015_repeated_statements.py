"""Answer repeated statements as at first, read parts of a queue from an index, and date notices."""

from alembic import op

from lib.records import columns
from lib.records.migrations.statements import create_table, drop_tables

revision = "0015"
down_revision = "0014"

_INDEXES = {
    "review_items_by_time": ("review_items", ["system", "created_at"]),
    "review_waiting_by_time": ("review_waiting", ["system", "queued_at", "subject_id"]),
}
# of a customer whose newest health was not computed with the notice, as of a time after it
_NOTICED = (
    "UPDATE customer_standings SET noticed_at = (SELECT max(observed_at) FROM facts "
    "JOIN customer_health AS health ON health.customer_id = facts.subject_id "
    "WHERE facts.system = 'churn' AND facts.kind = 'notice' AND facts.value "
    "AND health.customer_id = customer_standings.customer_id "
    "AND health.at = customer_standings.at AND health.at <= facts.observed_at + 5184000000000 "
    "AND (facts.received_at > health.created_at OR facts.observed_at > health.at)) "
    "WHERE noticed_at IS NULL"
)


def upgrade() -> None:
    """Add the table and the indexes; statements made before are answered anew where repeated."""
    create_table(
        "review_statements",
        *columns.texts("system", "statement_id", "subject_id", "reviewer"),
        *columns.booleans("is_stated"),
        *columns.documents("verdicts"),
        key=("system", "statement_id", "subject_id"),
        indexes={"by_subject": ("system", "subject_id")},
    )
    for name, (table, names) in _INDEXES.items():
        op.create_index(name, table, names)
    op.execute(_NOTICED)


def downgrade() -> None:
    """Drop them; dates of notices stay."""
    for name, (table, _) in _INDEXES.items():
        op.drop_index(name, table)
    drop_tables("review_statements")
