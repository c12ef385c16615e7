"""Sessions of the console, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from lib.console.sessions import SessionLimits, SessionRepository
from lib.records.database import Database
from tests.records.conftest import NOVEMBER, SECOND

MINUTE = 60 * SECOND
LIMITS = SessionLimits(idle=30 * MINUTE, longest=120 * MINUTE)
Opened = Callable[[Any], Any]


@pytest.fixture
def sessions(opened: Opened) -> SessionRepository:
    repository: SessionRepository = opened(SessionRepository)
    return repository


def test_a_session_is_found_by_its_secret_alone(sessions: SessionRepository) -> None:
    secret, begun = sessions.begin("0123456789ab", "ann", NOVEMBER)
    assert sessions.find(secret, LIMITS, NOVEMBER + SECOND) == begun
    for other in ("", begun.id, secret[:-1], secret + "x", "x" * 10_000, "\udc80"):
        assert sessions.find(other, LIMITS, NOVEMBER + SECOND) is None


def test_the_database_does_not_hold_the_secret(sessions: SessionRepository, url: str) -> None:
    secret, _ = sessions.begin("0123456789ab", "ann", NOVEMBER)
    database = Database(url)
    with database.reading() as connection:
        rows = connection.execute(text("SELECT * FROM console_sessions")).all()
    database.close()
    assert len(rows) == 1
    assert secret not in str(rows)


def test_every_session_has_a_secret_of_its_own(sessions: SessionRepository) -> None:
    secrets = {sessions.begin("0123456789ab", "ann", NOVEMBER)[0] for _ in range(20)}
    assert len(secrets) == 20


def test_a_session_that_is_used_lasts_until_its_longest(sessions: SessionRepository) -> None:
    secret, _ = sessions.begin("0123456789ab", "ann", NOVEMBER)
    times = [NOVEMBER + step * 20 * MINUTE for step in range(1, 6)]
    assert all(sessions.find(secret, LIMITS, at) for at in times)
    assert sessions.find(secret, LIMITS, NOVEMBER + LIMITS.longest) is None
    assert sessions.find(secret, LIMITS, times[-1]) is None, "ended for good"


def test_a_session_that_is_not_used_ends(sessions: SessionRepository) -> None:
    secret, _ = sessions.begin("0123456789ab", "ann", NOVEMBER)
    assert sessions.find(secret, LIMITS, NOVEMBER + LIMITS.idle - 1) is not None
    idle, _ = sessions.begin("0123456789ab", "ann", NOVEMBER)
    assert sessions.find(idle, LIMITS, NOVEMBER + LIMITS.idle) is None


def test_an_ended_session_stays_as_it_ended(sessions: SessionRepository) -> None:
    secret, begun = sessions.begin("0123456789ab", "ann", NOVEMBER)
    assert sessions.end(begun.id, "signed out", NOVEMBER + SECOND)
    assert not sessions.end(begun.id, "expired", NOVEMBER + 2 * SECOND)
    assert sessions.find(secret, LIMITS, NOVEMBER + 3 * SECOND) is None


def test_a_name_that_was_said_stays(sessions: SessionRepository) -> None:
    secret, begun = sessions.begin("0123456789ab", None, NOVEMBER)
    assert sessions.name(begun.id, "ann")
    assert not sessions.name(begun.id, "bob")
    found_session = sessions.find(secret, LIMITS, NOVEMBER)
    assert found_session is not None
    assert found_session.reviewer == "ann"


def test_old_sessions_are_forgotten(sessions: SessionRepository) -> None:
    sessions.begin("0123456789ab", "ann", NOVEMBER)
    secret, begun = sessions.begin("0123456789ab", "ann", NOVEMBER + MINUTE)
    assert sessions.forget(NOVEMBER + MINUTE) == 1
    assert sessions.find(secret, LIMITS, NOVEMBER + MINUTE) == begun
