"""Stores what both models said from a process of its own, so that no answer waits for it.

`python -m lib.experiment.writer_process` is that process: making and sending statements would hold
the interpreter of a service for some 20 ms of each second.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import Any

from lib.experiment.models import ExperimentDecision
from lib.experiment.repository import ExperimentRepository
from lib.experiment.worker_messages import MessageError, frame, read_message
from lib.records.errors import RecordsError, RecordsUnavailableError

_ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 20.0
_NICE = 10
_NAMES = tuple(field.name for field in fields(ExperimentDecision))
_columns = attrgetter(*_NAMES)


class WriterProcess:
    """Stores rows of experiments beside this process; used by one thread at a time.

    It is started by the first rows and, after its death, by the next ones; it ends when this
    process does.

    Args:
        records: URL of the database; it is handed over by a socket, for it may hold a password.
    """

    def __init__(self, records: str) -> None:
        self._records = records
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None

    def insert_decisions(self, rows: Sequence[ExperimentDecision]) -> int:
        """Store rows; of two rows of a subject the first stays. Waits for the end of it.

        Returns:
            How many were new.

        Raises:
            RecordsError: the database refuses them.
            RecordsUnavailableError: it is away, or the process is; the same rows can be sent again.
        """
        reply = self._exchange({"rows": [_columns(row) for row in rows]})
        if "unavailable" in reply:
            raise RecordsUnavailableError(reply["unavailable"])
        if "refused" in reply:
            raise RecordsError(reply["refused"])
        return int(reply["stored"])

    def close(self) -> None:
        """End the process; what it was given is stored."""
        channel, self._channel = self._channel, None
        process, self._process = self._process, None
        if channel is not None:
            channel.close()
        if process is not None:
            try:
                process.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _exchange(self, message: Any) -> dict[str, Any]:
        try:
            channel = self._channel or self._start()
            channel.sendall(frame(message))
            with channel.makefile("rb") as stream:
                reply = read_message(stream)
        except (OSError, MessageError) as error:
            reply = None
            text = f"the process that stores them: {type(error).__name__}"
        else:
            text = "the process that stores them ended"
        if not isinstance(reply, dict):
            if self._process is not None:
                self._process.kill()
            self.close()
            raise RecordsUnavailableError(f"rows of experiments are not stored; {text}")
        return reply

    def _start(self) -> socket.socket:
        ours, other = socket.socketpair()
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lib.experiment.writer_process"],
                stdin=other.fileno(),
                stdout=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path},
            )
        ours.settimeout(_SECONDS)
        ours.sendall(frame({"records": self._records}))
        self._channel = ours
        return ours


def main() -> None:
    """Store rows until the standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):
        os.nice(_NICE)
    with socket.socket(fileno=0) as channel, channel.makefile("rwb") as stream:
        if (start := read_message(stream)) is None:
            return
        with closing(ExperimentRepository(start["records"])) as repository:
            while (message := read_message(stream)) is not None:
                stream.write(frame(_stored(repository, message["rows"])))
                stream.flush()


def _stored(repository: ExperimentRepository, rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    try:
        decisions = [ExperimentDecision(**dict(zip(_NAMES, row, strict=True))) for row in rows]
        return {"stored": repository.insert_decisions(decisions)}
    except RecordsUnavailableError as error:
        return {"unavailable": str(error)}
    except RecordsError as error:
        return {"refused": str(error)}


if __name__ == "__main__":
    main()
