"""Labels that people's decisions gave, since the last time that they were learnt from."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pyarrow as pa

from jobs.moderation.sources import Sources
from lib.contract import TIME, read_checked
from lib.moderation.contracts import LABELS
from lib.records import Reviews
from lib.storage import Storage, read_parquet, write_parquet

_STATE = "decisions.json"
_FOLDER = "decisions"
_LABELS = f"{_FOLDER}/labels.parquet"


@dataclass(frozen=True)
class Decisions:
    """Labels of the review queue.

    Attributes:
        since: number of the last label that was learnt from before; 0 for the first time.
        until: number of the last label there is.
        new: labels above `since`.
        total: labels in all.
    """

    since: int
    until: int
    new: int
    total: int

    def with_others(self, sources: Sources, output: Storage) -> str:
        """All labels, those of other sources too, as one file; its address."""
        tables = [LABELS.schema.empty_table()]
        if output.exists(_LABELS):
            tables.append(read_parquet(output.address(_LABELS)))
        if sources.labels is not None:
            tables.append(read_checked(sources.mapping(LABELS), sources.labels).good)
        return write_parquet(pa.concat_tables(tables), output, f"{_FOLDER}/all.parquet")

    def settle(self, output: Storage) -> None:
        """Note that these have been learnt from."""
        output.write(_STATE, json.dumps({"until": self.until}).encode())


def gather_decisions(records: str, output: Storage) -> Decisions:
    """All labels of the review queue to OUTPUT/decisions/labels.parquet, and what is new of them.

    Args:
        records: URL of the database.
        output: where the last time is noted.

    Raises:
        RecordsError: the database cannot be read.
    """
    since = int(json.loads(output.read(_STATE) or b"{}").get("until", 0))
    reviews = Reviews(records)
    try:
        reviews.migrate()
        labels = list(reviews.labels())
    finally:
        reviews.close()
    times = pa.array([one.at for one in labels], pa.int64()).cast(TIME)
    # the version is that of all policies together, not of the one that the label is for
    table = pa.table(
        {
            "post_id": pa.array([one.post_id for one in labels], pa.string()),
            "policy": pa.array([one.policy for one in labels], pa.string()),
            "violates": pa.array([one.violates for one in labels], pa.bool_()),
            "by": pa.array([one.by[:128] for one in labels], pa.string()),
            "event_time": times,
            "known_at": times,
            "policy_version": pa.nulls(len(labels), pa.int64()),
        },
        schema=LABELS.schema,
    )
    write_parquet(table, output, _LABELS)
    numbers = [one.number for one in labels]
    new = sum(number > since for number in numbers)
    return Decisions(since, max(numbers, default=since), new, len(labels))
