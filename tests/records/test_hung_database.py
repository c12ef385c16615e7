"""A database that takes connections and never answers holds nobody for ever."""

import time

import pytest
from sqlalchemy import text

from lib.records import RecordsUnavailableError
from lib.records.database import Database
from tests.serve.switched_proxy import proxied


def ask(database: Database, query: str = "SELECT 1") -> object:
    with database.reading() as connection:
        return connection.execute(text(query)).scalar_one()


@pytest.mark.timeout(120)
def test_a_statement_ends_though_the_server_never_answers(postgresql: str) -> None:
    with proxied(postgresql) as (url, proxy):
        database = Database(url, statement_seconds=1.0)
        assert ask(database) == 1
        proxy.switch("hung")
        begun = time.monotonic()
        with pytest.raises(RecordsUnavailableError, match=r"127\.0\.0\.1"):
            ask(database)
        assert time.monotonic() - begun < 60
        proxy.switch("open")
        assert ask(database) == 1
        database.close()


@pytest.mark.timeout(120)
def test_the_server_itself_ends_a_statement_and_a_wait_for_a_lock(postgresql: str) -> None:
    database = Database(postgresql.format(database="postgres"), statement_seconds=0.5)
    with pytest.raises(RecordsUnavailableError, match="statement timeout"):
        ask(database, "SELECT pg_sleep(30)")
    assert ask(database, "SHOW lock_timeout") == "10s"
    database.close()
