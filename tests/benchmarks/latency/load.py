"""A light load generator: keep-alive sockets on one event loop, arrivals on time.

Open loop: requests leave at constant times whatever the server does, and latency counts from the
time a request was due, so a server that stalls is charged for all that waited (no coordinated
omission). Closed loop: each connection sends its next request when it has its answer.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

CONNECTIONS = 64
_RECONNECT_SECONDS = 0.02
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_CLOSES = b"connection: close"


@dataclass
class Tally:
    """What came back.

    Attributes:
        latencies: of answers, seconds.
        refused: of 503 with Retry-After, seconds.
        errors: everything else: other statuses, lost connections.
        seconds: how long it took in all.
    """

    latencies: list[float]
    refused: list[float] = field(default_factory=list)
    errors: int = 0
    seconds: float = 0.0

    def enter(self, latency: float, answer: Answer | None) -> None:
        """One request's outcome; None is a lost connection."""
        if answer is not None and answer.status == 200:
            self.latencies.append(latency)
        elif answer is not None and answer.status == 503 and b"retry-after:" in answer.head:
            self.refused.append(latency)
        else:
            self.errors += 1

    def summary(self) -> dict[str, float]:
        """Milliseconds by quantile, answers per second, and how many were errors."""
        ranked = sorted(self.latencies)
        return {
            **{f"{name}_ms": round(quantile(ranked, q) * 1e3, 3) for name, q in QUANTILES.items()},
            "rps": round(len(ranked) / self.seconds, 1),
            "refused": len(self.refused),
            "errors": self.errors,
            "requests": len(ranked) + len(self.refused) + self.errors,
        }


QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p999": 0.999}


def quantile(ranked: Sequence[float], share: float) -> float:
    """The smallest value that `share` of a rising sequence does not exceed; NaN of none."""
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else math.nan


class Answer(NamedTuple):
    """An HTTP answer.

    Attributes:
        status: of the answer.
        head: in small letters.
        body: as it came.
    """

    status: int
    head: bytes
    body: bytes


Heard = Callable[[bytes, Answer | None], None]


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection, one request at a time.

    Args:
        done: told the connection and the answer, None where the connection was lost.
    """

    def __init__(self, done: Callable[[Connection, Answer | None], None]) -> None:
        self._done = done
        self._buffer = b""
        self._transport: Any = None
        self.request = b""
        self.due = 0.0
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def send(self, request: bytes, due: float) -> None:
        """Sends a request that was due at `due`, seconds of `time.perf_counter`."""
        self.request, self.due, self.busy = request, due, True
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(_HEAD_END)
        if end < 0:
            return
        head = self._buffer[:end].lower()
        start = head.find(_LENGTH) + len(_LENGTH)
        stop = head.find(b"\r\n", start)
        size = int(head[start : stop if stop >= 0 else None])
        if len(self._buffer) < end + len(_HEAD_END) + size:
            return
        answer = Answer(int(self._buffer[9:12]), head, self._buffer[end + len(_HEAD_END) :])
        self._buffer, self.busy = b"", False
        if _CLOSES in head and self._transport is not None:
            self._transport.close()
            self._transport = None
        self._done(self, answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self.busy:
            self.busy = False
            self._done(self, None)

    @property
    def lost(self) -> bool:
        return self._transport is None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Load:
    """Sends requests to one address.

    Args:
        host: of the server.
        port: of the server.
        requests: makes the next request, head and body.
    """

    def __init__(self, host: str, port: int, requests: Iterator[bytes]) -> None:
        self._host, self._port, self._requests = host, port, requests

    async def closed(self, connections: int, seconds: float, heard: Heard | None = None) -> Tally:
        """Each of so many connections sends as soon as it may.

        Args:
            connections: how many.
            seconds: how long they send.
            heard: as of `open`.
        """
        tally, start = Tally([]), time.perf_counter()
        end = start + seconds
        finished = asyncio.Event()
        left = connections

        def done(connection: Connection, answer: Answer | None) -> None:
            nonlocal left
            now = time.perf_counter()
            tally.enter(now - connection.due, answer)
            if heard is not None:
                heard(connection.request, answer)
            if now < end and not connection.lost:
                connection.send(next(self._requests), now)
                return
            left -= 1
            if left == 0:
                finished.set()

        opened = [await self._connect(done) for _ in range(connections)]
        start = time.perf_counter()
        end = start + seconds
        for connection in opened:
            connection.send(next(self._requests), time.perf_counter())
        await asyncio.wait_for(finished.wait(), seconds + 30)
        tally.seconds = time.perf_counter() - start
        for connection in opened:
            connection.close()
        return tally

    async def open(
        self,
        rate: float,
        seconds: float,
        heard: Heard | None = None,
        connections: int = CONNECTIONS,
    ) -> Tally:
        """Requests leave every 1 / rate seconds.

        Args:
            rate: requests per second.
            seconds: how long they leave.
            heard: told of each request and its answer, None where the connection was lost.
            connections: over which they go; a request that finds all of them busy waits.
        """
        total = int(rate * seconds)
        tally, finished = Tally([]), asyncio.Event()
        free: deque[Connection] = deque()
        waiting: deque[float] = deque()
        opening: set[asyncio.Task[None]] = set()
        answered = 0

        def done(connection: Connection, answer: Answer | None) -> None:
            nonlocal answered
            answered += 1
            tally.enter(time.perf_counter() - connection.due, answer)
            if heard is not None:
                heard(connection.request, answer)
            if answered == total:
                finished.set()
            elif connection.lost:
                open_another()
            else:
                take(connection)

        def take(connection: Connection) -> None:
            if waiting:
                connection.send(next(self._requests), waiting.popleft())
            else:
                free.append(connection)

        async def connect() -> None:
            while not finished.is_set():
                try:
                    connection = await self._connect(done)
                except OSError:
                    await asyncio.sleep(_RECONNECT_SECONDS)
                else:
                    opened.append(connection)
                    return take(connection)
            return None

        def open_another() -> None:
            task = asyncio.get_running_loop().create_task(connect())
            opening.add(task)
            task.add_done_callback(opening.discard)

        def fire(due: float) -> None:
            while free:
                connection = free.popleft()
                if not connection.lost:
                    return connection.send(next(self._requests), due)
                open_another()
            return waiting.append(due)

        opened = [await self._connect(done) for _ in range(connections)]
        free.extend(opened)
        start = time.perf_counter() + 0.05
        pace = threading.Thread(
            target=_pace, args=(asyncio.get_running_loop(), fire, start, rate, total), daemon=True
        )
        pace.start()
        await asyncio.wait_for(finished.wait(), seconds + 60)
        tally.seconds = time.perf_counter() - start
        pace.join()
        for connection in opened:
            connection.close()
        return tally

    async def _connect(self, done: Callable[[Connection, Answer | None], None]) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(done), self._host, self._port
        )
        return connection


def _pace(
    loop: asyncio.AbstractEventLoop,
    fire: Callable[[float], None],
    start: float,
    rate: float,
    total: int,
) -> None:
    """Fires on time; a thread's sleep is exact to 0.1 ms where an event loop's timer is to 1 ms."""
    for number in range(total):
        due = start + number / rate
        wait = due - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        loop.call_soon_threadsafe(fire, due)
