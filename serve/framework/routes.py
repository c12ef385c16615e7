"""What is open, to whom, and how much of it at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from serve.framework.problem import Problem
from serve.framework.request_context import RequestContext

Handler = Callable[[bytes, RequestContext], Awaitable[bytes]]

PUBLIC = ""


@dataclass(frozen=True, slots=True)
class Route:
    """One way in.

    Attributes:
        method: GET or POST.
        path: below the prefix; one that ends in `/` admits everything below it.
        scope: what the caller's key must allow; `PUBLIC` asks for no key.
        handler: answers 200 with JSON from the body, without FastAPI; None leaves it to FastAPI.
        body_bytes: largest body, in bytes; None is the gateway's default.
        deadline_ms: time for an answer where the caller names none; None is the gateway's default.
    """

    method: str
    path: str
    scope: str
    handler: Handler | None = None
    body_bytes: int | None = None
    deadline_ms: float | None = None


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one replica admits.

    Attributes:
        body_bytes: largest body, in bytes.
        deadline_ms: time for an answer where the caller names none, milliseconds.
        longest_deadline_ms: the most a caller may ask for in X-Deadline-Ms.
        in_flight: requests with a key at a time; more are answered 503.
        retry_after_s: seconds that a 503 asks to wait.
        public_in_flight: documentation pages without a key at a time; more are answered 503.
    """

    body_bytes: int = 64 * 1024
    deadline_ms: float = 2000.0
    longest_deadline_ms: float = 30_000.0
    in_flight: int = 128
    retry_after_s: int = 1
    public_in_flight: int = 16


_PUBLIC_DOORS = (
    Route("GET", "/healthz", PUBLIC),
    Route("GET", "/readyz", PUBLIC),
    Route("GET", "/docs", PUBLIC),
    Route("GET", "/openapi.json", PUBLIC),
    Route("GET", "/static-offline-docs/", PUBLIC),
)


class RouteTable:
    """Every door of an application.

    Args:
        prefix: where the application lives, e.g. `/fraud`.
        doors: its own, beside health, readiness, documentation and, with the system's scope
            `read`, the details of readiness.
    """

    def __init__(self, prefix: str, doors: Iterable[Route]) -> None:
        self._prefix = prefix
        self._exact: dict[str, dict[str, Route]] = {}
        self._below: list[Route] = []
        for door in (*_PUBLIC_DOORS, Route("GET", "/status", f"{prefix[1:]}:read"), *doors):
            if door.path.endswith("/"):
                self._below.append(door)
            else:
                self._exact.setdefault(prefix + door.path, {})[door.method] = door

    def find(self, method: str, path: str) -> Route:
        """The door of a request.

        Raises:
            Problem: 404 where there is none, 405 where there is one for other methods.
        """
        methods = self._exact.get(path) or self._leading_to(path)
        door = methods.get(method)
        if door is not None:
            return door
        if methods:
            allowed = ", ".join(sorted(methods))
            raise Problem(405, "method", f"expected {allowed}, got {method}")
        raise Problem(404, "not-found", f"nothing is served here; see {self._prefix}/docs")

    def _leading_to(self, path: str) -> dict[str, Route]:
        return {
            door.method: door for door in self._below if path.startswith(self._prefix + door.path)
        }
