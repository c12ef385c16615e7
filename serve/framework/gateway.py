"""Authentication, limits, deadlines, error answers and the access log of every application.

Pure ASGI, around the FastAPI application of a system. A route may name a direct handler, which then
answers without FastAPI's routing (0.2 ms a request); the same route stays in FastAPI for its
documentation. A path without a route is a 404 here, so a route that was forgotten is never open.
Callers without a key get prepared pages only: they have no deadline of their own, send no body, and
take none of the places of callers with a key.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from fastapi import FastAPI

from lib.access import AccessError, ApiKeys
from serve.framework.asgi import (
    Receive,
    RequestContext,
    ResponseSender,
    Scope,
    Send,
    bearer_token,
    discard_body,
    dispatch,
    has_body,
    read_body,
    refuse_body,
    replay_body,
    request_id_of,
)
from serve.framework.json_log import AccessLog, JsonLog
from serve.framework.metrics import Metrics
from serve.framework.problem import Problem, problem_from
from serve.framework.public_pages import PublicPages
from serve.framework.refused_fields import declared_names, log_names
from serve.framework.routes import PUBLIC, RequestLimits, Route, RouteTable, routed_path

_SECONDS = 1000.0
_DISCARDED_BYTES, _DISCARD_SECONDS = 64 * 1024 * 1024, 2.0
_LONGEST_SHOWN = 40
_LONGEST_WAIT_SECONDS = 0.1


@dataclass
class Gateway:
    """An ASGI application.

    Attributes:
        app: the FastAPI application of the system.
        prefix: where the system lives, e.g. `/fraud`.
        routes: every endpoint.
        keys: who may come in.
        log: one line per request.
        metrics: counts answers.
        limits: what is admitted.
        names_request: whether to put the request id into the answer's header; False under Ray
            Serve, which does so itself.
        refusals: by type of an error of a direct handler, status and kind of the problem whose
            detail is the error's message.
    """

    app: Callable[[Scope, Receive, Send], Awaitable[None]]
    prefix: str
    routes: tuple[Route, ...]
    keys: ApiKeys
    log: JsonLog
    metrics: Metrics
    limits: RequestLimits = field(default_factory=RequestLimits)
    names_request: bool = True
    refusals: Mapping[type[Exception], tuple[int, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._table = RouteTable(self.prefix, self.routes)
        self._admission = Admission(self.limits)
        self._public = PublicPages(self.app, self.prefix, self.limits)
        self._access_log = AccessLog(self.log, self.metrics)

    def prepare_documentation(self) -> Self:
        """Computes the description of the API, which would hold the first request for it."""
        if isinstance(self.app, FastAPI):
            self._declared  # noqa: B018  computed, not read
        return self

    @cached_property
    def _declared(self) -> frozenset[str]:
        """Names that the log may show."""
        return declared_names(self.app.openapi() if isinstance(self.app, FastAPI) else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; the lifespan goes to the application, a websocket is closed."""
        await dispatch(self.app, self._answer, scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        context = RequestContext(
            request_id_of(headers.get(b"x-request-id")), "", time.perf_counter()
        )
        sender = ResponseSender(send, context.request_id, self.names_request)
        label = "unknown"
        try:
            path = routed_path(scope)
            route = self._table.find(scope["method"], path)
            label = route.path
            if route.method == "GET":
                refuse_body(headers)
            if route.scope == PUBLIC:
                await self._admission.public()
                await self._public.answer(route, path, {**scope, "path": path}, sender, context)
            else:
                self._authenticate(route, headers, context)
                deadline = self._deadline(route, headers)
                with self._admission.keyed():
                    async with asyncio.timeout(deadline):
                        await self._serve(
                            route, {**scope, "path": path}, headers, receive, sender, context
                        )
        except Problem as problem:
            if not context.key_id:
                await self._admission.public()
            context.field_errors = problem.errors
            if has_body(headers) and not context.body_read:
                sender.close_after()
            await sender.problem(problem)
        except TimeoutError:
            if has_body(headers) and not context.body_read:
                sender.close_after()
            late = "no answer within the deadline; the same request can be sent again"
            await sender.problem(Problem(504, "deadline", late))
        except Exception as error:
            problem = self._problem_of(error, context)
            context.field_errors = problem.errors
            await sender.problem(problem)
        finally:
            self._log_request(label, scope["method"], sender.status, context)

    async def _serve(
        self,
        route: Route,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        receive: Receive,
        sender: ResponseSender,
        context: RequestContext,
    ) -> None:
        if route.direct and route.handler is not None:
            # no name here holds the body: it goes once the handler needs it no more
            await sender.json(
                await route.handler(await self._body(route, headers, receive, context), context)
            )
            return
        body = await self._body(route, headers, receive, context)
        # every body here is JSON, whatever `curl -d` calls it
        others = [pair for pair in scope["headers"] if pair[0] != b"content-type"]
        scope["headers"] = [*others, (b"content-type", b"application/json")]
        scope["root_path"] = self.prefix
        scope["forewarn.context"] = context
        await self.app(scope, replay_body(body, receive), sender.forward)

    async def _body(
        self,
        route: Route,
        headers: Mapping[bytes, bytes],
        receive: Receive,
        context: RequestContext,
    ) -> bytes:
        if route.method == "GET":
            return b""
        most = route.body_bytes or self.limits.body_bytes
        try:
            body = await read_body(headers, receive, most)
        except Problem as problem:
            if problem.status == 413 and b"content-length" in headers:
                context.body_read = await discard_body(receive, _DISCARDED_BYTES, _DISCARD_SECONDS)
            raise
        context.body_read = True
        return body

    def _authenticate(
        self, route: Route, headers: Mapping[bytes, bytes], context: RequestContext
    ) -> None:
        try:
            token, now = bearer_token(headers), time.time_ns() // 1000
            caller = self.keys.verify(token, route.scope, now)
            if route.further_scope:
                self.keys.verify(token, route.further_scope, now)
        except AccessError as error:
            context.log_fields["refused"] = error.cause
            context.key_id = error.key_id or ""
            kind = "unauthenticated" if error.status == 401 else "forbidden"
            raise Problem(error.status, kind, str(error)) from None
        context.key_id, context.reviewers = caller.key_id, caller.reviewers

    def _deadline(self, route: Route, headers: Mapping[bytes, bytes]) -> float:
        """Seconds until the answer is due: the caller's wish, the route's default, ours."""
        wish = headers.get(b"x-deadline-ms")
        if wish is None:
            return (route.deadline_ms or self.limits.deadline_ms) / _SECONDS
        try:
            milliseconds = float(wish)
        except ValueError:
            milliseconds = -1.0
        most = max(self.limits.longest_deadline_ms, route.deadline_ms or 0.0)
        if not 0.0 < milliseconds <= most:
            text = (
                f"X-Deadline-Ms: expected milliseconds above 0 and up to {most:.0f}, "
                f"got {wish[:_LONGEST_SHOWN]!r}"
            )
            raise Problem(400, "deadline", text)
        return milliseconds / _SECONDS

    def _problem_of(self, error: Exception, context: RequestContext) -> Problem:
        for kind in type(error).__mro__:
            if kind in self.refusals:
                return Problem(*self.refusals[kind], str(error))
        self._access_log.fault(error, context)
        return problem_from(error)

    def _log_request(self, route: str, method: str, status: int, context: RequestContext) -> None:
        if context.field_errors:
            context.log_fields["refused_fields"] = log_names(context.field_errors, self._declared)
        self._access_log.request(route, method, status, context)


class Admission:
    """Admits requests of one event loop.

    A request with a key begins at once, and is refused where too many are being answered. One
    without a key waits until none with a key is being answered, in the order of arrival and one
    for each turn of the event loop; after 0.1 s it passes in any case.

    Args:
        limits: `in_flight` and `retry_after_s` count here.
    """

    def __init__(self, limits: RequestLimits) -> None:
        self._limits = limits
        self._in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_releasing = False

    @contextmanager
    def keyed(self) -> Iterator[None]:
        """A request with a key is being answered.

        Raises:
            Problem: 503 where too many are.
        """
        if self._in_flight >= self._limits.in_flight:
            text = f"{self._limits.in_flight} requests are being answered; send it again later"
            raise Problem(503, "overload", text, retry_after=self._limits.retry_after_s)
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1
            self._release()

    async def public(self) -> None:
        """Waits until a request without a key may be answered, 0.1 s at most."""
        if not self._in_flight and not self._waiting:
            return
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        latest = loop.call_later(_LONGEST_WAIT_SECONDS, _begin, turn)
        try:
            self._release()
            await turn
        finally:
            latest.cancel()

    def _release(self) -> None:
        """Has the first that waits begin, and looks again in the next turn of the event loop."""
        if not self._is_releasing:
            self._release_next()

    def _release_next(self) -> None:
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
        self._is_releasing = bool(self._waiting) and not self._in_flight
        if self._is_releasing:
            _begin(self._waiting.popleft())
            asyncio.get_running_loop().call_soon(self._release_next)


def _begin(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
