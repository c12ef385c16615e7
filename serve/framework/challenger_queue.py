"""What the challenger is to score: batched, bounded, and answered by a fault where it fails."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lib.concurrency.circuit_breaker import CircuitBreaker
from lib.concurrency.running_timeout import RunningTimeout
from serve.framework.challenger_process import Answer, ChallengerError

LATE, STARTING, RESTING, QUEUE_FULL = "late", "starting", "resting", "queue full"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_GATHER_SECONDS = 0.005
_MOST_ROWS, _MOST_BYTES = 2_000, 64 << 20
_BATCH_ROWS, _BATCH_BYTES = 16, 16 << 20
_LATE_IN_A_ROW, _LATE_REST = 3, 1.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What the challenger says of one input.

    Attributes:
        answer: of the system's loader; None where there is a fault.
        fault: its kind, or None.
        ms: milliseconds from when a decision asked or, where none waits for it, from when it was
            sent to the process; None where it was not.
    """

    answer: Answer | None
    fault: str | None = None
    ms: float | None = None


class Process(Protocol):
    """See `ChallengerProcess`."""

    async def start(self, seconds: float) -> Mapping[str, Any]:
        """Starts it."""
        ...

    async def answers(self, inputs: Sequence[bytes], seconds: float) -> list[Answer]:
        """Asks it."""
        ...

    async def close(self) -> None:
        """Ends it."""
        ...


@dataclass(slots=True)
class _Entry:
    packed: bytes
    done: Callable[[Reply], None]
    began: float | None = None


class ChallengerQueue:
    """Inputs on their way to the challenger, and the life of its process.

    What must be decided goes first; the rest is gathered for 5 ms, so that a busy service writes
    seldom. Beyond 2,000 inputs or 64 MiB, and while the process starts or rests after a fault,
    inputs are answered by a fault at once. The process is started anew after each end, with pauses
    that double up to 30 s.

    Args:
        new_process: makes one.
        start_seconds: for it to load the model.
        batch_seconds: for it to answer a batch; then it is ended.
        heard: called with the fault, or None, of each input of a batch that was answered, with
            one fault for a batch that was not, and one for a start that failed.
    """

    def __init__(
        self,
        new_process: Callable[[], Process],
        start_seconds: float,
        batch_seconds: float,
        heard: Callable[[Sequence[str | None]], None],
    ) -> None:
        self._new_process, self._heard = new_process, heard
        self._start_seconds, self._batch_seconds = start_seconds, batch_seconds
        self._deciding: deque[_Entry] = deque()
        self._waiting: deque[_Entry] = deque()
        self._bytes = 0
        self._due = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._breaker = CircuitBreaker(_LATE_IN_A_ROW, _LATE_REST)
        self.about: Mapping[str, Any] | None = None
        self.state = STARTING
        self.error: str | None = None
        self.starts = 0

    @property
    def ready(self) -> bool:
        """Whether a process with the model answers."""
        return self.about is not None

    def submit(self, packed: bytes, done: Callable[[Reply], None]) -> None:
        """Has an input scored soon; `done` is called once, at the latest when the queue ends."""
        if self._admits(packed, done):
            self._waiting.append(_Entry(packed, done))
            if self._timer is None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(_GATHER_SECONDS, self._due.set)

    async def ask(self, packed: bytes, seconds: float) -> Reply:
        """The reply to an input that a decision waits for, at most so long."""
        if not self._breaker.allows():
            return Reply(None, RESTING)
        began, loop = time.perf_counter(), asyncio.get_running_loop()
        answered: asyncio.Future[Reply] = loop.create_future()

        def done(reply: Reply) -> None:
            if not answered.done():
                answered.set_result(reply)

        if self._admits(packed, done):
            self._deciding.append(_Entry(packed, done, began))
            self._due.set()
        try:
            async with RunningTimeout(seconds):
                reply = await answered
        except TimeoutError:
            self._breaker.failed()
            self._heard((LATE,))
            return Reply(None, LATE, (time.perf_counter() - began) * 1000.0)
        if reply.fault is None:
            self._breaker.succeeded()
        return reply

    async def run(self) -> None:
        """Keeps a process and gives it what waits, until it is cancelled."""
        pause = _FIRST_PAUSE
        try:
            while True:
                process = self._new_process()
                try:
                    await self._open(process)
                    while True:
                        await self._answer(process, await self._next())
                        pause = _FIRST_PAUSE
                except ChallengerError as error:
                    self._fail(error)
                finally:
                    self.about = None
                    await asyncio.shield(process.close())
                await asyncio.sleep(pause)
                pause = min(2.0 * pause, _LONGEST_PAUSE)
        finally:
            self.about = None
            self._refuse_all(RESTING)

    def _admits(self, packed: bytes, done: Callable[[Reply], None]) -> bool:
        fault = None
        if self.about is None:
            fault = self.state
        elif (
            len(self._waiting) + len(self._deciding) >= _MOST_ROWS
            or self._bytes + len(packed) > _MOST_BYTES
        ):
            fault = QUEUE_FULL
        if fault is not None:
            done(Reply(None, fault))
            return False
        self._bytes += len(packed)
        return True

    async def _open(self, process: Process) -> None:
        self.state = STARTING
        self.starts += 1
        self.about = await process.start(self._start_seconds)
        self.error = None

    async def _next(self) -> list[_Entry]:
        """A batch: what decisions wait for, then the rest."""
        while True:
            await self._due.wait()
            self._due.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            batch: list[_Entry] = []
            size = 0
            while (entries := self._deciding or self._waiting) and len(batch) < _BATCH_ROWS:
                size += len(entries[0].packed)
                if batch and size > _BATCH_BYTES:
                    break
                batch.append(entries.popleft())
            if self._deciding or self._waiting:
                self._due.set()
            self._bytes -= sum(len(entry.packed) for entry in batch)
            if batch:
                return batch

    async def _answer(self, process: Process, batch: Sequence[_Entry]) -> None:
        now = time.perf_counter()
        for entry in batch:
            entry.began = now if entry.began is None else entry.began
        try:
            inputs = [entry.packed for entry in batch]
            answers = await process.answers(inputs, self._batch_seconds)
        except ChallengerError as error:
            for entry in batch:
                entry.done(Reply(None, error.kind, _milliseconds(entry)))
            raise
        except BaseException:
            for entry in batch:
                entry.done(Reply(None, RESTING))
            raise
        self._heard([answer.get("fault") for answer in answers])
        for entry, answer in zip(batch, answers, strict=True):
            fault = answer.get("fault")
            entry.done(Reply(answer if fault is None else None, fault, _milliseconds(entry)))

    def _fail(self, error: ChallengerError) -> None:
        self.about, self.state = None, RESTING
        self.error = f"{error.kind}: {error}"
        self._heard((error.kind,))
        self._refuse_all(RESTING)

    def _refuse_all(self, fault: str) -> None:
        entries = [*self._deciding, *self._waiting]
        self._deciding.clear()
        self._waiting.clear()
        self._bytes = 0
        for entry in entries:
            entry.done(Reply(None, fault))


def _milliseconds(entry: _Entry) -> float:
    return (time.perf_counter() - (entry.began or 0.0)) * 1000.0
