"""One connection to Redis that all requests of an event loop share.

Requests of one turn of the loop leave in one write and replies come back in order, parsed by
hiredis. redis-py's asyncio client takes a connection out of a pool for each request and waits on a
stream with a timer of its own; with 16 requests at a time that costs four to six times as much
processor time. How many requests may be under way is for the caller to limit.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections import deque
from typing import Any, cast

import hiredis
from redis.asyncio.connection import parse_url

from lib.concurrency.running_timeout import RunningTimeout, stood_still
from lib.feature.store import StoreError

_LOST = "profile store: connection lost"


class RedisLink:
    """Calls to one server; connects when first asked, and again after the connection was lost.

    Args:
        url: `redis://[[user]:password@]host:port/db`, `unix:///socket?db=1`, or `rediss://...` for
            TLS, where `ssl_ca_certs`, `ssl_certfile` and `ssl_keyfile` may follow as parameters.
        script: Lua source, for `run_script`.
        timeout: seconds to wait for a connection, and for an answer.
    """

    def __init__(self, url: str, script: str, timeout: float) -> None:
        self._options: dict[str, Any] = dict(parse_url(url))
        self._script = script.encode()
        self._sha = hashlib.sha1(self._script, usedforsecurity=False).hexdigest().encode()
        self._timeout = timeout
        self._wire: _Wire | None = None
        self._connecting: asyncio.Task[_Wire] | None = None

    async def run_script(self, keys: list[bytes], *arguments: bytes) -> Any:
        """The script's answer.

        Raises:
            StoreError: no answer, not in time, or an error.
        """
        wire = self._wire
        if wire is None or wire.lost:
            wire = await self._connected()
        count = b"%d" % len(keys)
        try:
            return await wire.call((b"EVALSHA", self._sha, count, *keys, *arguments))
        except _UnknownScriptError:
            return await wire.call((b"EVAL", self._script, count, *keys, *arguments))

    async def call(self, *command: bytes) -> Any:
        """A command's answer.

        Raises:
            StoreError: no answer, not in time, or an error.
        """
        wire = self._wire
        if wire is None or wire.lost:
            wire = await self._connected()
        return await wire.call(command)

    async def close(self) -> None:
        """Gives the connection back."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._wire is not None:
            await self._wire.close()
            self._wire = None

    async def _connected(self) -> _Wire:
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add_done_callback(self._over)
        return await asyncio.shield(self._connecting)

    def _over(self, task: asyncio.Task[_Wire]) -> None:
        self._connecting = None
        # someone who stopped waiting leaves an error unseen otherwise
        if not task.cancelled():
            task.exception()

    async def _connect(self) -> _Wire:
        try:
            async with RunningTimeout(self._timeout):
                wire = await self._open()
                try:
                    for command in self._greeting():
                        await wire.call(command)
                except BaseException:
                    await wire.close()
                    raise
        except (OSError, TimeoutError) as error:
            raise StoreError(f"profile store: {str(error) or 'no connection in time'}") from error
        self._wire = wire
        return wire

    async def _open(self) -> _Wire:
        loop, options = asyncio.get_running_loop(), self._options

        def protocol() -> _Wire:
            return _Wire(loop, self._timeout)

        if "path" in options:
            return (await loop.create_unix_connection(protocol, options["path"]))[1]
        host, port = options.get("host", "localhost"), options.get("port", 6379)
        context = None
        if options.get("connection_class") is not None:
            context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
            if options.get("ssl_certfile"):
                context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"))
        return (await loop.create_connection(protocol, host, port, ssl=context))[1]

    def _greeting(self) -> list[tuple[bytes, ...]]:
        options, commands = self._options, []
        if password := options.get("password"):
            user = [options["username"].encode()] if options.get("username") else []
            commands.append((b"AUTH", *user, password.encode()))
        if options.get("db"):
            commands.append((b"SELECT", b"%d" % options["db"]))
        return [*commands, (b"SCRIPT", b"LOAD", self._script)]


class _UnknownScriptError(StoreError):
    """The server has forgotten the script."""


class _Wire(asyncio.Protocol):
    """One connection: who waits for which reply."""

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        self.lost = False
        self._loop, self._timeout = loop, timeout
        self._closed = asyncio.Event()
        self._reader = hiredis.Reader()
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._unsent: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._excused: asyncio.Future[Any] | None = None

    def call(self, command: tuple[bytes, ...]) -> asyncio.Future[Any]:
        """The reply to come."""
        future = self._loop.create_future()
        if self.lost:
            future.set_exception(StoreError(_LOST))
            return future
        if not self._unsent:
            self._loop.call_soon(self._send)
        self._unsent.append(hiredis.pack_command(command))  # type: ignore[arg-type]
        deadline = self._loop.time() + self._timeout
        self._waiting.append((deadline, future))
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._check)
        return future

    async def close(self) -> None:
        """Ends the connection; who still waits gets an error."""
        self._fail(StoreError(_LOST))
        await self._closed.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                _, future = self._waiting.popleft()
                if not future.done():
                    self._give(future, reply)
        except hiredis.ProtocolError as error:
            self._fail(StoreError(f"profile store: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._fail(StoreError(f"{_LOST}: {exc}" if exc else _LOST))
        self._closed.set()

    def _give(self, future: asyncio.Future[Any], reply: Any) -> None:
        if not isinstance(reply, hiredis.ReplyError):
            future.set_result(reply)
        elif str(reply).startswith("NOSCRIPT"):
            future.set_exception(_UnknownScriptError(str(reply)))
        else:
            future.set_exception(StoreError(f"profile store: {reply}"))

    def _send(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self._transport is not None and unsent:
            self._transport.write(b"".join(unsent))

    def _check(self) -> None:
        """Gives up once the oldest request is too old: later replies would wait behind it."""
        self._timer = None
        if not self._waiting:
            return
        deadline, first = self._waiting[0]
        if deadline > self._loop.time():
            self._timer = self._loop.call_at(deadline, self._check)
        elif first is not self._excused and (late := stood_still(self._loop, deadline)):
            # answers that came while this process stood still are read before anything is given up
            self._excused = first
            more = min(late, self._timeout)
            self._waiting = deque((until + more, future) for until, future in self._waiting)
            self._timer = self._loop.call_later(more, self._check)
        else:
            self._fail(StoreError("profile store: no answer in time"))

    def _fail(self, error: StoreError) -> None:
        self.lost = True
        waiting, self._waiting, self._unsent = self._waiting, deque(), []
        for _, future in waiting:
            if not future.done():
                future.set_exception(error)
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
