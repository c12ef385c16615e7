"""Decisions by day: one of an id wins across days, and old tables become a partition."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from alembic import command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from lib.records import Records
from lib.records.database import Database
from lib.records.json_codec import write_json
from lib.records.migration import alembic_config
from lib.records.partitions import DAY, partitions
from tests.records.conftest import NOVEMBER, count_decisions, decision, keep_decisions, row_of


def test_the_first_decision_of_an_id_wins_whatever_its_day(records: Records) -> None:
    first = decision("t1", received_at=NOVEMBER)
    later = decision("t1", received_at=NOVEMBER + 3 * DAY, decision="DECLINE")
    assert keep_decisions(records, [first]).stored == 1
    outcome = keep_decisions(records, [later, decision("t2", received_at=NOVEMBER + 3 * DAY)])
    assert (outcome.stored, outcome.repeated) == (1, 1)
    assert records.decision("fraud", "t1") == first
    assert count_decisions(records, "fraud") == 2


def test_of_one_batch_the_first_wins_too(records: Records) -> None:
    batch = [decision("t1", decision="REVIEW"), decision("t1", received_at=NOVEMBER + DAY)]
    assert keep_decisions(records, batch).repeated == 1
    stored = records.decision("fraud", "t1")
    assert stored is not None
    assert stored.decision == "REVIEW"


def test_threads_that_store_one_id_on_two_days_store_it_once(url: str) -> None:
    with Records(url) as records:
        records.migrate()
        batches = [
            [decision(f"t{n}", received_at=NOVEMBER + day * DAY) for n in range(50)]
            for day in range(4)
        ]
        with ThreadPoolExecutor(4) as pool:
            outcomes = list(pool.map(partial(keep_decisions, records), batches))
        assert sum(outcome.stored for outcome in outcomes) == 50
        assert count_decisions(records, "fraud") == 50
        assert len(list(records.decisions("fraud", 0, 2**62))) == 50


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_partition_is_made_for_each_day_and_for_the_next(url: str, records: Records) -> None:
    keep_decisions(records, [decision("t1"), decision("t2", received_at=NOVEMBER + 5 * DAY)])
    database = Database(url)
    with database.reading() as connection:
        names = [partition.name for partition in partitions(connection)]
    database.close()
    assert names == ["decisions_p20261123", "decisions_p20261128", "decisions_p20261129"]


def test_rows_of_a_table_without_days_are_kept_by_the_migration(url_without_tables: str) -> None:
    database = Database(url_without_tables)
    with database.migrating() as connection:
        command.upgrade(alembic_config(connection), "0004")
    row = row_of(decision("t1"))
    with database.writing() as connection:
        names = ", ".join(f'"{name}"' for name in row)
        values = ", ".join(f":{name}" for name in row)

        plain = {
            name: write_json(value).decode() if isinstance(value, dict | list) else value
            for name, value in row.items()
        }
        connection.execute(text(f"INSERT INTO decisions ({names}) VALUES ({values})"), plain)
    with Records(url_without_tables) as records:
        records.migrate()
        assert records.decision("fraud", "t1") == decision("t1")
        later = decision("t1", received_at=NOVEMBER + 9 * DAY)
        new = decision("t2", received_at=NOVEMBER + 9 * DAY)
        assert keep_decisions(records, [later, new]).stored == 1
        assert [record.subject_id for record in records.decisions("fraud", 0, 2**62)] == [
            "t1",
            "t2",
        ]
    with database.writing() as connection:
        command.downgrade(alembic_config(connection), "0004")
        kept = connection.execute(text("SELECT count(*) FROM decisions")).scalar_one()
    database.close()
    assert kept == 2


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 8), st.integers(0, 3)), max_size=6),
        min_size=1,
        max_size=4,
    )
)
def test_a_model_of_first_wins(records: Records, batches: list[list[tuple[int, int]]]) -> None:
    """Whatever days and batches: the stored decision of an id is the first that was sent."""
    records_of: dict[str, int] = {}
    system = f"s{abs(hash(str(batches)))}"
    for batch in batches:
        decisions = [
            decision(f"t{n}", system=system, received_at=NOVEMBER + day * DAY) for n, day in batch
        ]
        for record in decisions:
            records_of.setdefault(record.subject_id, record.received_at)
        keep_decisions(records, decisions)
    stored = {
        record.subject_id: record.received_at for record in records.decisions(system, 0, 2**62)
    }
    assert stored == records_of
