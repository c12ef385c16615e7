"""Which parts of an application work, for `/readyz`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Part:
    """How one part of an application is.

    Attributes:
        ok: whether it works.
        detail: what it is, or why it does not work.
        vital: whether the application cannot do without it; others have a fallback.
    """

    ok: bool
    detail: Mapping[str, Any] = field(default_factory=dict)
    vital: bool = False


class Readiness:
    """Asks every part.

    Args:
        checks: by name of the part.
    """

    def __init__(self, checks: Mapping[str, Callable[[], Awaitable[Part]]]) -> None:
        self._checks = dict(checks)

    def add(self, name: str, check: Callable[[], Awaitable[Part]]) -> None:
        """Asks one more part."""
        self._checks[name] = check

    async def report(self) -> tuple[int, dict[str, Any]]:
        """Status and body: 200 when all is well or has a fallback, 503 when a vital part is out.

        `status` is `ready`, `degraded` (a fallback answers) or `out`.
        """
        parts = {name: await _ask(check) for name, check in self._checks.items()}
        down = [name for name, part in parts.items() if not part.ok]
        out = [name for name in down if parts[name].vital]
        status = "out" if out else "degraded" if down else "ready"
        body = {
            "status": status,
            "out": down,
            "parts": {name: {"ok": part.ok, **part.detail} for name, part in parts.items()},
        }
        return (503 if out else 200), body


async def _ask(check: Callable[[], Awaitable[Part]]) -> Part:
    try:
        return await check()
    except Exception as error:  # a part that cannot even be asked is out
        return Part(False, {"error": f"{type(error).__name__}: {error}"})
