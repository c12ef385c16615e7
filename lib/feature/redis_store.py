"""Profiles in Redis or Valkey: one script call per event, atomic, shared by all replicas.

Numbers are kept in doubles inside the script, so whole numbers stay exact below 2**53; squares are
split into two lanes for that reason (`Quantity.squared`).
"""

from functools import cache
from importlib import resources
from typing import Any

import msgpack
import redis

from lib.feature.packed_profiles import PackedProfiles
from lib.feature.packed_program import load_kernel
from lib.feature.profile_exchange import ProfileReply, ProfileRequest
from lib.feature.redis_link import RedisLink
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

    def exchange(self, request: ProfileRequest) -> ProfileReply:
        """See `ProfileStore.exchange`."""
        try:
            keys, mark = _keys(self._prefix, request), request.mark
            return _reply(self._script(keys, [_packed(request), mark]), request, mark)
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
    """The same store for an event loop, over one connection that all requests share.

    Args:
        url, prefix, timeout: as for `RedisStore`.
    """

    keeps_time = True

    def __init__(self, url: str, prefix: str = "fw:", timeout: float = 1.0) -> None:
        self._prefix = prefix.encode()
        self._link = RedisLink(url, _script(), timeout)
        load_kernel()  # not while the first event waits for its answer

    async def exchange(self, request: ProfileRequest) -> ProfileReply:
        """See `ProfileStore.exchange`."""
        keys, mark = _keys(self._prefix, request), request.mark
        return _reply(await self._link.run_script(keys, _packed(request), mark), request, mark)

    async def settle(self, receipt: str, answer: bytes, seconds: int) -> None:
        """See `ProfileStore.settle`."""
        name = _receipt(self._prefix, receipt)
        await self._link.call(b"SET", name, b"a" + answer, b"XX", b"EX", b"%d" % seconds)

    async def ping(self) -> None:
        """See `ProfileStore.ping`."""
        await self._link.call(b"PING")

    async def close(self) -> None:
        """See `ProfileStore.close`."""
        await self._link.close()


@cache
def _script() -> str:
    return resources.files("lib.feature").joinpath("redis_exchange.lua").read_text()


def _receipt(prefix: bytes, receipt: str) -> bytes:
    return prefix + b"r:" + receipt.encode()


def _keys(prefix: bytes, request: ProfileRequest) -> list[bytes]:
    profile_prefix = prefix + b"p:"
    keys = [
        _receipt(prefix, request.receipt),
        *[profile_prefix + part.key for part in request.parts],
    ]
    if request.legacy is not None:
        keys.append(_receipt(prefix, request.legacy))
    return keys


def _packed(request: ProfileRequest) -> bytes:
    """The exchange's numbers in the order in which the script takes them."""
    legacy = request.legacy is not None
    numbers = [+legacy, request.receipt_seconds, request.time, len(request.touches)]
    for touch in request.touches:
        numbers += touch
    for _, fields, lifetime, lasting, clock, adds, keeps, trims in request.parts:
        numbers += (fields, lifetime, lasting, +clock, len(adds), len(keeps), len(trims))
        for update in (*adds, *keeps, *trims):
            numbers += update
    packed: bytes = msgpack.packb(numbers)
    return packed


def _reply(raw: Any, request: ProfileRequest, mark: bytes) -> ProfileReply:
    first, state = raw
    kind, start = state[:1], 1
    if kind == b"a":
        return ProfileReply(False, (), state[1:])
    if kind == b"m":
        start += len(mark)
        if state[1:start] != mark and not request.admits(state[1:start]):
            return ProfileReply(False, (), same=False)
    return ProfileReply(bool(first), PackedProfiles(state, start))
