from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from lib.records import Records, RecordsError, RecordsUnavailableError
from lib.records.database import Database
from lib.records.migration import migrate
from tests.records.conftest import count_decisions, decision, keep_decisions


@pytest.mark.parametrize("url", ["mysql://host/db", "sqlite://", "sqlite:///:memory:", "records"])
def test_a_database_that_cannot_hold_the_records_is_refused(url: str) -> None:
    with pytest.raises(RecordsError, match="records URL"):
        Records(url)


def test_a_server_that_is_away_is_told_apart_from_a_bad_record() -> None:
    records = Records("postgresql+psycopg://u:secret@127.0.0.1:1/records")
    with pytest.raises(RecordsUnavailableError, match=r"u:\*\*\*@127") as raised:
        records.decision("fraud", "t1")
    assert "secret" not in str(raised.value)


def test_sqlite_keeps_a_write_ahead_log_that_survives_a_power_cut(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/records.db")
    migrate(database)
    with database.writing() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    database.close()


def test_writers_that_overlap_neither_fail_nor_lose_a_decision(records: Records) -> None:
    batch = [decision(f"t{number:04}") for number in range(1000)]
    # against each other, so that whoever locks row by row would wait for the other for ever
    with ThreadPoolExecutor(4) as pool:
        stored = sum(
            outcome.stored
            for outcome in pool.map(partial(keep_decisions, records), [batch, batch[::-1]] * 2)
        )
    assert stored == count_decisions(records, "fraud") == 1000


def test_a_server_that_dropped_every_connection_is_used_again(postgresql: str) -> None:
    with Records(postgresql.format(database="postgres")) as records:
        records.migrate()
        engine = create_engine(postgresql.format(database="postgres"))
        with engine.connect() as other:
            others = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            for pid in other.exec_driver_sql(others).scalars().all():
                other.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
        engine.dispose()
        assert keep_decisions(records, [decision("t1")]).stored == 1
