"""Profiles in Redis or Valkey: one script call per event, atomic, shared by all replicas.

Numbers are kept in doubles inside the script, so whole numbers stay exact below 2**53; squares are
split into two lanes for that reason (`Quantity.squared`).
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import msgpack
import redis
import redis.asyncio
from redis.backoff import NoBackoff

from lib.feature.profile import Exchange, Profile, Reply
from lib.feature.store import StoreError


class RedisStore:
    """A profile store in Redis.

    Args:
        url: e.g. `redis://127.0.0.1:6379/0`, or `unix:///run/redis.sock`.
        prefix: stands before every key, so that several systems can share a server.
        timeout: seconds to wait for an answer.
    """

    def __init__(self, url: str, prefix: str = "fw:", timeout: float = 1.0) -> None:
        self._prefix = prefix.encode()
        self._redis = redis.Redis.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=timeout
        )
        self._script = self._redis.register_script(_script())

    def exchange(self, request: Exchange) -> Reply:
        """See `ProfileStore.exchange`."""
        try:
            return _reply(self._script(*_call(self._prefix, request)))
        except redis.RedisError as error:
            raise StoreError(f"profile store: {error}") from error

    def settle(self, receipt: str, answer: bytes, seconds: int) -> None:
        """See `ProfileStore.settle`."""
        try:
            self._redis.set(_receipt(self._prefix, receipt), b"a" + answer, ex=seconds, xx=True)
        except redis.RedisError as error:
            raise StoreError(f"profile store: {error}") from error

    def ping(self) -> None:
        """See `ProfileStore.ping`."""
        try:
            self._redis.ping()
        except redis.RedisError as error:
            raise StoreError(f"profile store: {error}") from error

    def close(self) -> None:
        """See `ProfileStore.close`."""
        self._redis.close()


class AsyncRedisStore:
    """The same store for an event loop.

    Args:
        url, prefix, timeout: as for `RedisStore`.
        connections: at least as many as there are requests at a time.
    """

    def __init__(
        self, url: str, prefix: str = "fw:", timeout: float = 1.0, connections: int = 256
    ) -> None:
        self._prefix = prefix.encode()
        self._redis = redis.asyncio.Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            max_connections=connections,
            retry=redis.asyncio.retry.Retry(NoBackoff(), 1),
        )
        self._script = self._redis.register_script(_script())

    async def exchange(self, request: Exchange) -> Reply:
        """See `ProfileStore.exchange`."""
        try:
            return _reply(await self._script(*_call(self._prefix, request)))
        except (redis.RedisError, OSError) as error:
            raise StoreError(f"profile store: {error}") from error

    async def settle(self, receipt: str, answer: bytes, seconds: int) -> None:
        """See `ProfileStore.settle`."""
        try:
            name = _receipt(self._prefix, receipt)
            await self._redis.set(name, b"a" + answer, ex=seconds, xx=True)
        except (redis.RedisError, OSError) as error:
            raise StoreError(f"profile store: {error}") from error

    async def ping(self) -> None:
        """See `ProfileStore.ping`."""
        try:
            await self._redis.ping()
        except (redis.RedisError, OSError) as error:
            raise StoreError(f"profile store: {error}") from error

    async def close(self) -> None:
        """See `ProfileStore.close`."""
        await self._redis.aclose()


@cache
def _script() -> str:
    return resources.files("lib.feature").joinpath("redis_exchange.lua").read_text()


def _receipt(prefix: bytes, receipt: str) -> bytes:
    return prefix + b"r:" + receipt.encode()


def _call(prefix: bytes, request: Exchange) -> tuple[list[bytes], list[bytes]]:
    keys = [_receipt(prefix, request.receipt), *(prefix + b"p:" + key for key in request.keys)]
    updates = (
        request.receipt_seconds,
        request.lifetimes,
        request.expired,
        request.adds,
        request.keeps,
        request.touches,
    )
    return keys, [msgpack.packb(updates, use_bin_type=False)]


def _reply(raw: Any) -> Reply:
    first, state = raw
    if state[:1] == b"a":
        return Reply(False, (), state[1:])
    profiles = msgpack.unpackb(state[1:], raw=True, strict_map_key=False)
    return Reply(bool(first), tuple(_profile(fields) for fields in profiles))


def _profile(fields: Any) -> Profile:
    """A profile from fields and numbers in turn (an empty one comes as an empty map)."""
    if not fields:
        return {}
    return dict(zip(fields[::2], map(msgpack.unpackb, fields[1::2]), strict=True))
