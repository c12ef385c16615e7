"""Records on SQLite and on a real PostgreSQL, which the tests start and stop themselves."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import pytest

from lib.records import Decision, DecisionLog, DecisionOutcome, DrainOutcome, Fact, Records
from lib.records.draining import drain
from lib.records.models import Row, spelled_row
from lib.records.review import ReviewStore
from lib.records.segment import encode_row
from tests.records.migrated_databases import migrated_database, migrated_file
from tests.records.server import POSTGRESQL, installed, new_database, running

NOVEMBER = 1_795_428_900_000_000  # 2026-11-23T10:15:00Z in microseconds
SECOND = 1_000_000
Store = TypeVar("Store", bound=Any)


def decision(subject_id: str = "t1", **changes: object) -> Decision:
    fields: dict[str, object] = {
        "system": "fraud",
        "subject_id": subject_id,
        "entities": {"user_id": "u1", "merchant_id": "m1", "device_id": None},
        "event_time": NOVEMBER,
        "received_at": NOVEMBER + SECOND,
        "decided_at": NOVEMBER + 2 * SECOND,
        "decision": "APPROVE",
        "score": 0.125,
        "method": "model",
        "rule_id": None,
        "reasons": [{"code": "amount_zscore", "contribution": 0.1}],
        "rule_hits": [],
        "shadow_hits": ["new_device"],
        "model_version": "20261123T101500Z-0f3a9c21",
        "rules_version": "r1",
        "feature_set_digest": "ab" * 32,
        "features": {"amount": 12.5, "hour_of_day": 10.0},
        "request_id": "q1",
        "latency_ms": 7.25,
        "answer": {"decision": "APPROVE", "fraud_score": 0.125},
    }
    return Decision(**(fields | changes))


def fact(subject_id: str = "t1", **changes: object) -> Fact:
    fields: dict[str, object] = {
        "system": "fraud",
        "subject_id": subject_id,
        "kind": "fraud",
        "value": True,
        "observed_at": NOVEMBER + 10 * SECOND,
        "source": "chargeback",
        "received_at": NOVEMBER + 11 * SECOND,
    }
    return Fact(**(fields | changes))


def row_of(kept: Decision) -> Row:
    return spelled_row({field.name: getattr(kept, field.name) for field in fields(kept)})


def keep_decisions(records: Records, batch: Iterable[Decision]) -> DecisionOutcome:
    return records.record_rows([row_of(kept) for kept in batch])


def count_decisions(records: Records, system: str) -> int:
    return sum(1 for _ in records.decisions(system, 0, 2**62))


def append(log: DecisionLog, kept: Decision) -> None:
    log.append_line(encode_row(row_of(kept)))


def drained(log: DecisionLog, records: Records) -> DrainOutcome:
    """What a drain of the directory stored, once this log has given up its segment."""
    log.seal()
    outcome = drain(log.directory, records)
    log.measure()
    return outcome


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A PostgreSQL 15 of its own on a socket in a folder of its own; the URL up to the database."""
    if not installed():
        if os.environ.get("CI") == "true":
            pytest.fail(f"no PostgreSQL in {POSTGRESQL}; apt-get install postgresql-15")
        pytest.skip(f"no PostgreSQL in {POSTGRESQL}")
    with running() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind with its tables and no rows."""
    if request.param == "sqlite":
        return migrated_file(tmp_path / "records.db")
    return migrated_database(request.getfixturevalue("postgresql"))


@pytest.fixture(params=["sqlite", "postgresql"])
def url_without_tables(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind that was never migrated."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/records.db"
    return new_database(request.getfixturevalue("postgresql"))


@contextmanager
def migrated(store: Store) -> Iterator[Store]:
    """A store with its tables, closed at the end."""
    store.migrate()
    with closing(store):
        yield store


def empty_records(folder: Path) -> str:
    """URL of a SQLite database with its tables and no rows."""
    return migrated_file(folder / "records.db")


@pytest.fixture
def opened(url: str) -> Iterator[Callable[[Callable[[str], Store]], Store]]:
    """Opens a store of the database, whichever class it is of, with its tables."""
    with ExitStack() as stack:
        yield lambda kind: stack.enter_context(migrated(kind(url)))


@pytest.fixture
def records(url: str) -> Iterator[Records]:
    with migrated(Records(url)) as opened:
        yield opened


@pytest.fixture
def reviews(url: str) -> Iterator[ReviewStore]:
    with migrated(ReviewStore(url)) as opened:
        yield opened
