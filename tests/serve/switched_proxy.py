"""A TCP proxy on loopback in front of a socket, which can refuse, or take and never answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy.engine import make_url


class SwitchedProxy:
    """Forwards to a Unix socket while `mode` is `open`; `hung` holds bytes back, `away` hangs up.

    Args:
        target: the socket.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self.mode = "open"
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listens on a free port of 127.0.0.1."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def switch(self, mode: str) -> None:
        """Forwards, hangs or hangs up from now on."""
        self.mode = mode
        if mode == "away":
            for writer in self._writers:
                writer.transport.abort()

    async def close(self) -> None:
        """Hangs up and stops listening."""
        self.switch("away")
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        await asyncio.sleep(0.05)  # aborted transports close in the next turns of the loop

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        if self.mode == "away":
            writer.transport.abort()
            return
        while self.mode == "hung":
            await asyncio.sleep(0.02)
        with suppress(OSError):
            there, back = await asyncio.open_unix_connection(self._target)
            self._writers.add(back)
            for source, sink in ((reader, back), (there, writer)):
                task = asyncio.create_task(self._pump(source, sink))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                while self.mode == "hung":
                    await asyncio.sleep(0.02)
                sink.write(data)
                await sink.drain()
        sink.close()
        self._writers.discard(sink)


@contextmanager
def proxied(server: str, database: str = "postgres") -> Iterator[tuple[str, SwitchedProxy]]:
    """A database behind a proxy that runs in a thread of its own."""
    url = make_url(server.format(database=database))
    loop = asyncio.new_event_loop()
    proxy = SwitchedProxy(Path(str(url.query["host"])) / ".s.PGSQL.5432")
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(proxy.start(), loop).result()
    yield f"postgresql+psycopg://postgres@127.0.0.1:{proxy.port}/{database}", proxy
    asyncio.run_coroutine_threadsafe(proxy.close(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
