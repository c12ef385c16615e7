"""The FastAPI application behind a gateway: documentation without a CDN, health, readiness."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from serve.framework.exception_mapping import problem_from
from serve.framework.health import HealthChecks
from serve.framework.problem import Problem, as_response
from serve.framework.request_context import RequestContext
from serve.framework.validation import to_problem

ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"description": "no valid key"},
    403: {"description": "the key lacks the scope, or may not act so"},
    413: {"description": "the body is too large"},
    422: {"description": "a field is at fault, or it cannot be done; `errors` says what"},
    503: {"description": "overloaded or out; Retry-After says when to try again"},
    504: {"description": "no answer within the deadline"},
}
"""What every endpoint may answer beside its own, for the documentation."""
_NOT_READY: dict[int | str, dict[str, Any]] = {503: {"description": "a vital part is out"}}
MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "nothing of that id"}}

CONFLICT: dict[int | str, dict[str, Any]] = {409: {"description": "the id was used otherwise"}}


def new_app(
    title: str,
    version: str,
    summary: str,
    readiness: HealthChecks,
    running: Callable[[], AbstractAsyncContextManager[None]],
) -> FastAPI:
    """An application with `/docs`, `/openapi.json`, `/healthz` and `/readyz`.

    Errors of its routes are problems (RFC 9457), like the gateway's own.

    Args:
        title: for the documentation.
        version: of the interface.
        summary: one line.
        readiness: asked by `/readyz`.
        running: what starts and ends with the application.
    """
    app = FastAPIOffline(
        title=title,
        version=version,
        summary=summary,
        redoc_url=None,
        # a redirect would carry the Host header of whoever asks
        redirect_slashes=False,
        lifespan=lambda _app: running(),
    )

    @app.get("/healthz", tags=["health"], summary="Whether the process answers")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz", tags=["health"], summary="Whether each part works", responses=_NOT_READY)
    async def readyz() -> JSONResponse:
        """`ready`, `degraded` (a fallback answers) or `out`, and of each part whether it works.

        Needs no key, and says nothing else; `/status` says why.
        """
        status, body = await readiness.report()
        return JSONResponse(body, status)

    @app.get(
        "/status",
        tags=["health"],
        summary="What each part is, and why it does not work",
        responses=_NOT_READY,
    )
    async def status() -> JSONResponse:
        """As `/readyz`, with versions and errors, for a key with the system's scope `read`."""
        code, body = await readiness.details()
        return JSONResponse(body, code)

    for kind in (Problem, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _on_error)
    _declare_keys(app)
    return app


def call_of(request: Request) -> RequestContext:
    """What the gateway knows of a request that reached a route."""
    call: RequestContext = request.scope["forewarn.call"]
    return call


async def _on_error(request: Request, error: Exception) -> Response:
    if isinstance(error, RequestValidationError):
        problem = to_problem(error.errors())
    elif isinstance(error, HTTPException):
        problem = Problem(error.status_code, "http", str(error.detail))
    else:
        problem = problem_from(error)
    return as_response(problem, call_of(request).request_id)


def _declare_keys(app: FastAPI) -> None:
    """Tells the documentation page about API keys, so that its `Authorize` button works."""
    plain: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        schema = plain()
        schemes = schema.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["bearer"] = {"type": "http", "scheme": "bearer"}
        schemes["key"] = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
        schema["security"] = [{"bearer": []}, {"key": []}]
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
