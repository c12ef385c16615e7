"""The door of every application: nothing behind it runs without a key, a limit and a deadline.

Pure ASGI, around the FastAPI application of a system. A door may name a direct handler, which then
answers without FastAPI's routing (0.2 ms a request); the same route stays in FastAPI for its
documentation. A path without a door is a 404 here, so a route that was forgotten is never open.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lib.access import AccessError, ApiKeys
from serve.gateway.call import Call, request_id_of
from serve.gateway.log import JsonLog
from serve.gateway.meter import Instrument, Meter
from serve.gateway.problem import MEDIA_TYPE, Problem

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Handler = Callable[[bytes, Call], Awaitable[bytes]]

REQUESTS = Instrument("forewarn_requests", "answers by route and status", ("route", "status"))
PUBLIC = ""
_SECONDS = 1000.0


@dataclass(frozen=True, slots=True)
class Door:
    """One way in.

    Attributes:
        method: GET or POST.
        path: below the prefix; one that ends in `/` admits everything below it.
        scope: what the caller's key must allow; `PUBLIC` asks for no key.
        handler: answers 200 with JSON from the body, without FastAPI; None leaves it to FastAPI.
        body_bytes: largest body, in bytes; None is the gateway's default.
    """

    method: str
    path: str
    scope: str
    handler: Handler | None = None
    body_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What one replica admits.

    Attributes:
        body_bytes: largest body, in bytes.
        deadline_ms: time for an answer where the caller names none, milliseconds.
        longest_deadline_ms: the most a caller may ask for in X-Deadline-Ms.
        in_flight: requests at a time; more are answered 503.
        retry_after_s: seconds that a 503 asks to wait.
    """

    body_bytes: int = 64 * 1024
    deadline_ms: float = 2000.0
    longest_deadline_ms: float = 30_000.0
    in_flight: int = 128
    retry_after_s: int = 1


_PUBLIC_DOORS = (
    Door("GET", "/healthz", PUBLIC),
    Door("GET", "/readyz", PUBLIC),
    Door("GET", "/docs", PUBLIC),
    Door("GET", "/openapi.json", PUBLIC),
    Door("GET", "/static-offline-docs/", PUBLIC),
)


