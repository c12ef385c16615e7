"""A Redis server of a test's own, which can be stopped and started again with its data."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import redis


class RedisProcess:
    """Redis on a free port; data survives `stop` and `start`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self._port = listener.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        options = ["--port", str(self._port), "--dir", str(self._folder), "--appendonly", "yes"]
        self._process = subprocess.Popen(
            ["redis-server", *options, "--save", ""], stdout=subprocess.DEVNULL
        )
        with redis.Redis.from_url(self.url) as client:
            for _ in range(200):
                try:
                    client.ping()
                except redis.RedisError:
                    time.sleep(0.02)
                else:
                    return
        raise RuntimeError("redis-server did not start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None
