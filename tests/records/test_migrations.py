import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from lib.records import Records, RecordsError
from lib.records.database import Database
from lib.records.migration import alembic_config
from lib.records.schema import METADATA
from tests.records.conftest import count_decisions, decision, keep_decisions


def migrate(url: str) -> None:
    with Records(url) as records:
        records.migrate()


@pytest.fixture
def database(url_without_tables: str) -> Iterator[Database]:
    opened = Database(url_without_tables)
    yield opened
    opened.close()


def test_the_migrations_make_exactly_the_schema_of_the_code(
    url_without_tables: str, database: Database
) -> None:
    migrate(url_without_tables)
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_migrating_again_changes_nothing(url_without_tables: str) -> None:
    with Records(url_without_tables) as records:
        records.migrate()
        keep_decisions(records, [decision("t1")])
        records.migrate()
        assert records.decision("fraud", "t1") == decision("t1")


def test_processes_that_start_together_migrate_once(url_without_tables: str) -> None:
    context = multiprocessing.get_context("spawn")
    starting = [context.Process(target=migrate, args=(url_without_tables,)) for _ in range(3)]
    for process in starting:
        process.start()
    for process in starting:
        process.join()
    assert [process.exitcode for process in starting] == [0, 0, 0]
    with Records(url_without_tables) as records:
        assert count_decisions(records, "fraud") == 0


def test_threads_that_start_together_migrate_once(url_without_tables: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, [url_without_tables] * 8))
    with Records(url_without_tables) as records:
        assert count_decisions(records, "fraud") == 0


def test_a_schema_newer_than_the_code_is_refused(
    url_without_tables: str, database: Database
) -> None:
    migrate(url_without_tables)
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(RecordsError, match="schema is at 9999, newer than this code"):
        migrate(url_without_tables)


def test_a_database_never_migrated_says_what_to_run(url_without_tables: str) -> None:
    with (
        Records(url_without_tables) as records,
        pytest.raises(RecordsError, match=r"run Records\.migrate\(\)"),
    ):
        keep_decisions(records, [decision("t1")])


def test_downgrading_leaves_no_table_behind(url_without_tables: str, database: Database) -> None:
    migrate(url_without_tables)
    with database.writing() as connection:
        command.downgrade(alembic_config(connection), "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]


@pytest.mark.parametrize(
    ("index", "query"),
    [
        (
            "review_waiting_by_time",
            "SELECT subject_id FROM review_waiting WHERE system = 'fraud' "
            "ORDER BY queued_at, subject_id LIMIT 200",
        ),
        (
            "review_items_by_time",
            "SELECT count(*) FROM review_items WHERE system = 'fraud' AND kind = 'review' "
            "AND created_at > 10 AND created_at <= 20",
        ),
    ],
)
def test_a_part_of_a_queue_is_read_from_an_index(
    url_without_tables: str, database: Database, index: str, query: str
) -> None:
    migrate(url_without_tables)
    with database.reading() as connection:
        if not database.is_sqlite:  # an empty table is read whole, whatever its indexes
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            connection.execute(text("SET LOCAL enable_sort = off"))
        explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
        plan = "\n".join(str(row) for row in connection.execute(text(explain + query)))
    assert index in plan
    assert "TEMP B-TREE" not in plan
