"""Items of the review queue about persons, and what a database holds of them."""

from __future__ import annotations

from sqlalchemy import inspect, text

from lib.records import (
    Outcome,
    ReviewItem,
    Step,
)
from lib.records.database import Database
from tests.records.conftest import NOVEMBER


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
    return ReviewItem(
        id=post,
        case_id=post,
        post_id=post,
        kind="review",
        rule="routed",
        policies={"hate": 0.5},
        severity=3,
        reach=1,
        priority=1.0,
        created_at=NOVEMBER,
        due_at=NOVEMBER,
        rank_us=NOVEMBER + int(post[1]),
        policy_version="v1",
        model_version=None,
        shown=content,
    )


def close_item(item: ReviewItem, case: object) -> Step:
    return Step(
        outcome=Outcome(
            case_id=item.case_id,
            post_id=item.post_id,
            kind=item.kind,
            rule="single",
            verdicts={"hate": True},
            at=NOVEMBER,
            policy_version="v1",
            model_version=None,
        )
    )
