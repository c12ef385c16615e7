"""The endpoints of an application: each is declared once, for the gateway and the documentation.

Identifiers in paths may hold a slash, sent as `%2F`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import BeforeValidator
from starlette.routing import compile_path

from lib.contract.fields import Key, PathId
from lib.contract.scalar import CONTROL_CHARACTERS
from serve.framework.problem import Problem

PUBLIC, ADMIN = "", "admin"
Handler = Callable[..., Awaitable[Any]]
Responses = dict[int | str, dict[str, Any]]
ERRORS: Responses = {
    401: {"description": "The request has no valid API key."},
    403: {"description": "The API key lacks the scope, or may not act in this name."},
    413: {"description": "The body is too large."},
    422: {"description": "A field is invalid; `errors` names each field and its fault."},
    503: {"description": "Overloaded or unavailable; Retry-After names the wait in seconds."},
    504: {"description": "No answer within the deadline; the request can be sent again."},
}
"""What every endpoint with a key may answer beside its own, for the documentation."""
MISSING: Responses = {404: {"description": "The id is unknown."}}
CONFLICT: Responses = {409: {"description": "The id was used for a different request."}}
ENCODED = "percent-encoded, with `/` written as `%2F`"
"""How an identifier is written in a path, for descriptions of parameters."""

_SLASH_IN_SEGMENT = "\x1f"  # a control character, so no identifier holds it
_CONTROL = re.compile(CONTROL_CHARACTERS)


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint.

    Attributes:
        method: GET or POST.
        path: below the prefix, with parameters as Starlette writes them.
        scope: what the caller's key must allow, such as `fraud:read`; `PUBLIC` asks for no key.
        handler: a FastAPI endpoint, or what the gateway calls itself where `direct`: with the
            body and the request's context, for the JSON of a 200; on a public path with no
            argument, for a status and a value. Its name and docstring are its documentation.
            None is a page of FastAPI's own.
        responses: answers beside 200 and `ERRORS` by status, for the documentation.
        tag: what the documentation lists it under.
        direct: whether the gateway answers without FastAPI, which takes 0.2 ms a request.
        request: type of a direct handler's body, for the documentation.
        response: type of a direct handler's answer, or of one that a handler writes itself, for
            the documentation; `Response` of any handler is an answer that is no JSON.
        summary: one line; None is the handler's name.
        further_scope: another scope that the key must have as well; "" asks for none.
        body_bytes: largest body, in bytes; None is the gateway's default.
        deadline_ms: time for an answer where the caller names none; None is the gateway's default.
    """

    method: str
    path: str
    scope: str
    handler: Handler | None = None
    responses: Responses = field(default_factory=dict)
    tag: str = ""
    direct: bool = False
    request: Any = None
    response: Any = None
    summary: str | None = None
    further_scope: str = ""
    body_bytes: int | None = None
    deadline_ms: float | None = None


class Router:
    """Declares endpoints by decorating their handlers, as FastAPI's `APIRouter` does.

    Args:
        tag: what the documentation lists them under.
        system: whose scopes they have: a key with `fraud:read` has the scope `read` of `fraud`.

    Attributes:
        routes: what was declared.
    """

    def __init__(self, tag: str, system: str) -> None:
        self._tag, self._system = tag, system
        self.routes: list[Route] = []

    def get(
        self, path: str, scope: str, summary: str, responses: Responses | None = None, **others: Any
    ) -> Callable[[Handler], Handler]:
        """Declares a GET; see `Route`."""
        return self._declare("GET", path, scope, summary, responses, **others)

    def post(
        self, path: str, scope: str, summary: str, responses: Responses | None = None, **others: Any
    ) -> Callable[[Handler], Handler]:
        """Declares a POST; see `Route`."""
        return self._declare("POST", path, scope, summary, responses, **others)

    def direct(
        self, path: str, scope: str, summary: str, request: Any, response: Any, **others: Any
    ) -> Callable[[Handler], Handler]:
        """Declares a POST that the gateway answers without FastAPI; see `Route`."""
        body = {"direct": True, "request": request, "response": response}
        return self._declare("POST", path, scope, summary, **body, **others)

    def _declare(
        self,
        method: str,
        path: str,
        scope: str,
        summary: str,
        responses: Responses | None = None,
        **others: Any,
    ) -> Callable[[Handler], Handler]:
        full_scope = f"{self._system}:{scope}" if scope else PUBLIC
        others |= {"summary": summary, "tag": self._tag, "responses": responses or {}}

        def add(handler: Handler) -> Handler:
            self.routes.append(Route(method, path, full_scope, handler, **others))
            return handler

        return add


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


class RouteTable:
    """Finds the route of a request.

    Args:
        prefix: where the application lives, e.g. `/fraud`.
        routes: all of the application.
    """

    def __init__(self, prefix: str, routes: Iterable[Route]) -> None:
        self._prefix = prefix
        self._exact: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[re.Pattern[str], Route]] = []
        for route in routes:
            if "{" in route.path:
                self._patterns.append((compile_path(prefix + route.path)[0], route))
            else:
                self._exact.setdefault(prefix + route.path, {})[route.method] = route

    def find(self, method: str, path: str) -> Route:
        """The route of a request.

        Raises:
            Problem: 404 where there is none, 405 where there is one for other methods.
        """
        methods = self._exact.get(path) or self._matching(path)
        route = methods.get(method)
        if route is not None:
            return route
        if methods:
            allowed = ", ".join(sorted(methods))
            raise Problem(405, "method", f"expected {allowed}, got {method}")
        raise Problem(404, "not-found", f"no such endpoint; see {self._prefix}/docs")

    def _matching(self, path: str) -> dict[str, Route]:
        return {route.method: route for pattern, route in self._patterns if pattern.match(path)}


def routed_path(scope: Mapping[str, Any]) -> str:
    """The decoded path in which a slash inside a segment (`%2F`) is not a separator.

    Servers that do not pass the raw path give the decoded one, where both slashes are alike.

    Raises:
        Problem: 404 for a path with control characters; no identifier holds any.
    """
    path: str = scope["path"]
    if not path.isascii() or not path.isprintable():
        _refuse_control_characters(path)
    raw: bytes = scope.get("raw_path") or b""
    if b"%2" not in raw:
        return path
    text = raw.decode("latin-1").partition("?")[0]
    if unquote(text) != path:  # a proxy changed one of the two
        return path
    segments = text.split("/")
    return "/".join(unquote(segment).replace("/", _SLASH_IN_SEGMENT) for segment in segments)


def _refuse_control_characters(path: str) -> None:
    if _CONTROL.search(path):
        raise Problem(404, "not-found", "no such endpoint: the path contains control characters")


def _with_slashes(value: Any) -> Any:
    return value.replace(_SLASH_IN_SEGMENT, "/") if isinstance(value, str) else value


PathIdParam = Annotated[PathId, BeforeValidator(_with_slashes)]
"""A path parameter that is an identifier of a caller's."""

PathKeyParam = Annotated[Key, BeforeValidator(_with_slashes)]
"""A path parameter that is a name of the service's."""
