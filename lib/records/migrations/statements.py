"""Statements that several migrations need; what they do must stay as it is."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from alembic import op

_REFUSAL = "review_audit is append only"


def is_postgresql() -> bool:
    """Whether the database that is migrated is PostgreSQL, else SQLite."""
    return op.get_bind().dialect.name == "postgresql"


def create_table(
    name: str,
    *columns: sa.schema.SchemaItem,
    key: Sequence[str] = ("id",),
    indexes: Mapping[str, Sequence[str]] = {},
) -> None:
    """Create a table with its key and indexes, named as `lib.records.tables.table` names them."""
    op.create_table(name, *columns, sa.PrimaryKeyConstraint(*key, name=f"{name}_key"))
    for suffix, names in indexes.items():
        op.create_index(f"{name}_{suffix}", name, list(names))


def drop_tables(*names: str) -> None:
    """Drop tables, the last first."""
    for name in reversed(names):
        op.drop_table(name)


def create_refusal() -> None:
    """Create the function with which PostgreSQL refuses statements on the audit."""
    op.execute(
        "CREATE FUNCTION review_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
    )


def refuse_statements(*statements: str) -> None:
    """Refuse statements (UPDATE, DELETE; in PostgreSQL TRUNCATE) on the audit, whatever the row."""
    if is_postgresql():
        op.execute(
            f"CREATE TRIGGER review_audit_kept BEFORE {' OR '.join(statements)} ON review_audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION review_audit_refuse()"
        )
        return
    for statement in statements:
        op.execute(
            f"CREATE TRIGGER review_audit_kept_{statement.lower()} BEFORE {statement} ON "
            f"review_audit BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        )


def keep_audit_columns(*names: str) -> None:
    """An update of the audit may clear `before` and `after`, and change none of the names."""
    differs = "IS DISTINCT FROM" if is_postgresql() else "IS NOT"
    changed = " OR ".join(f'NEW."{name}" {differs} OLD."{name}"' for name in names)
    changed += " OR NEW.before IS NOT NULL OR NEW.after IS NOT NULL"
    if is_postgresql():
        op.execute(
            "CREATE OR REPLACE FUNCTION review_audit_refuse_changes() RETURNS trigger "
            f"LANGUAGE plpgsql AS $$ BEGIN IF {changed} THEN RAISE EXCEPTION '{_REFUSAL}'; "
            "END IF; RETURN NEW; END $$"
        )
        return
    op.execute("DROP TRIGGER review_audit_kept_update")
    op.execute(
        "CREATE TRIGGER review_audit_kept_update BEFORE UPDATE ON review_audit "
        f"WHEN {changed} BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
    )
