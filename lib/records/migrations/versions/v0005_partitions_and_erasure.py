"""Partition decisions by the day they were received, name their ids, and let content be erased."""

import sqlalchemy as sa
from alembic import op

from lib.records import columns
from lib.records.migrations.statements import (
    create_table,
    drop_tables,
    is_postgresql,
    keep_audit_columns,
    refuse_statements,
)

revision = "0005"
down_revision = "0004"

_DAY = 86_400_000_000
_SKELETON = (
    *("number", "at", "who", "what", "rule", "item_id", "case_id", "post_id"),
    *("policy_version", "model_version"),
)


def upgrade() -> None:
    """Name the ids, part the days, and allow the audit's content (not its skeleton) to go."""
    _create_tables()
    op.execute(
        "INSERT INTO decision_ids (system, subject_id, entity_id, received_at) "
        "SELECT system, subject_id, coalesce(entities->>'user_id', entities->>'customer_id', "
        "entities->>'machine_id', entities->>'author_id'), received_at FROM decisions"
    )
    if is_postgresql():
        _partition()
    _refuse_all_but_erasure()


def downgrade() -> None:
    """Put the days into one table again; what was archived stays in its files."""
    if is_postgresql():
        _join()
    drop_tables("decision_ids", "decision_archives", "erasures")
    _refuse_all()


def _create_tables() -> None:
    create_table(
        "decision_ids",
        *columns.texts("system", "subject_id"),
        *columns.texts("entity_id", nullable=True),
        *columns.integers("received_at"),
        key=("system", "subject_id"),
        indexes={"by_entity": ("system", "entity_id"), "by_time": ("received_at",)},
    )
    create_table(
        "decision_archives",
        *columns.texts("id", "system", "date", "address", "path"),
        *columns.integers("rows"),
        *columns.texts("digest"),
        *columns.integers("since", "until", "archived_at"),
        indexes={"by_date": ("date",)},
    )
    create_table(
        "erasures",
        *columns.texts("id", "system", "kind", "entity_hash"),
        *columns.integers("began_at"),
        *columns.integers("ended_at", nullable=True),
        *columns.documents("counts"),
        *columns.texts("by"),
    )


def _partition() -> None:
    """The table as it is becomes the partition of all days so far: no row is copied."""
    op.execute("ALTER TABLE decisions RENAME TO decisions_before")
    op.execute("ALTER INDEX decisions_by_event_time RENAME TO decisions_before_by_event_time")
    op.execute("ALTER TABLE decisions_before DROP CONSTRAINT decisions_key")
    op.execute(
        "CREATE TABLE decisions (LIKE decisions_before INCLUDING DEFAULTS, CONSTRAINT "
        "decisions_key PRIMARY KEY (system, subject_id, received_at)) "
        "PARTITION BY RANGE (received_at)"
    )
    op.execute("CREATE INDEX decisions_by_event_time ON decisions (system, event_time)")
    newest = op.get_bind().execute(sa.text("SELECT max(received_at) FROM decisions_before"))
    last = newest.scalar_one()
    if last is None:
        op.execute("DROP TABLE decisions_before")
        return
    until = (last // _DAY + 1) * _DAY
    op.execute(
        "ALTER TABLE decisions ATTACH PARTITION decisions_before "
        f"FOR VALUES FROM (MINVALUE) TO ({until})"
    )


def _join() -> None:
    op.execute("CREATE TABLE decisions_joined (LIKE decisions INCLUDING DEFAULTS)")
    op.execute("INSERT INTO decisions_joined SELECT * FROM decisions")
    op.execute("DROP TABLE decisions CASCADE")
    op.execute("ALTER TABLE decisions_joined RENAME TO decisions")
    op.execute(
        "ALTER TABLE decisions ADD CONSTRAINT decisions_key PRIMARY KEY (system, subject_id)"
    )
    op.execute("CREATE INDEX decisions_by_event_time ON decisions (system, event_time)")


def _refuse_all_but_erasure() -> None:
    """An update may take `before` and `after` away, and change nothing else."""
    if is_postgresql():
        op.execute("DROP TRIGGER review_audit_kept ON review_audit")
    keep_audit_columns(*_SKELETON)
    if is_postgresql():
        refuse_statements("DELETE", "TRUNCATE")
        op.execute(
            "CREATE TRIGGER review_audit_kept_update BEFORE UPDATE ON review_audit "
            "FOR EACH ROW EXECUTE FUNCTION review_audit_refuse_changes()"
        )


def _refuse_all() -> None:
    if not is_postgresql():
        op.execute("DROP TRIGGER review_audit_kept_update")
        refuse_statements("UPDATE")
        return
    for trigger in ("review_audit_kept", "review_audit_kept_update"):
        op.execute(f"DROP TRIGGER {trigger} ON review_audit")
    op.execute("DROP FUNCTION review_audit_refuse_changes()")
    refuse_statements("UPDATE", "DELETE", "TRUNCATE")
