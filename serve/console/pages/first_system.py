"""Addresses that name no system: they lead to the first one that the key has a scope for."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from serve.console.console import Console
from serve.console.session import Visit
from serve.framework.problem import Problem


@dataclass(frozen=True)
class FirstSystem:
    """Leads to the page of the first system.

    Attributes:
        page: below which each system has its own.
        needs: what needs the scope, in words.
        role: of the scope SYSTEM:role.
    """

    page: str
    needs: str
    role: str = "read"

    async def __call__(self, console: Console, visit: Visit) -> Response:
        """Sends the browser there.

        Raises:
            Problem: 403 where the key has the scope for none.
        """
        names = visit.systems(self.role, tuple(console.service.systems))
        if not names:
            text = f"Your key has no scope SYSTEM:{self.role}, which {self.needs} need."
            raise Problem(403, "forbidden", text)
        return console.redirect(f"/{self.page}/{names[0]}")
