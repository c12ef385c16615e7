"""An application from its routes: the gateway, and behind it FastAPI with the documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from inspect import Parameter, Signature
from typing import Annotated, Any

from fastapi import Body, FastAPI, Request
from fastapi.datastructures import Default
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from lib.feature import StoreError
from lib.records import RecordsUnavailableError
from serve.framework.context import Context, context_of
from serve.framework.gateway import Gateway
from serve.framework.health import HealthChecks
from serve.framework.problem import Problem, as_response, problem_from
from serve.framework.routes import ERRORS, PUBLIC, Handler, Responses, Route, Router
from serve.framework.rule_routes import RULE_REFUSALS, rule_routes
from serve.framework.service import RiskService
from serve.framework.validation import to_problem

__all__ = ["Context", "Refusals", "new_gateway"]

Refusals = Mapping[type[Exception], tuple[int, str]]
"""By type of an error, status and kind of the problem whose detail is the error's message."""
_ANSWERED: tuple[type[Exception], ...] = (
    *(Problem, RecordsUnavailableError, StoreError),
    *(RequestValidationError, HTTPException, Exception),
)
_NOT_READY: Responses = {503: {"description": "A required part does not work."}}
_DOCUMENTATION = (
    Route("GET", "/docs", PUBLIC),
    Route("GET", "/openapi.json", PUBLIC),
    Route("GET", "/static-offline-docs/{path:path}", PUBLIC),
)


def new_gateway(
    system: str,
    summary: str,
    service: RiskService,
    routes: Iterable[Route],
    names_request: bool = True,
    refusals: Refusals | None = None,
) -> Gateway:
    """The gateway of a service, which starts and ends with the application's lifespan.

    Args:
        system: its name, which is also where it is served: `fraud` at `/fraud`.
        summary: one line for the documentation.
        service: what answers.
        routes: of the system, beside those of health, rules and documentation.
        names_request: see `Gateway`.
        refusals: errors of the system's parts that are answers to callers.
    """
    rules = rule_routes(system, service.rules)
    routes = (*_DOCUMENTATION, *_health_routes(system, service.readiness), *rules, *routes)
    refusals = {**RULE_REFUSALS, **(refusals or {})}
    return Gateway(
        app=_new_app(f"Forewarn: {system}", summary, routes, service.lifespan, refusals),
        prefix=f"/{system}",
        routes=routes,
        keys=service.keys,
        log=service.log,
        metrics=service.meter,
        limits=service.limits,
        names_request=names_request,
        refusals=refusals,
    )


def _health_routes(system: str, readiness: HealthChecks) -> list[Route]:
    router = Router("health", system)

    @router.get("/healthz", PUBLIC, "Liveness", direct=True, response=dict[str, str])
    async def healthz() -> tuple[int, dict[str, str]]:
        """Answer 200 while the process runs. Needs no API key."""
        return 200, {"status": "alive"}

    @router.get("/readyz", PUBLIC, "Readiness", _NOT_READY, direct=True, response=JSONResponse)
    async def readyz() -> tuple[int, dict[str, Any]]:
        """Report whether the service and each of its parts work. Needs no API key.

        `status` is `ready`, `degraded` (a part does not work and a fallback answers) or `out` (a
        required part does not work). `/status` reports the reasons.
        """
        return await readiness.report()

    @router.get("/status", "read", "Status of each part", _NOT_READY)
    async def status() -> JSONResponse:
        """Report the state, version and error of each part, for a key with the scope `read`."""
        code, body = await readiness.details()
        return JSONResponse(body, code)

    return router.routes


def _new_app(
    title: str,
    summary: str,
    routes: Iterable[Route],
    lifespan: Callable[[], AbstractAsyncContextManager[None]],
    refusals: Refusals,
) -> FastAPI:
    """Documentation at `/docs` and `/openapi.json`, and the routes that are not direct.

    Errors of its routes are problems (RFC 9457), like the gateway's own.
    """
    app = FastAPIOffline(
        title=title,
        version="1",
        summary=summary,
        redoc_url=None,
        # a redirect would carry the Host header of whoever asks
        redirect_slashes=False,
        lifespan=lambda _app: lifespan(),
    )
    for route in routes:
        _add_route(app, route)
    for error_type in _ANSWERED:
        app.add_exception_handler(error_type, _on_error)
    for error_type, (status, kind) in refusals.items():
        app.add_exception_handler(error_type, partial(_on_refusal, status, kind))
    _declare_keys(app)
    return app


def _add_route(app: FastAPI, route: Route) -> None:
    if route.handler is None:
        return
    is_json = route.response not in (None, Response)
    modelled = {"response_model": route.response} if is_json and not route.direct else {}
    app.add_api_route(
        route.path,
        _documentation(route, route.handler) if route.direct else route.handler,
        methods=[route.method],
        responses=route.responses if route.scope == PUBLIC else ERRORS | route.responses,
        response_class=Response if route.response is Response else Default(JSONResponse),
        tags=[route.tag],
        summary=route.summary,
        response_description="The request succeeded.",
        **modelled,
    )


def _documentation(route: Route, handler: Handler) -> Handler:
    """An endpoint that is only described: the gateway answers for it."""

    async def endpoint() -> None:
        raise NotImplementedError

    body: Any = Annotated[route.request, Body()]
    endpoint.__name__, endpoint.__doc__ = handler.__name__, handler.__doc__
    endpoint.__signature__ = Signature(  # type: ignore[attr-defined]
        [Parameter("body", Parameter.KEYWORD_ONLY, annotation=body)] if route.request else [],
        return_annotation=route.response,
    )
    return endpoint


async def _on_error(request: Request, error: Exception) -> Response:
    if isinstance(error, RequestValidationError):
        problem = to_problem(error.errors())
    elif isinstance(error, HTTPException):
        problem = Problem(error.status_code, "http", str(error.detail))
    else:
        problem = problem_from(error)
    context = await context_of(request)
    context.field_errors = problem.errors
    return as_response(problem, context.request_id)


async def _on_refusal(status: int, kind: str, request: Request, error: Exception) -> Response:
    return await _on_error(request, Problem(status, kind, str(error)))


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
