"""Sessions of the console: kept in the records, so that any replica knows them and they can end.

What the browser holds is a secret of 256 random bits; the records hold its SHA-256 alone, so who
reads the database cannot act as anybody.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from sqlalchemy import delete, update

from lib.records.models import require_text, require_time
from lib.records.repository import Repository, find_row
from lib.records.schema import CONSOLE_SESSIONS

EndReason: TypeAlias = Literal["signed out", "expired", "key ended", "signed in again"]
_SECRET_BYTES = 32
_LONGEST_SECRET = 128
_SEEN_EVERY_US = 60_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """Somebody who signed in. Times are microseconds since 1970 UTC.

    Attributes:
        id: SHA-256 of the browser's secret, in hex.
        key_id: public id of the API key.
        reviewer: name under which they act; None until they have said it.
        created_at: when they signed in.
        seen_at: when they last asked for something, to the minute.
        ended_at: when it ended; None while it lasts.
        end_reason: why.
    """

    id: str
    key_id: str
    reviewer: str | None
    created_at: int
    seen_at: int
    ended_at: int | None = None
    end_reason: str | None = None


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How long a session lasts, microseconds.

    Attributes:
        idle: without a request.
        longest: in all.
    """

    idle: int
    longest: int

    def is_over(self, session: Session, now: int) -> bool:
        """Whether a session has lasted long enough."""
        return now - session.seen_at >= self.idle or now - session.created_at >= self.longest


class SessionRepository(Repository):
    """Sessions in SQLite or PostgreSQL."""

    def begin(self, key_id: str, reviewer: str | None, now: int) -> tuple[str, Session]:
        """Begin a session, always under a new secret, so that none can be planted beforehand.

        Args:
            key_id: public id of the key that was shown.
            reviewer: name, where there is but one.
            now: microseconds since 1970 UTC.

        Returns:
            The browser's secret, which is nowhere else, and the session.
        """
        require_text("key_id", key_id)
        require_time("now", now)
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        session = Session(
            id=_digest(secret), key_id=key_id, reviewer=reviewer, created_at=now, seen_at=now
        )
        with self._database.writing() as connection:
            self._insert(connection, CONSOLE_SESSIONS, [session])
        return secret, session

    def find(
        self, secret: str, limits: SessionLimits, now: int, is_used: bool = True
    ) -> Session | None:
        """The session of a secret; None where there is none or it ended.

        A session that is over is ended here; one that is used is noted to be, once a minute.

        Args:
            secret: as the browser sent it.
            limits: how long sessions last.
            now: microseconds since 1970 UTC.
            is_used: whether somebody asks, not a page by itself: only that makes it last.
        """
        if not 0 < len(secret) <= _LONGEST_SECRET:
            return None
        session_id, table = _digest(secret), CONSOLE_SESSIONS.c
        with self._database.reading() as connection:
            session = find_row(connection, Session, CONSOLE_SESSIONS, table.id == session_id)
        if session is None or session.ended_at is not None:
            return None
        if limits.is_over(session, now):
            self.end(session.id, "expired", now)
            return None
        if is_used and now - session.seen_at >= _SEEN_EVERY_US:
            self._set(session.id, seen_at=now)
            session = replace(session, seen_at=now)
        return session

    def name(self, session_id: str, reviewer: str) -> bool:
        """Say who acts in a session; said once, it stays. Returns whether it was said now."""
        require_text("reviewer", reviewer)
        return self._set(session_id, CONSOLE_SESSIONS.c.reviewer.is_(None), reviewer=reviewer)

    def end(self, session_id: str, reason: EndReason, now: int) -> bool:
        """End a session; one that ended before stays as it ended. Returns whether it ended now."""
        return self._set(session_id, ended_at=now, end_reason=reason)

    def end_secret(self, secret: str, reason: EndReason, now: int) -> None:
        """End the session of a secret, if there is one."""
        if 0 < len(secret) <= _LONGEST_SECRET:
            self.end(_digest(secret), reason, now)

    def forget(self, before: int) -> int:
        """Remove sessions that were begun before, and return how many there were."""
        with self._database.erasing() as connection:
            old = delete(CONSOLE_SESSIONS).where(CONSOLE_SESSIONS.c.created_at < before)
            return connection.execute(old).rowcount

    def ping(self) -> None:
        """Return if the database answers and has the table."""
        with self._database.reading() as connection:
            find_row(connection, Session, CONSOLE_SESSIONS, CONSOLE_SESSIONS.c.id == "")

    def _set(self, session_id: str, *conditions: object, **values: object) -> bool:
        table = CONSOLE_SESSIONS.c
        lasting = (table.id == session_id, table.ended_at.is_(None), *conditions)
        statement = update(CONSOLE_SESSIONS).where(*lasting).values(**values)  # type: ignore[arg-type]
        with self._database.writing() as connection:
            return connection.execute(statement).rowcount == 1


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
