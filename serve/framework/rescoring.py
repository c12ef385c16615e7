"""Answers of a fallback given again, once what was out is back."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from lib.records import Decision, RecordsUnavailableError
from serve.framework.decision_store import DecisionStore
from serve.framework.json_log import JsonLog
from serve.framework.metrics import RESCORE_FAULTS, Metrics
from serve.framework.problem import fault_fields

RescoreDecision = Callable[[Decision], Awaitable[Mapping[str, Any] | None]]
_AT_ONCE = 5
_ITEM_SECONDS = 60.0
# a claim outlives its items, however long each may take
_LEASE_US = int((_AT_ONCE + 1) * _ITEM_SECONDS * 1_000_000)


class Rescorer:
    """Works off the fallbacks that wait.

    Args:
        decision_store: where they wait.
        rescore: what would have been answered; None while a part is out.
        ready: whether the parts are back.
        meter: counts them.
        rescored: the instrument.
        log: says how many.
        now: microseconds since 1970 UTC.
    """

    def __init__(
        self,
        decision_store: DecisionStore,
        rescore: RescoreDecision,
        ready: Callable[[], Awaitable[bool]],
        meter: Metrics,
        rescored: str,
        log: JsonLog,
        now: Callable[[], int],
    ) -> None:
        self._decision_store, self._rescore, self._ready = decision_store, rescore, ready
        self._meter, self._rescored, self._log, self._now = meter, rescored, log, now
        self._worker = f"{socket.gethostname()}:{os.getpid()}"

    async def run_once(self) -> int:
        """Answers the oldest fallbacks again until none waits; returns how many it answered.

        Claims none while a part is out, and stops when one goes out. A fallback that fails
        otherwise, or takes more than a minute, is tried again later, after some times no more; the
        ones behind it are answered.
        """
        done, more = 0, True
        try:
            while more and await self._ready():
                waiting = await self._decision_store.claim(_AT_ONCE, self._worker, _LEASE_US)
                more = len(waiting) == _AT_ONCE
                for index, decision in enumerate(waiting):
                    outcome = await self._try(decision)
                    done += outcome is True
                    if outcome is None:
                        more = False
                        await self._decision_store.give_back(
                            [later_decision.subject_id for later_decision in waiting[index:]]
                        )
                        break
        except RecordsUnavailableError:
            pass  # what is claimed is free again when its lease ends
        if done:
            self._meter.count(self._rescored, amount=done)
            self._log.write("rescored", decisions=done)
        return done

    async def _try(self, decision: Decision) -> bool | None:
        """True: answered; False: it failed; None: a part is out."""
        try:
            async with asyncio.timeout(_ITEM_SECONDS):
                answer = await self._rescore(decision)
            if answer is None:
                return None
            await self._decision_store.mark_rescored(decision.subject_id, answer, self._now())
        except RecordsUnavailableError:
            raise
        except Exception as error:  # whatever it was, the others are not held up by it
            parked = await self._decision_store.fail(decision.subject_id, type(error).__name__)
            outcome = "parked" if parked else "later"
            self._meter.count(RESCORE_FAULTS.name, outcome)
            self._log.write("rescore-failed", "error", outcome=outcome, **fault_fields(error))
            return False
        return True
