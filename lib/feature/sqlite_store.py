"""Profiles in one SQLite file: the store that needs no server.

Several processes may share the file: writes take turns (write-ahead log, immediate transactions).
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgpack

from lib.durable import make_private
from lib.durable.sqlite import Checkpointer, leave_checkpoints, write_ahead
from lib.feature.profile_exchange import (
    FOR_EVER,
    Profile,
    ProfileReply,
    ProfileRequest,
    apply,
    changed,
    lifetime,
)
from lib.feature.store import StoreError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS profiles (
    key BLOB PRIMARY KEY, fields BLOB NOT NULL, expires_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS receipt (
    id TEXT PRIMARY KEY, before BLOB, answer BLOB, expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS receipt_expiry ON receipt (expires_at);
CREATE TABLE IF NOT EXISTS receipts (
    name TEXT PRIMARY KEY, mark BLOB NOT NULL, before BLOB, answer BLOB, expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS receipts_expiry ON receipts (expires_at);
"""
_NEVER = 2**62


class SqliteStore:
    """A profile store in a file.

    Args:
        path: the file, made if absent; its folder must exist.
        clock: seconds since 1970 UTC; decides what has outlived its time.
        timeout: seconds to wait for another process's write before giving up.
        checkpoints_apart: whether a thread moves the write-ahead log into the file, for a service
            whose requests cannot wait for it; else the commits do.
    """

    def __init__(
        self,
        path: str | Path,
        clock: Callable[[], float] = time.time,
        timeout: float = 5.0,
        checkpoints_apart: bool = False,
    ) -> None:
        self._clock = clock
        self._checkpointer: Checkpointer | None = None
        self._lock = threading.Lock()
        try:
            if str(path) != ":memory:" and Path(path).parent.is_dir():
                make_private(Path(path))
            self._connection = sqlite3.connect(
                path, timeout=timeout, isolation_level=None, check_same_thread=False
            )
            write_ahead(self._connection, timeout)
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(_SCHEMA)
            if checkpoints_apart:
                leave_checkpoints(self._connection)
                self._checkpointer = Checkpointer(Path(path), timeout=timeout)
        except sqlite3.Error as error:
            raise StoreError(f"profile store {path}: {error}") from error

    def exchange(self, request: ProfileRequest) -> ProfileReply:
        """See `ProfileStore.exchange`."""
        now = int(self._clock())
        with self._transaction() as run:
            reply = self._stored_reply(request, now)
            if reply is not None:
                return reply
            stored = [self._load(part.key, now) for part in request.parts]
            before = tuple(map(_profile, stored))
            after = [_profile(fields) for fields in stored]
            apply(request, after)
            for part, profile, changes in zip(request.parts, after, changed(request), strict=True):
                if changes:
                    self._save(part.key, profile, lifetime(part, profile), now)
            expires_at = now + request.receipt_seconds
            run(
                "INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, NULL, ?)",
                (request.receipt, request.mark, msgpack.packb(before), expires_at),
            )
        return ProfileReply(True, before)

    def settle(self, receipt: str, answer: bytes, seconds: int) -> None:
        """See `ProfileStore.settle`."""
        expires_at = int(self._clock()) + seconds
        with self._transaction() as run:
            run(
                "UPDATE receipts SET before = NULL, answer = ?, expires_at = ? WHERE name = ?",
                (answer, expires_at, receipt),
            )

    def sweep(self) -> int:
        """Deletes what has outlived its time; returns how many rows."""
        now = int(self._clock())
        with self._transaction() as run:
            profiles = run("DELETE FROM profiles WHERE expires_at <= ?", (now,)).rowcount
            receipts = run("DELETE FROM receipts WHERE expires_at <= ?", (now,)).rowcount
            legacy = run("DELETE FROM receipt WHERE expires_at <= ?", (now,)).rowcount
        return int(profiles + receipts + legacy)

    def ping(self) -> None:
        """See `ProfileStore.ping`."""
        with self._transaction() as run:
            run("SELECT 1 FROM profiles LIMIT 1")

    def close(self) -> None:
        """See `ProfileStore.close`."""
        if self._checkpointer is not None:
            self._checkpointer.close()
        self._connection.close()

    def _stored_reply(self, request: ProfileRequest, now: int) -> ProfileReply | None:
        """The reply to an exchange whose receipt is there already."""
        run = self._connection.execute
        row = run(
            "SELECT mark, before, answer FROM receipts WHERE name = ? AND expires_at > ?",
            (request.receipt, now),
        ).fetchone()
        if row:
            mark, before, answer = row
            if answer is None and not request.admits(mark):
                return ProfileReply(False, (), same=False)
            return ProfileReply(False, _profiles(before), answer)
        if request.legacy is None:
            return None
        row = run(
            "SELECT before FROM receipt WHERE id = ? AND answer IS NULL AND expires_at > ?",
            (request.legacy, now),
        ).fetchone()
        profiles = _profiles(row[0]) if row else ()
        return (
            ProfileReply(False, profiles) if row and len(profiles) == len(request.parts) else None
        )

    def _load(self, key: bytes, now: int) -> bytes | None:
        row = self._connection.execute(
            "SELECT fields FROM profiles WHERE key = ? AND expires_at > ?", (key, now)
        ).fetchone()
        return row[0] if row else None

    def _save(self, key: bytes, profile: Profile, seconds: int, now: int) -> None:
        expires_at = _NEVER if seconds == FOR_EVER else now + seconds
        self._connection.execute(
            "INSERT OR REPLACE INTO profiles VALUES (?, ?, ?)",
            (key, msgpack.packb(profile), expires_at),
        )

    @contextmanager
    def _transaction(self) -> Iterator[Callable[..., sqlite3.Cursor]]:
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection.execute
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise StoreError(f"profile store: {error}") from error


def _profile(fields: bytes | None) -> Profile:
    return [] if fields is None else msgpack.unpackb(fields)


def _profiles(before: bytes | None) -> tuple[Profile, ...]:
    return () if before is None else tuple(msgpack.unpackb(before))
