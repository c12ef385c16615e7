"""Pages without a key: health, readiness and documentation, each prepared once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic_core import to_json

from serve.framework.asgi import Headers, Receive, RequestContext, ResponseSender, Scope, Send
from serve.framework.problem import Problem
from serve.framework.routes import RequestLimits, Route

_MOST_KEPT = 64
_PREPARING_SECONDS = 10.0
Page = tuple[int, Headers, bytes]


class PublicPages:
    """Answers GET requests of anybody, at little cost and with none of the caller's settings.

    Health and readiness are never refused. Documentation, whose pages are large, is given to few
    callers at a time; a page that was answered 200 is kept and given again.

    Args:
        app: the FastAPI application.
        prefix: where it lives.
        limits: `public_in_flight` and `retry_after_s` count here.
    """

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        prefix: str,
        limits: RequestLimits,
    ) -> None:
        self._app, self._prefix, self._limits = app, prefix, limits
        self._kept: dict[str, Page] = {}
        self._in_flight = 0

    async def answer(
        self, route: Route, path: str, scope: Scope, sender: ResponseSender, context: RequestContext
    ) -> None:
        """Answers a request for a page.

        Raises:
            Problem: 503 where too many callers read documentation.
        """
        if route.handler is not None:
            status, value = await route.handler()
            await sender.json(to_json(value), status)
            return
        if self._in_flight >= self._limits.public_in_flight:
            text = "too many requests for documentation pages; try again later"
            raise Problem(503, "overload", text, retry_after=self._limits.retry_after_s)
        self._in_flight += 1
        try:
            async with asyncio.timeout(self._limits.deadline_ms / 1000.0):
                await sender.page(*await self._page(path, scope, context))
        finally:
            self._in_flight -= 1

    async def _page(self, path: str, scope: Scope, context: RequestContext) -> Page:
        if (page := self._kept.get(path)) is not None:
            return page
        async with asyncio.timeout(_PREPARING_SECONDS):
            page = await self._prepared(scope, context)
        if page[0] == 200 and len(self._kept) < _MOST_KEPT:
            self._kept[path] = page
        return page

    async def _prepared(self, scope: Scope, context: RequestContext) -> Page:
        """The application's answer to a plain GET of the path."""
        status, headers, body = 500, [], bytearray()

        requested = False

        async def receive() -> dict[str, Any]:
            nonlocal requested
            if requested:  # the caller stays: whoever waits for its leaving waits until the end
                await asyncio.Event().wait()
            requested = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Mapping[str, Any]) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status, headers = message["status"], list(message.get("headers", ()))
            else:
                body.extend(message.get("body", b""))

        # the page is kept for all: nothing of the caller's request goes into it
        plain = {
            **{name: scope[name] for name in ("type", "asgi", "http_version", "path")},
            **{"method": "GET", "query_string": b"", "headers": [], "scheme": "http"},
            **{"raw_path": scope["path"].encode(), "root_path": self._prefix, "client": None},
            **{"server": ("localhost", 80), "forewarn.context": context},
        }
        await self._app(plain, receive, send)
        return status, headers, bytes(body)
