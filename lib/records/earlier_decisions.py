"""Of two decisions about one subject the earliest stands, whichever is stored first."""

from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from lib.records.models import Row
from lib.records.schema import DECISION_IDS, DECISIONS, SAME_DECISION

_ROWS_PER_QUERY = 500


def put_earlier_first(connection: Connection, rows: Sequence[Row]) -> int:
    """Put each row in the place of a later decision about its subject; returns how many.

    The order is that of `DecisionLog.find`: by decided_at, then by request_id. So replicas that
    decide at once agree on the decision that stands, whichever is drained first. A decision in the
    archive stays.

    Args:
        connection: of the caller's transaction.
        rows: whose subjects have a decision already, in the order of their subjects.
    """
    return sum(_replaced(connection, row) for row in _earlier(connection, rows))


def _earlier(connection: Connection, rows: Sequence[Row]) -> list[Row]:
    """Those that were decided before what is kept, which can only become earlier meanwhile."""
    ids, table = DECISION_IDS.c, DECISIONS.c
    kept: dict[tuple[str, str], tuple[int, str]] = {}
    for start in range(0, len(rows), _ROWS_PER_QUERY):
        part = rows[start : start + _ROWS_PER_QUERY]
        query = (
            select(ids.system, ids.subject_id, table.decided_at, table.request_id)
            .join_from(DECISION_IDS, DECISIONS, SAME_DECISION)
            .where(
                ids.system.in_({row["system"] for row in part}),
                ids.subject_id.in_([row["subject_id"] for row in part]),
            )
        )
        for system, subject_id, *first in connection.execute(query):
            kept[system, subject_id] = tuple(first)
    return [
        row
        for row in rows
        if (stored_key := kept.get((row["system"], row["subject_id"]))) is not None
        and (row["decided_at"], row["request_id"]) < stored_key
    ]


def _replaced(connection: Connection, row: Row) -> bool:
    ids, table = DECISION_IDS.c, DECISIONS.c
    subject = (ids.system == row["system"], ids.subject_id == row["subject_id"])
    received_at = connection.execute(
        select(ids.received_at).where(*subject).with_for_update()
    ).scalar_one()
    kept = (
        table.system == row["system"],
        table.subject_id == row["subject_id"],
        table.received_at == received_at,
    )
    stored = connection.execute(select(table.decided_at, table.request_id).where(*kept)).first()
    if stored is None or (row["decided_at"], row["request_id"]) >= tuple(stored):
        return False
    connection.execute(update(DECISIONS).where(*kept).values(row))
    moved = update(DECISION_IDS).where(*subject).values(received_at=row["received_at"])
    connection.execute(moved)
    return True
