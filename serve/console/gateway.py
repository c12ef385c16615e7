"""What stands before the pages: request ids, limits, deadlines, security headers, the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request

from serve.console.console import INTERNAL, Console
from serve.console.security_headers import security_headers, with_security
from serve.console.session import PREFIX
from serve.framework.asgi import (
    Receive,
    RequestContext,
    ResponseSender,
    Scope,
    Send,
    dispatch,
    request_id_of,
)
from serve.framework.gateway import Admission
from serve.framework.json_log import AccessLog
from serve.framework.problem import Problem

ROUTE, CONTEXT, VISIT = "forewarn.route", "forewarn.context", "forewarn.visit"
DEADLINE = "forewarn.deadline"
"""Keys of a request's scope."""


class ConsoleGateway:
    """The console's ASGI application.

    Args:
        app: its pages, below no prefix.
        console: that they belong to.
        names_request: whether to put the request id into the answer's header; False under Ray
            Serve, which does so itself.
    """

    def __init__(self, app: Starlette, console: Console, names_request: bool) -> None:
        service = console.service
        self._app, self._console, self._names_request = app, console, names_request
        self._admission, self._limits = Admission(service.limits), service.limits
        self._access_log = AccessLog(service.log, service.meter)
        self._headers = security_headers(service.args.https)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; the lifespan goes to the pages, a websocket is closed."""
        await dispatch(self._app, self._answer, scope, receive, send)  # type: ignore[arg-type]

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = request_id_of(dict(scope["headers"]).get(b"x-request-id"))
        context = RequestContext(request_id, "", time.perf_counter())
        sender = ResponseSender(self._secured(send), request_id, self._names_request)
        scope = {**scope, "root_path": PREFIX, CONTEXT: context, ROUTE: "unknown", VISIT: None}
        try:
            with self._admission.keyed():
                async with asyncio.timeout(self._limits.deadline_ms / 1000.0) as deadline:
                    scope[DEADLINE] = deadline
                    await self._app(scope, receive, sender.forward)  # type: ignore[arg-type]
        except Problem as problem:  # too many at a time
            await self._refuse(problem, scope, receive, sender)
        except TimeoutError:
            late = Problem(504, "deadline", "The answer took too long. Load the page again.")
            await self._refuse(late, scope, receive, sender)
        except Exception as error:
            self._access_log.fault(error, context)
            await self._refuse(Problem(500, "internal", INTERNAL), scope, receive, sender)
        finally:
            self._access_log.request(scope[ROUTE], scope["method"], sender.status, context)

    async def _refuse(
        self, problem: Problem, scope: Scope, receive: Receive, sender: ResponseSender
    ) -> None:
        if sender.is_begun:
            return
        response = self._console.problem_page(Request(scope), problem)
        await response(scope, receive, sender.forward)  # type: ignore[arg-type]

    def _secured(self, send: Send) -> Send:
        async def secured(message: Mapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = with_security(message.get("headers", ()), self._headers)
                message = {**message, "headers": headers}
            await send(message)

        return secured
