"""Partition decisions by the day they were received, name their ids, and let content be erased."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_DAY = 86_400_000_000
_SKELETON = (
    *("number", "at", "who", "what", "rule", "item_id", "case_id", "post_id"),
    *("policy_version", "model_version"),
)
_REFUSAL = "review_audit is append only"


def upgrade() -> None:
    """Name the ids, part the days, and allow the audit's content (not its skeleton) to go."""
    _create_tables()
    op.execute(
        "INSERT INTO decision_ids (system, subject_id, entity_id, received_at) "
        "SELECT system, subject_id, coalesce(entities->>'user_id', entities->>'customer_id', "
        "entities->>'machine_id', entities->>'author_id'), received_at FROM decisions"
    )
    if _is_postgresql():
        _partition()
    _refuse_all_but_erasure()


def downgrade() -> None:
    """Put the days into one table again; what was archived stays in its files."""
    if _is_postgresql():
        _join()
    for table in ("erasures", "decision_archives", "decision_ids"):
        op.drop_table(table)
    _refuse_all()


def _is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _create_tables() -> None:
    op.create_table(
        "decision_ids",
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text()),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("system", "subject_id", name="decision_ids_key"),
    )
    op.create_index("decision_ids_by_entity", "decision_ids", ["system", "entity_id"])
    op.create_index("decision_ids_by_time", "decision_ids", ["received_at"])
    op.create_table(
        "decision_archives",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("date", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="decision_archives_key"),
    )
    op.create_index("decision_archives_by_date", "decision_archives", ["date"])
    op.create_table(
        "erasures",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("entity_hash", sa.Text(), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="erasures_key"),
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
    if not _is_postgresql():
        changed = " OR ".join(f'NEW."{name}" IS NOT OLD."{name}"' for name in _SKELETON)
        op.execute("DROP TRIGGER review_audit_kept_update")
        op.execute(
            "CREATE TRIGGER review_audit_kept_update BEFORE UPDATE ON review_audit "
            f"WHEN {changed} OR NEW.before IS NOT NULL OR NEW.after IS NOT NULL "
            f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        )
        return
    changed = " OR ".join(f'NEW."{name}" IS DISTINCT FROM OLD."{name}"' for name in _SKELETON)
    op.execute("DROP TRIGGER review_audit_kept ON review_audit")
    op.execute(
        "CREATE FUNCTION review_audit_refuse_changes() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN IF {changed} OR NEW.before IS NOT NULL OR NEW.after IS NOT NULL THEN "
        f"RAISE EXCEPTION '{_REFUSAL}'; END IF; RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER review_audit_kept BEFORE DELETE OR TRUNCATE ON review_audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION review_audit_refuse()"
    )
    op.execute(
        "CREATE TRIGGER review_audit_kept_update BEFORE UPDATE ON review_audit "
        "FOR EACH ROW EXECUTE FUNCTION review_audit_refuse_changes()"
    )


def _refuse_all() -> None:
    if not _is_postgresql():
        op.execute("DROP TRIGGER review_audit_kept_update")
        op.execute(
            "CREATE TRIGGER review_audit_kept_update BEFORE UPDATE ON review_audit "
            f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        )
        return
    for trigger in ("review_audit_kept", "review_audit_kept_update"):
        op.execute(f"DROP TRIGGER {trigger} ON review_audit")
    op.execute("DROP FUNCTION review_audit_refuse_changes()")
    op.execute(
        "CREATE TRIGGER review_audit_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON review_audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION review_audit_refuse()"
    )