@dataclass
class Gateway:
    """An ASGI application.

    Attributes:
        app: the FastAPI application of the system.
        prefix: where the system lives, e.g. `/fraud`.
        doors: what is open, beside health, readiness and documentation.
        keys: who may come in.
        log: one line per request.
        meter: counts answers.
        limits: what is admitted.
        names_request: whether to put the request id into the answer's header; False under Ray
            Serve, which does so itself.
    """

    app: Callable[[Scope, Receive, Send], Awaitable[None]]
    prefix: str
    doors: tuple[Door, ...]
    keys: ApiKeys
    log: JsonLog
    meter: Meter
    limits: Limits = field(default_factory=Limits)
    names_request: bool = True

    def __post_init__(self) -> None:
        self._exact: dict[str, dict[str, Door]] = {}
        self._below: list[Door] = []
        for door in (*_PUBLIC_DOORS, *self.doors):
            if door.path.endswith("/"):
                self._below.append(door)
            else:
                self._exact.setdefault(door.path, {})[door.method] = door
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; the lifespan goes to the application."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            raise RuntimeError(f"{scope['type']} connections are not served here")

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers = dict(scope["headers"])
        call = Call(request_id_of(headers.get(b"x-request-id")), "", started)
        sender = _Sender(send, call.request_id, self.names_request)
        route = "unknown"
        self._in_flight += 1
        try:
            door = self._door(scope)
            route = door.path
            self._admit(door, headers, call)
            async with asyncio.timeout(self._deadline(headers)):
                await self._serve(door, scope, headers, receive, sender, call)
        except Problem as problem:
            await sender.problem(problem)
        except TimeoutError:
            late = "no answer within the deadline; the same request can be sent again"
            await sender.problem(Problem(504, "deadline", late))
        except Exception as error:
            self._confess(error, call)
            await sender.problem(Problem(500, "internal", "our fault; it is in the log"))
        finally:
            self._in_flight -= 1
            self._note(route, scope["method"], sender.status, call)

    async def _serve(
        self,
        door: Door,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        receive: Receive,
        sender: _Sender,
        call: Call,
    ) -> None:
        body = await _read_body(headers, receive, door.body_bytes or self.limits.body_bytes)
        if door.handler is not None:
            await sender.json(await door.handler(body, call))
            return
        scope["root_path"] = self.prefix
        scope["forewarn.call"] = call
        await self.app(scope, _replay(body, receive), sender.forward)

    def _door(self, scope: Scope) -> Door:
        path: str = scope["path"]
        below = path[len(self.prefix) :] if path.startswith(self.prefix + "/") else ""
        methods = self._exact.get(below) or {
            door.method: door for door in self._below if below.startswith(door.path)
        }
        door = methods.get(scope["method"])
        if door is not None:
            return door
        if methods:
            allowed = ", ".join(sorted(methods))
            raise Problem(405, "method", f"expected {allowed}, got {scope['method']}")
        raise Problem(404, "not-found", f"nothing is served here; see {self.prefix}/docs")

    def _admit(self, door: Door, headers: Mapping[bytes, bytes], call: Call) -> None:
        if door.scope == PUBLIC:
            return
        try:
            caller = self.keys.verify(_token(headers), door.scope, time.time_ns() // 1000)
        except AccessError as error:
            call.notes["refused"] = error.cause
            call.key_id = error.key_id or ""
            kind = "unauthenticated" if error.status == 401 else "forbidden"
            raise Problem(error.status, kind, str(error)) from None
        call.key_id = caller.key_id
        if self._in_flight > self.limits.in_flight:
            text = f"{self.limits.in_flight} requests are being answered; send it again later"
            raise Problem(503, "overload", text, retry_after=self.limits.retry_after_s)

    def _deadline(self, headers: Mapping[bytes, bytes]) -> float:
        """Seconds until the answer is due."""
        wish = headers.get(b"x-deadline-ms")
        if wish is None:
            return self.limits.deadline_ms / _SECONDS
        try:
            milliseconds = float(wish)
        except ValueError:
            milliseconds = -1.0
        if not 0.0 < milliseconds <= self.limits.longest_deadline_ms:
            most = self.limits.longest_deadline_ms
            text = (
                f"X-Deadline-Ms: expected milliseconds above 0 and up to {most:.0f}, got {wish!r}"
            )
            raise Problem(400, "deadline", text)
        return milliseconds / _SECONDS

    def _note(self, route: str, method: str, status: int, call: Call) -> None:
        taken = (time.perf_counter() - call.started) * _SECONDS
        self.meter.count(REQUESTS.name, route, str(status))
        self.log.write(
            "request",
            request_id=call.request_id,
            method=method,
            route=route,
            status=status,
            ms=round(taken, 3),
            key_id=call.key_id,
            **call.notes,
        )

    def _confess(self, error: Exception, call: Call) -> None:
        # the type and place only: a message may quote what a person sent
        trace, places = error.__traceback__, []
        while trace is not None:
            code = trace.tb_frame.f_code
            places.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_name}")
            trace = trace.tb_next
        self.log.write(
            "fault",
            "error",
            request_id=call.request_id,
            error=type(error).__name__,
            trace=places[-8:],
        )


class _Sender:
    """Sends one answer, and remembers its status."""

    def __init__(self, send: Send, request_id: str, names_request: bool) -> None:
        self._send = send
        self._request_id = request_id
        self._named = [(b"x-request-id", request_id.encode())] if names_request else []
        self.status = 499

    async def json(self, body: bytes) -> None:
        await self._whole(200, b"application/json", [], body)

    async def problem(self, problem: Problem) -> None:
        if self.status != 499:
            return
        extra = [(k.encode(), v.encode()) for k, v in problem.headers().items()]
        body = problem.body(self._request_id)
        await self._whole(problem.status, MEDIA_TYPE.encode(), extra, body)

    async def forward(self, message: Mapping[str, Any]) -> None:
        """What an application sends, with the request id added."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message.get("headers", ()), *self._named]}
        await self._send(message)

    async def _whole(
        self, status: int, kind: bytes, extra: list[tuple[bytes, bytes]], body: bytes
    ) -> None:
        self.status = status
        headers = [
            (b"content-type", kind),
            (b"content-length", str(len(body)).encode()),
            *extra,
            *self._named,
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def _token(headers: Mapping[bytes, bytes]) -> str | None:
    """The key of `Authorization: Bearer` or `X-API-Key`."""
    value = headers.get(b"authorization")
    if value is not None:
        scheme, _, token = value.decode("latin-1").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None
    value = headers.get(b"x-api-key")
    return None if value is None else value.decode("latin-1").strip()


async def _read_body(headers: Mapping[bytes, bytes], receive: Receive, most: int) -> bytes:
    """The whole body; refused as soon as it is known to be too large."""
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit() or int(declared) > most:
        raise _too_large(most)
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body", False):
        if len(body) > most:
            break
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem(400, "incomplete", "the connection closed before the body was whole")
        body += message.get("body", b"")
    if len(body) > most:
        raise _too_large(most)
    return body


def _too_large(most: int) -> Problem:
    return Problem(413, "too-large", f"expected a body of at most {most} bytes")


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives an application the body that was read, then whatever follows."""
    given = False

    async def again() -> dict[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
