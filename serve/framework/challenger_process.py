"""The challenger's process, as a replica asks it: whatever it does, this process only waits."""

from __future__ import annotations

import asyncio
import math
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lib.concurrency.bounded_executor import BoundedExecutor
from lib.concurrency.running_timeout import RunningTimeout
from lib.experiment.worker_messages import (
    HEAD_BYTES,
    MessageError,
    body_length,
    frame,
    message_of,
)

Answer = Mapping[str, Any]
RAISED, MEMORY, TIMEOUT, CRASHED = "raised", "memory", "timeout", "crashed"
NOT_A_NUMBER = "not a number"
_ROOT = Path(__file__).resolve().parents[2]
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class ChallengerError(Exception):
    """A challenger's process is of no use any more.

    Args:
        kind: of the fault, e.g. `timeout`; a metric's label.
        text: what happened, without anything of an input.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True)
class ChallengerSource:
    """Which model a challenger's process loads, and what it may take.

    Attributes:
        system: of the model.
        version: alias or version in the registry.
        registry: directory or URI.
        folder: where local copies are kept.
        loader: `module:function`, see `lib.experiment.challenger_worker.Loader`.
        options: for the loader; msgpack can hold them.
        memory_mb: address space beyond that of code and libraries.
        idle: whether it takes only processor time that nothing else wants, as in shadow mode;
            where a decision waits for it, it must not.
    """

    system: str
    version: str
    registry: str
    folder: str
    loader: str
    options: Mapping[str, Any]
    memory_mb: int
    idle: bool


class ChallengerProcess:
    """One process; asked by one task at a time.

    Args:
        source: what it loads.
        threads: for what blocks: its start and its end.
    """

    def __init__(self, source: ChallengerSource, threads: BoundedExecutor) -> None:
        self._source, self._threads = source, threads
        self._process: subprocess.Popen[bytes] | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, once it was started."""
        return None if self._process is None else self._process.pid

    async def start(self, seconds: float) -> Mapping[str, Any]:
        """Starts it, and returns what it says about the model once that is loaded.

        Raises:
            ChallengerError: it cannot load the model, or not in time.
        """
        try:
            self._process, ours = await self._threads.run(_spawn, self._source.idle)
        except OSError as error:
            raise ChallengerError(CRASHED, f"no process can be started: {error}") from error
        self._streams = await asyncio.open_unix_connection(sock=ours)
        reply = await self._exchange({**asdict(self._source), "seconds": seconds}, seconds)
        if "about" not in reply:
            text = str(reply.get("text", "it said nothing of the model"))
            raise ChallengerError(str(reply.get("fault", CRASHED)), text)
        about: Mapping[str, Any] = reply["about"]
        return about

    async def answers(self, inputs: Sequence[bytes], seconds: float) -> list[Answer]:
        """An answer for each packed input; one at fault has `fault` instead of a score.

        Raises:
            ChallengerError: it ended, or took longer than `seconds`; it must be closed then.
        """
        reply = await self._exchange({"inputs": list(inputs), "seconds": seconds}, seconds)
        answers = reply.get("answers")
        if not isinstance(answers, list) or len(answers) != len(inputs):
            raise ChallengerError(CRASHED, "its answer is not one for each input")
        return [checked_answer(answer) for answer in answers]

    async def close(self) -> None:
        """Ends it, whatever it is doing."""
        process, self._process = self._process, None
        if self._streams is not None:
            self._streams[1].close()
        if process is not None:
            process.kill()
            await self._threads.run(process.wait)

    async def _exchange(self, message: Any, seconds: float) -> Mapping[str, Any]:
        if self._streams is None:
            raise ChallengerError(CRASHED, "its process was not started")
        reader, writer = self._streams
        try:
            async with RunningTimeout(seconds):
                writer.write(frame(message))
                await writer.drain()
                length = body_length(await reader.readexactly(HEAD_BYTES))
                reply = message_of(await reader.readexactly(length))
        except TimeoutError as error:
            raise ChallengerError(TIMEOUT, f"no answer within {seconds:g} s") from error
        except (OSError, asyncio.IncompleteReadError) as error:
            raise ChallengerError(CRASHED, "its process ended") from error
        except MessageError as error:
            raise ChallengerError(CRASHED, str(error)) from error
        if not isinstance(reply, Mapping):
            raise ChallengerError(CRASHED, "its answer is no mapping")
        return reply


def checked_answer(answer: Any) -> Answer:
    """An answer whose score is a probability, or the fault instead."""
    if not isinstance(answer, Mapping):
        return {"fault": RAISED}
    if "fault" in answer:
        kind = answer["fault"]
        return {"fault": kind if kind in (RAISED, MEMORY) else RAISED}
    score = answer.get("score")
    # a NaN fails every comparison
    if not isinstance(score, float) or not (math.isfinite(score) and 0.0 <= score <= 1.0):
        return {"fault": NOT_A_NUMBER}
    return answer


def _spawn(idle: bool) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A process and this side of its socket; blocks for milliseconds."""
    ours, theirs_end = socket.socketpair()
    with theirs_end:
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "lib.experiment.challenger_worker"],
                stdin=theirs_end.fileno(),
                stdout=subprocess.DEVNULL,
                # what a model writes must fill no disk
                stderr=subprocess.DEVNULL,
                env=_environment(),
            )
        except OSError:
            ours.close()
            raise
    if idle:
        _make_idle(process.pid)
    with suppress(OSError):
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    ours.setblocking(False)
    return process, ours


def _make_idle(pid: int) -> None:
    """Give a process only processor time that nothing else wants, before it imports anything.

    The kernel lets whoever else wakes take the processor from a process of this class at once.
    Where it has no such class, or has ended the process already, the lowest priority is tried.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, 19)
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


def _environment() -> dict[str, str]:
    paths = [str(_ROOT), *(path for path in sys.path if path)]
    one_thread = dict.fromkeys(_ONE_THREAD, "1")
    # arenas of further threads would count as address space
    more = {"PYTHONPATH": os.pathsep.join(paths), "MALLOC_ARENA_MAX": "1"}
    return {**os.environ, **one_thread, **more}
