"""Decisions that wait to come into the review queue: noted in the transaction that stores them.

So none is missed, however late the journal was drained, and none is looked for by its time.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from lib.records.database import Database
from lib.records.models import Row
from lib.records.review.tables import WAITING
from lib.records.systems import SYSTEMS


def insert_waiting(database: Database, connection: Connection, rows: Sequence[Row]) -> None:
    """Note decisions that people are to look at; one that waits already stays as it is."""
    waiting = {
        (row["system"], row["subject_id"]): row["received_at"]
        for row in rows
        if row["system"] in SYSTEMS and row["decision"] in SYSTEMS[row["system"]].reviewed
    }
    names = ("system", "subject_id", "queued_at")
    queued = [dict(zip(names, (*key, at), strict=True)) for key, at in sorted(waiting.items())]
    database.insert_new(connection, WAITING, queued)
