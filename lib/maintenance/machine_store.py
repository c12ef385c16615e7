"""What is remembered of each machine, for replicas that share it: SQLite or Redis.

A memory is written only over the revision that was read, so two replicas that take readings of one
machine at once never lose either's.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

import redis
import redis.asyncio
from redis.exceptions import RedisError

from lib.durable import make_private
from lib.durable.sqlite import Checkpointer, leave_checkpoints, write_ahead
from lib.durable.threaded_file import ThreadedFile
from lib.feature.store import parse_store_url, sqlite_file

_KEY = "forewarn:machine:"
_WRITE = """
local at = redis.call('HGET', KEYS[1], 'revision')
if (at or '0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'memory', ARGV[3])
return 1
"""
Done = TypeVar("Done")


class MachineStoreError(Exception):
    """The store did not answer, or not in time."""


class MachineStore(Protocol):
    """Memories of machines by id; every store passes the same tests.

    Every method raises MachineStoreError where the store is out.
    """

    async def read(self, machine_id: str) -> tuple[bytes | None, int]:
        """The memory and its revision; None and 0 of a machine that was never written."""
        ...

    async def write(self, machine_id: str, memory: bytes, revision: int) -> bool:
        """Replace the memory of `revision`; False where another was written since."""
        ...

    async def ping(self) -> None:
        """Returns if the store answers."""
        ...

    async def close(self) -> None:
        """Gives connections back."""
        ...


def open_machine_store(url: str, timeout: float) -> MachineStore:
    """A store; nothing is connected yet.

    Args:
        url: see `parse_store_url`, also for what it raises.
        timeout: seconds to wait for it.
    """
    path = parse_store_url("machine_store", url)
    return RedisMachines(url, timeout) if path is None else SqliteMachines(path, timeout)


def erase_machine(url: str, machine_id: str, *, count_only: bool = False) -> int:
    """Erase what is remembered of a machine; returns 1, or 0 where there was nothing.

    Args:
        url: as for `open_machine_store`.
        machine_id: which.
        count_only: leave it as it is.

    Raises:
        MachineStoreError: the store is out, or there is no such file.
    """
    try:
        path = sqlite_file(url)
        if path is None:
            with redis.Redis.from_url(url, socket_timeout=30) as client:
                key = _KEY + machine_id
                return int(cast(int, client.exists(key) if count_only else client.unlink(key)))
        if not path.exists():
            raise MachineStoreError(f"machine store: expected a file at {path}, found none")
        connection = sqlite3.connect(path, 30, isolation_level=None)
        try:
            from_where = "FROM machines WHERE machine_id = ?"
            if count_only:
                counted = connection.execute(f"SELECT count(*) {from_where}", (machine_id,))
                return int(counted.fetchone()[0])
            connection.execute("PRAGMA secure_delete = ON")
            done = connection.execute(f"DELETE {from_where}", (machine_id,)).rowcount
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return done
        finally:
            connection.close()
    except (sqlite3.Error, RedisError) as error:
        raise MachineStoreError(f"machine store: {error}") from error


class SqliteMachines(ThreadedFile[sqlite3.Connection]):
    """SQLite in WAL mode behind one thread; see `ThreadedFile`."""

    _checkpointer: Checkpointer | None = None

    async def read(self, machine_id: str) -> tuple[bytes | None, int]:
        """See `MachineStore.read`."""

        def read(connection: sqlite3.Connection) -> tuple[bytes | None, int]:
            query = "SELECT memory, revision FROM machines WHERE machine_id = ?"
            row = connection.execute(query, (machine_id,)).fetchone()
            return (None, 0) if row is None else (bytes(row[0]), int(row[1]))

        return await self._run(read)

    async def write(self, machine_id: str, memory: bytes, revision: int) -> bool:
        """See `MachineStore.write`."""

        def write(connection: sqlite3.Connection) -> bool:
            if revision == 0:
                done = connection.execute(
                    "INSERT INTO machines (machine_id, revision, memory) VALUES (?, 1, ?) "
                    "ON CONFLICT DO NOTHING",
                    (machine_id, memory),
                )
            else:
                done = connection.execute(
                    "UPDATE machines SET revision = revision + 1, memory = ? "
                    "WHERE machine_id = ? AND revision = ?",
                    (memory, machine_id, revision),
                )
            return done.rowcount == 1

        return await self._run(write)

    async def ping(self) -> None:
        """See `MachineStore.ping`."""
        await self._run(lambda connection: connection.execute("SELECT 1").fetchone())

    async def close(self) -> None:
        """See `MachineStore.close`."""
        if self._checkpointer is not None:
            await asyncio.to_thread(self._checkpointer.close)
        await super().close()

    def _call(self, work: Callable[[sqlite3.Connection], Done]) -> Done:
        try:
            return super()._call(work)
        except (sqlite3.Error, OSError) as error:
            raise MachineStoreError(f"machine store {self._path}: {error}") from error

    def _open(self) -> sqlite3.Connection:
        make_private(self._path)
        connection = sqlite3.connect(
            self._path, self._timeout, isolation_level=None, check_same_thread=False
        )
        write_ahead(connection, self._timeout)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS machines (machine_id TEXT PRIMARY KEY, "
            "revision INTEGER NOT NULL, memory BLOB NOT NULL) WITHOUT ROWID"
        )
        leave_checkpoints(connection)
        self._checkpointer = Checkpointer(self._path, timeout=self._timeout)
        return connection


class RedisMachines:
    """Redis or Valkey; a write is a script, so that nothing comes between look and change.

    Args:
        url: of the server.
        timeout: seconds to wait for an answer.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self._client = redis.asyncio.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=timeout
        )
        self._script = self._client.register_script(_WRITE)

    async def read(self, machine_id: str) -> tuple[bytes | None, int]:
        """See `MachineStore.read`."""
        key = _KEY + machine_id
        values = await self._ask(lambda: self._client.hmget(key, ["memory", "revision"]))
        memory, revision = cast(list[bytes | None], values)
        return (None, 0) if revision is None else (memory, int(revision))

    async def write(self, machine_id: str, memory: bytes, revision: int) -> bool:
        """See `MachineStore.write`."""
        keys: list[str] = [_KEY + machine_id]
        arguments: list[str | bytes] = [str(revision), str(revision + 1), memory]
        return bool(await self._ask(lambda: self._script(keys=keys, args=arguments)))

    async def ping(self) -> None:
        """See `MachineStore.ping`."""
        await self._ask(self._client.ping)

    async def close(self) -> None:
        """See `MachineStore.close`."""
        await self._client.aclose()

    async def _ask(self, call: Callable[[], Any]) -> Any:
        try:
            return await call()
        except (RedisError, OSError, TimeoutError) as error:
            raise MachineStoreError(f"machine store: {error}") from error
