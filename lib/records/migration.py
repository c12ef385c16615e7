"""Brings a database to the schema of this code, once, however many processes start."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from lib.records.database import Database
from lib.records.errors import RecordsError


def migrate(database: Database) -> None:
    """Run every migration the database has not seen, in one transaction under one lock.

    Raises:
        RecordsError: the database was migrated by newer code than this.
        RecordsUnavailableError: it cannot be reached.
    """
    with database.migrating() as connection:
        config = alembic_config(connection)
        _refuse_newer_schema(connection, ScriptDirectory.from_config(config))
        command.upgrade(config, "head")


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for the migrations beside this file, on an open connection."""
    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _refuse_newer_schema(connection: Connection, scripts: ScriptDirectory) -> None:
    revisions = {script.revision for script in scripts.walk_revisions()}
    for revision in MigrationContext.configure(connection).get_current_heads():
        if revision not in revisions:
            raise RecordsError(
                f"the database's schema is at {revision}, newer than this code, which knows up "
                f"to {scripts.get_current_head()}; deploy the newer code, or restore the "
                "database from before the upgrade"
            )
