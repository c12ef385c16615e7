"""Records that a retraining reads and writes, and what they keep of it."""

from __future__ import annotations

from pathlib import Path

from lib.records import Fact, Records
from lib.retraining.repository import Retraining, RetrainingRepository


def empty_records(folder: Path) -> str:
    """URL of a database with its tables and no rows."""
    url = f"sqlite:///{folder / 'records.db'}"
    with Records(url) as records:
        records.migrate()
    return url


def add_fact(url: str, system: str, subject: str, kind: str, at: int, *, value: bool) -> None:
    """Something becomes known, and is received at once."""
    fact = Fact(
        system=system, subject_id=subject, kind=kind, value=value, observed_at=at, source="test",
        received_at=at,
    )  # fmt: skip
    with Records(url) as records:
        records.record_labels([fact])


def kept_retrainings(url: str, system: str) -> list[Retraining]:
    """The newest first."""
    with RetrainingRepository(url) as repository:
        return repository.list_of(system)
