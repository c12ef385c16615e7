"""Runs the migrations on the connection that `lib.records.migration` hands over."""

from alembic import context

from lib.records.schema import METADATA


def run_migrations() -> None:
    """Migrate inside the transaction that is open already."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=METADATA,
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()


# the name under which Alembic executes this file; importing it runs nothing
if __name__ == "env_py":
    run_migrations()
