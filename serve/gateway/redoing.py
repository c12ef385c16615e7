"""Answers of a fallback given again, once what was out is back."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from lib.records import Decision, RecordsUnavailableError
from serve.gateway.archive import Archive
from serve.gateway.log import JsonLog
from serve.gateway.meter import Meter

Redo = Callable[[Decision], Awaitable[Mapping[str, Any] | None]]
_AT_ONCE, _LEASE_US = 50, 60_000_000


class Redoing:
    """Works off the fallbacks that wait.

    Args:
        archive: where they wait.
        redo: what would have been answered; None while a part is out.
        ready: whether the parts are back.
        meter: counts them.
        rescored: the instrument.
        log: says how many.
        now: microseconds since 1970 UTC.
    """

    def __init__(
        self,
        archive: Archive,
        redo: Redo,
        ready: Callable[[], Awaitable[bool]],
        meter: Meter,
        rescored: str,
        log: JsonLog,
        now: Callable[[], int],
    ) -> None:
        self._archive, self._redo, self._ready = archive, redo, ready
        self._meter, self._rescored, self._log, self._now = meter, rescored, log, now
        self._worker = f"{socket.gethostname()}:{os.getpid()}"

    async def work_off(self) -> int:
        """Answers the oldest fallbacks again; returns how many.

        Claims none while a part is still out; stops at the first that cannot be answered, whose
        claim then ends by itself.
        """
        if not await self._ready():
            return 0
        try:
            waiting = await self._archive.claim(_AT_ONCE, self._worker, self._now(), _LEASE_US)
        except RecordsUnavailableError:
            return 0
        done = 0
        for decision in waiting:
            answer = await self._redo(decision)
            if answer is None:
                break
            await self._archive.mark(decision.subject_id, answer, self._now())
            done += 1
        if done:
            self._meter.count(self._rescored, amount=done)
            self._log.write("rescored", decisions=done)
        return done
