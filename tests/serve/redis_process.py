"""A Redis server of a test's own, which can be stopped and started again with its data."""

from __future__ import annotations

import contextlib
import subprocess
import time
from pathlib import Path

import redis

from tests.conftest import free_port

_SECONDS = 60.0


class RedisProcess:
    """Redis on a free port; data survives `stop` and `start`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._log = folder / "redis.log"
        self._has_answered = False
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start the server and wait until it answers.

        Before the first answer, a port that somebody else took meanwhile is exchanged for another.

        Raises:
            RuntimeError: it did not answer in a minute; carries the end of its log.
        """
        until = time.monotonic() + _SECONDS
        while time.monotonic() < until:
            if self._process is None or self._process.poll() is not None:
                self._begin()
            with redis.Redis.from_url(self.url) as client, contextlib.suppress(redis.RedisError):
                if client.info("server")["process_id"] == self._process.pid:
                    self._has_answered = True
                    return
            time.sleep(0.02)
        raise RuntimeError(f"redis-server did not start: {self._log.read_text()[-2000:]}")

    def _begin(self) -> None:
        if self._process is not None and not self._has_answered:
            self._port = free_port()
        command = ["redis-server", "--port", str(self._port), "--bind", "127.0.0.1", "--save", ""]
        options = ["--appendonly", "yes", "--dir", str(self._folder), "--logfile", str(self._log)]
        self._process = subprocess.Popen([*command, *options])

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None
