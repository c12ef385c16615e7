"""The profile store that a URL names, for an event loop."""

from __future__ import annotations

from lib.durable import make_folder
from lib.durable.threaded_file import ThreadedFile
from lib.feature.profile_exchange import ProfileReply, ProfileRequest
from lib.feature.redis_store import AsyncRedisStore
from lib.feature.sqlite_store import SqliteStore
from lib.feature.store import AsyncProfileStore, StoreError, parse_store_url


def open_profile_store(url: str, timeout: float) -> AsyncProfileStore:
    """A store; nothing is connected yet.

    Args:
        url: see `parse_store_url`, also for what it raises.
        timeout: seconds to wait for it.
    """
    path = parse_store_url("profile_store", url)
    if path is None:
        return AsyncRedisStore(url, timeout=timeout)
    return ThreadedSqliteStore(path, timeout)


class ThreadedSqliteStore(ThreadedFile[SqliteStore]):
    """SQLite behind one thread; see `ThreadedFile`."""

    keeps_time = False

    async def exchange(self, request: ProfileRequest) -> ProfileReply:
        """See `ProfileStore.exchange`."""
        return await self._run(lambda store: store.exchange(request))

    async def settle(self, receipt: str, answer: bytes, seconds: int) -> None:
        """See `ProfileStore.settle`."""
        await self._run(lambda store: store.settle(receipt, answer, seconds))

    async def ping(self) -> None:
        """See `ProfileStore.ping`."""
        await self._run(lambda store: store.ping())

    async def sweep(self) -> int:
        """Deletes what has outlived its time; returns how many rows."""
        return await self._run(lambda store: store.sweep())

    def _open(self) -> SqliteStore:
        try:
            make_folder(self._path.parent)
        except OSError as error:
            raise StoreError(f"profile store {self._path}: {error}") from error
        return SqliteStore(self._path, timeout=self._timeout, checkpoints_apart=True)
