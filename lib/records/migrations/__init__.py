"""Alembic migrations of the records; Alembic loads the files here by their path."""
