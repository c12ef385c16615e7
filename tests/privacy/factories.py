"""Items of the review queue about persons, and what a database holds of them."""

from __future__ import annotations

from sqlalchemy import inspect, text

from lib.records.database import Database
from lib.records.review import ReviewItem
from tests.records.review_factories import item


def all_values(database: Database) -> str:
    """Every value of every table, as text."""
    with database.reading() as connection:
        tables = inspect(connection).get_table_names()
        rows = [
            str(row)
            for table in tables
            for row in connection.execute(text(f'SELECT * FROM "{table}"'))
        ]
    return "\n".join(rows)


def review_item(post: str, content: dict[str, object]) -> ReviewItem:
    number = int(post[1])
    return item(number, id=post, case_id=post, policies={"hate": 0.5}, shown=content)
