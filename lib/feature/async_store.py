"""The profile store that a URL names, for an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from lib.durable import make_folder
from lib.feature.profile_exchange import ProfileReply, ProfileRequest
from lib.feature.redis_store import AsyncRedisStore
from lib.feature.sqlite_store import SqliteStore
from lib.feature.store import AsyncProfileStore, StoreError, parse_store_url

Done = TypeVar("Done")


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


class ThreadedSqliteStore:
    """SQLite behind one thread: the file has one writer at a time anyway.

    Args:
        path: the file; its folder is made if absent.
        timeout: seconds to wait for another process's write.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self._path, self._timeout = path, timeout
        self._store: SqliteStore | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="profiles")

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

    async def close(self) -> None:
        """See `ProfileStore.close`."""
        if self._store is not None:
            await self._run(lambda store: store.close())
        self._thread.shutdown()

    async def _run(self, work: Callable[[SqliteStore], Done]) -> Done:
        def call() -> Done:
            return work(self._opened())

        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def _opened(self) -> SqliteStore:
        if self._store is None:
            try:
                make_folder(self._path.parent)
            except OSError as error:
                raise StoreError(f"profile store {self._path}: {error}") from error
            self._store = SqliteStore(self._path, timeout=self._timeout, checkpoints_apart=True)
        return self._store
