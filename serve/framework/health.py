"""Which parts of an application work: for `/readyz` in yes and no, for `/status` in detail."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lib.storage import redacted

_HEALTHY_SECONDS, _FAILED_SECONDS = 5.0, 1.0
_PART_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Health:
    """How one part of an application is.

    Attributes:
        ok: whether it works.
        detail: what it is, or why it does not work; only callers with a key read it.
        required: whether the application cannot do without it; others have a fallback.
    """

    ok: bool
    detail: Mapping[str, Any] = field(default_factory=dict)
    required: bool = False


Check = Callable[[], Awaitable[Health]]


class HealthChecks:
    """Checks every part, at most every five seconds, and each second while a part fails.

    However many callers ask: a check takes threads and the event loop for milliseconds, which
    requests with a key would wait for.

    A check that does not end within its time counts as failed; it is not started again before it
    has ended, so that a part that hangs takes one thread and not one for each caller.

    Args:
        checks: by name of the part.
        healthy_seconds: how long a result without a failed part is given to further callers.
        failed_seconds: how long one with a failed part is.
        part_seconds: time for one check.
    """

    def __init__(
        self,
        checks: Mapping[str, Check],
        healthy_seconds: float = _HEALTHY_SECONDS,
        failed_seconds: float = _FAILED_SECONDS,
        part_seconds: float = _PART_SECONDS,
    ) -> None:
        self._checks = dict(checks)
        self._healthy_seconds, self._failed_seconds = healthy_seconds, failed_seconds
        self._part_seconds = part_seconds
        self._running: dict[str, asyncio.Task[Health]] = {}
        self._round: asyncio.Task[None] | None = None
        self._parts: Mapping[str, Health] = {}
        self._until = 0.0
        self._changes, self._last_change = 1, 0

    def add(self, name: str, check: Check) -> None:
        """Checks one more part."""
        self._checks[name] = check
        self.expire()

    def expire(self) -> None:
        """Has the next caller wait for a new check, as something has changed."""
        self._changes += 1

    async def report(self) -> tuple[int, dict[str, Any]]:
        """Status and body for everybody: 200 if all is well or has a fallback, else 503.

        `status` is `ready`, `degraded` (a fallback answers) or `out`; each part is `ok` or not.
        """
        parts = await self._checked()
        return self._answer(parts, {name: {"ok": part.ok} for name, part in parts.items()})

    async def details(self) -> tuple[int, dict[str, Any]]:
        """The same with what each part is and why it does not work, without credentials."""
        parts = await self._checked()
        details = {
            name: {"ok": part.ok, **redacted(dict(part.detail))} for name, part in parts.items()
        }
        return self._answer(parts, details)

    def _answer(
        self, parts: Mapping[str, Health], details: Mapping[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        down = [name for name, part in parts.items() if not part.ok]
        out = [name for name in down if parts[name].required]
        status = "out" if out else "degraded" if down else "ready"
        return (503 if out else 200), {"status": status, "out": down, "parts": dict(details)}

    async def _checked(self) -> Mapping[str, Health]:
        changes = self._changes
        while self._last_change < changes or time.monotonic() >= self._until:
            if self._round is None or self._round.done():
                self._round = asyncio.get_running_loop().create_task(self._check_all())
            # a caller that goes away must not end the check of the others
            await asyncio.shield(self._round)
            if self._last_change >= changes:
                break
        return self._parts

    async def _check_all(self) -> None:
        changes, names = self._changes, tuple(self._checks)
        for name in names:
            if name not in self._running:
                self._running[name] = asyncio.create_task(_result(self._checks[name]))
        await asyncio.wait(self._running.values(), timeout=self._part_seconds)
        late = Health(False, {"error": f"no answer within {self._part_seconds:g} s"})
        parts = {}
        for name in names:
            task = self._running[name]
            parts[name] = task.result() if task.done() else late
            if task.done():
                del self._running[name]
        self._parts, self._last_change = parts, changes
        works = all(part.ok for part in parts.values())
        fresh = self._healthy_seconds if works else self._failed_seconds
        self._until = time.monotonic() + fresh


async def _result(check: Check) -> Health:
    try:
        return await check()
    except Exception as error:  # a part that cannot even be checked does not work
        return Health(False, {"error": f"{type(error).__name__}: {error}"})
