"""Visits of strangers to a server's public pages, as a process that imports next to nothing.

`python -m tests.benchmarks.visits`: prints `begun`, and in the end how many pages it was given.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import time
from dataclasses import dataclass, fields, replace

HOST = "127.0.0.1"
PAGES = ("/fraud/healthz", "/fraud/readyz", "/fraud/docs", "/fraud/openapi.json")
ELSEWHERE = -1
_HEAD = (
    b"GET /fraud/healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nX-Deadline-Ms: 3000\r\n\r\n"
)


@dataclass(frozen=True)
class Visits:
    """Strangers who visit a server.

    Attributes:
        port: of the server on this machine; -1 for a trivial one of this process.
        seconds: that the visits last.
        idle: strangers who announce a body and never send it.
        busy: strangers who ask for public pages.
        rate: requests of all busy strangers together, a second.
    """

    port: int
    seconds: float
    idle: int
    busy: int
    rate: float


async def visit(visits: Visits) -> int:
    """What strangers do for `seconds`; returns how many pages they were given."""
    if visits.port == ELSEWHERE:
        server = await asyncio.start_server(_trivial, HOST, 0)
        visits = replace(visits, port=server.sockets[0].getsockname()[1])
    until = time.perf_counter() + visits.seconds
    idle = [_idle(visits, number, until) for number in range(visits.idle)]
    busy = [_busy(visits, number, until) for number in range(visits.busy)]
    return sum(filter(None, await asyncio.gather(*idle, *busy)))


async def _trivial(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers every request of a connection with the same small page."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            is_idle = b"Content-Length" in head
            end = b"Connection: close\r\n" if is_idle else b""
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + end + b"\r\nok")
            if is_idle:
                break
    writer.close()


async def _idle(visits: Visits, number: int, until: float) -> None:
    """A stranger who announces a body, sends none, and comes again a second after the answer."""
    await asyncio.sleep(number / visits.idle)
    while (left := until - time.perf_counter()) > 0:
        with contextlib.suppress(OSError, TimeoutError):
            reader, writer = await asyncio.open_connection(HOST, visits.port)
            writer.write(_HEAD)
            async with asyncio.timeout(left):
                await reader.read()  # until the server closes
            writer.close()
        await asyncio.sleep(1.0)


async def _busy(visits: Visits, number: int, until: float) -> int:
    """One stranger's pages, over a connection that is kept, opened anew when it is closed."""
    pause, answers = visits.busy / visits.rate, 0
    page = PAGES[number % len(PAGES)]
    request = f"GET {page} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    await asyncio.sleep(pause * number / visits.busy)
    while time.perf_counter() < until:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection(HOST, visits.port)
            while time.perf_counter() < until:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head.lower())
                await reader.readexactly(int(length[1]) if length else 0)
                answers += 1
                await asyncio.sleep(pause)
            writer.close()
    return answers


def _parse() -> Visits:
    parser = argparse.ArgumentParser(description=__doc__)
    for field in fields(Visits):
        parser.add_argument(f"--{field.name}", type=float if "float" in field.type else int)
    return Visits(**vars(parser.parse_args()))


if __name__ == "__main__":
    chosen = _parse()
    print("begun", flush=True)
    print(asyncio.run(visit(chosen)))
