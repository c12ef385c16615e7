"""Authentication, limits, deadlines, error answers and the access log of every application.

Pure ASGI, around the FastAPI application of a system. A door may name a direct handler, which then
answers without FastAPI's routing (0.2 ms a request); the same route stays in FastAPI for its
documentation. A path without a door is a 404 here, so a route that was forgotten is never open.
Callers without a key get prepared pages only: they have no deadline of their own, send no body, and
take none of the places of callers with a key.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from fastapi import FastAPI

from lib.access import AccessError, ApiKeys
from serve.framework.admission import Admission
from serve.framework.asgi import (
    Receive,
    ResponseSender,
    Scope,
    Send,
    bearer_token,
    discard_body,
    has_body,
    read_body,
    refuse_body,
    replay_body,
)
from serve.framework.exception_mapping import problem_from
from serve.framework.health import HealthChecks
from serve.framework.json_log import JsonLog
from serve.framework.metrics import MILLISECONDS, Metric, Metrics
from serve.framework.paths import routed_path
from serve.framework.problem import Problem
from serve.framework.public_pages import PublicPages
from serve.framework.request_context import RequestContext, request_id_of
from serve.framework.routes import PUBLIC, RequestLimits, Route, RouteTable

TIMED_ONE_IN = 8
REQUEST_MS = Metric(
    "forewarn_request_ms", "time of one answer in eight, ms", ("route",), MILLISECONDS
)
REQUESTS = Metric("forewarn_requests", "answers by route and status", ("route", "status"))
_SECONDS = 1000.0
_DISCARDED_BYTES, _DISCARD_SECONDS = 64 * 1024 * 1024, 2.0
_POLICY_VIOLATION = 1008
_LONGEST_SHOWN = 40


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
        readiness: of the application; None leaves `/readyz` to its route.
    """

    app: Callable[[Scope, Receive, Send], Awaitable[None]]
    prefix: str
    doors: tuple[Route, ...]
    keys: ApiKeys
    log: JsonLog
    meter: Metrics
    limits: RequestLimits = field(default_factory=RequestLimits)
    names_request: bool = True
    readiness: HealthChecks | None = None

    def __post_init__(self) -> None:
        self._doors = RouteTable(self.prefix, self.doors)
        self._admission = Admission(self.limits)
        self._public = PublicPages(self.app, self.prefix, self.limits, self.readiness)
        self._turns = itertools.cycle(range(TIMED_ONE_IN))

    def prepare_documentation(self) -> Self:
        """Computes the description of the API, which would hold the first request for it."""
        if isinstance(self.app, FastAPI):
            self.app.openapi()
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; the lifespan goes to the application, a websocket is closed."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        call = RequestContext(request_id_of(headers.get(b"x-request-id")), "", time.perf_counter())
        sender = ResponseSender(send, call.request_id, self.names_request)
        route = "unknown"
        try:
            path = routed_path(scope)
            door = self._doors.find(scope["method"], path)
            route = door.path
            if door.method == "GET":
                refuse_body(headers)
            if door.scope == PUBLIC:
                await self._admission.public()
                await self._public.answer(path, {**scope, "path": path}, sender, call)
            else:
                await self._admitted(door, {**scope, "path": path}, headers, receive, sender, call)
        except Problem as problem:
            if not call.key_id:
                await self._admission.public()
            if has_body(headers) and not call.body_read:
                sender.close_after()
            await sender.problem(problem)
        except TimeoutError:
            if has_body(headers) and not call.body_read:
                sender.close_after()
            late = "no answer within the deadline; the same request can be sent again"
            await sender.problem(Problem(504, "deadline", late))
        except Exception as error:
            self._confess(error, call)
            await sender.problem(problem_from(error))
        finally:
            self._note(route, scope["method"], sender.status, call)

    async def _admitted(
        self,
        door: Route,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        receive: Receive,
        sender: ResponseSender,
        call: RequestContext,
    ) -> None:
        """Answers a caller whose key has the scope, within limits and deadline."""
        self._authenticate(door, headers, call)
        deadline = self._deadline(door, headers)
        with self._admission.keyed():
            async with asyncio.timeout(deadline):
                await self._serve(door, scope, headers, receive, sender, call)

    async def _serve(
        self,
        door: Route,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        receive: Receive,
        sender: ResponseSender,
        call: RequestContext,
    ) -> None:
        if door.handler is not None:
            # no name here holds the body: it goes once the handler needs it no more
            answer = await door.handler(await self._body(door, headers, receive, call), call)
            await sender.json(answer)
            return
        body = await self._body(door, headers, receive, call)
        # every body here is JSON, whatever `curl -d` calls it
        others = [pair for pair in scope["headers"] if pair[0] != b"content-type"]
        scope["headers"] = [*others, (b"content-type", b"application/json")]
        scope["root_path"] = self.prefix
        scope["forewarn.call"] = call
        await self.app(scope, replay_body(body, receive), sender.forward)

    async def _body(
        self, door: Route, headers: Mapping[bytes, bytes], receive: Receive, call: RequestContext
    ) -> bytes:
        if door.method == "GET":
            return b""
        most = door.body_bytes or self.limits.body_bytes
        try:
            body = await read_body(headers, receive, most)
        except Problem as problem:
            if problem.status == 413 and b"content-length" in headers:
                call.body_read = await discard_body(receive, _DISCARDED_BYTES, _DISCARD_SECONDS)
            raise
        call.body_read = True
        return body

    def _authenticate(
        self, door: Route, headers: Mapping[bytes, bytes], call: RequestContext
    ) -> None:
        try:
            caller = self.keys.verify(bearer_token(headers), door.scope, time.time_ns() // 1000)
        except AccessError as error:
            call.log_fields["refused"] = error.cause
            call.key_id = error.key_id or ""
            kind = "unauthenticated" if error.status == 401 else "forbidden"
            raise Problem(error.status, kind, str(error)) from None
        call.key_id, call.reviewers = caller.key_id, caller.reviewers

    def _deadline(self, door: Route, headers: Mapping[bytes, bytes]) -> float:
        """Seconds until the answer is due: the caller's wish, the route's default, ours."""
        wish = headers.get(b"x-deadline-ms")
        if wish is None:
            return (door.deadline_ms or self.limits.deadline_ms) / _SECONDS
        try:
            milliseconds = float(wish)
        except ValueError:
            milliseconds = -1.0
        most = max(self.limits.longest_deadline_ms, door.deadline_ms or 0.0)
        if not 0.0 < milliseconds <= most:
            text = (
                f"X-Deadline-Ms: expected milliseconds above 0 and up to {most:.0f}, "
                f"got {wish[:_LONGEST_SHOWN]!r}"
            )
            raise Problem(400, "deadline", text)
        return milliseconds / _SECONDS

    def _note(self, route: str, method: str, status: int, call: RequestContext) -> None:
        elapsed_ms = (time.perf_counter() - call.started) * _SECONDS
        self.meter.count(REQUESTS.name, route, str(status))
        if next(self._turns) == 0:  # a histogram's price is that of ten counts
            self.meter.observe(REQUEST_MS.name, elapsed_ms, route)
        self.log.write(
            "request",
            request_id=call.request_id,
            method=method,
            route=route,
            status=status,
            ms=round(elapsed_ms, 3),
            key_id=call.key_id,
            **call.log_fields,
        )

    def _confess(self, error: Exception, call: RequestContext) -> None:
        # the type and place only: a message may quote what a person sent
        trace, frames = error.__traceback__, []
        while trace is not None:
            code = trace.tb_frame.f_code
            frames.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_name}")
            trace = trace.tb_next
        self.log.write(
            "fault",
            "error",
            request_id=call.request_id,
            error=type(error).__name__,
            trace=frames[-8:],
        )
