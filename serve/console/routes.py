"""The pages of the console by path: which need a session, and which change something."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from lib.console.sessions import Session
from serve.console.console import Console, address, is_htmx
from serve.console.csrf import require_same_origin, require_token
from serve.console.gateway import CONTEXT, ROUTE, VISIT, ConsoleGateway
from serve.console.pages import (
    audit,
    business,
    contacts,
    customers,
    experiments,
    fleet,
    home,
    models,
    payments,
    posts,
    queue,
    rules,
    schedule,
)
from serve.console.pages.first_system import FirstSystem
from serve.console.pages.sign_in import SignInPages
from serve.console.rendering import Pages
from serve.console.service import ConsoleService
from serve.console.session import PREFIX, SESSION_COOKIE, Visit, end_session, find_visit
from serve.console.static_files import StaticFiles
from serve.framework.asgi import read_body
from serve.framework.problem import Problem

Endpoint = Callable[[Request], Awaitable[Response]]
Page = Callable[[Console, Visit], Awaitable[Response]]
_MOST_FIELDS = 200
_ESCAPED = 3
"""Bytes of a form for one byte of a text at most."""
_FOREVER = "public, max-age=31536000, immutable"

READING: dict[str, Page] = {
    "/": home.home,
    "/home/{system}": home.card,
    "/models": FirstSystem("models", "models"),
    "/models/{system}": models.list_versions,
    "/models/{system}/{version}": models.version,
    "/experiments": experiments.list_all,
    "/experiments/{system}/{name}": experiments.experiment,
    "/queue": FirstSystem("queue", "queues", "review"),
    "/queue/{system}": queue.queue,
    "/queue/{system}/figures": queue.figures,
    "/customers": customers.customers,
    "/customers.csv": customers.export,
    "/customers/{customer_id:path}": customers.customer,
    "/contacts": contacts.contacts,
    "/contacts.csv": contacts.export,
    "/rules": FirstSystem("rules", "rules"),
    "/rules/{system}": rules.list_rules,
    "/rules/{system}/rules.csv": rules.export,
    "/rules/{system}/versions": rules.versions,
    "/rules/{system}/compare": rules.compare,
    "/rules/{system}/draft": rules.draft,
    "/rules/{system}/rules/{rule_id}": rules.rule,
    "/business": FirstSystem("business", "reports"),
    "/business/{system}": business.list_statements,
    "/business/{system}/{statement_id}": business.statement,
    "/fleet": fleet.fleet,
    "/fleet.csv": fleet.export,
    "/fleet/{machine_id:path}": fleet.machine,
    "/schedule": schedule.newest,
    "/schedule/{schedule_id:path}/calendar.ics": schedule.calendar,
    "/schedule/{schedule_id:path}/plan.csv": schedule.plan_csv,
    "/schedule/{schedule_id:path}": schedule.week,
    "/payments": payments.payments,
    "/payments.csv": payments.export,
    "/payments/{payment_id:path}": payments.payment,
    "/payment-graph/{payment_id:path}": payments.graph,
    "/payment-similar/{payment_id:path}": payments.similar,
    "/payment-connected/{payment_id:path}": payments.connected,
    "/payment-statements/{statement}": payments.statement,
    "/posts": posts.posts,
    "/posts.csv": posts.export,
    "/posts/{post_id:path}": posts.post,
    "/post-media/{digest}": posts.medium,
    "/audit": audit.audit,
    "/audit.csv": audit.export,
}
"""Pages that change nothing, by path."""
CHANGING: dict[str, Page] = {
    "/models/{system}/{version}/promote": models.promote,
    "/models/{system}/{version}/rollback": models.rollback,
    "/experiments/{system}/{name}/stop": experiments.stop,
    "/customers/{customer_id:path}/override": customers.override,
    "/customers/{customer_id:path}/override/withdraw": customers.withdraw,
    "/contacts/stop": contacts.stop,
    "/contacts/resume": contacts.resume,
    "/contacts/{intervention_id:path}/report": contacts.report,
    "/contacts/{intervention_id:path}/withdraw": contacts.withdraw,
    "/rules/{system}/validate": rules.validate,
    "/rules/{system}/backtest": rules.backtest,
    "/rules/{system}/publish": rules.publish,
    "/rules/{system}/activate": rules.activate,
    "/rules/{system}/rules/{rule_id}/status": rules.set_status,
    "/fleet/{machine_id:path}/inspect": fleet.inspect,
    "/fleet/{machine_id:path}/note": fleet.note,
    "/schedule/{schedule_id:path}/change": schedule.change,
    "/schedule/{schedule_id:path}/solve": schedule.solve,
    "/schedule/{schedule_id:path}/accept": schedule.accept,
    "/schedule/{schedule_id:path}/close": schedule.close,
    "/payments/{payment_id:path}/decide": payments.decide,
    "/payments/{payment_id:path}/refer": payments.refer,
    "/payments/{payment_id:path}/note": payments.note,
    "/payments/{payment_id:path}/undo": payments.undo,
    "/payment-statements": payments.label,
    "/payment-statements/{statement}/take-back": payments.unlabel,
    "/posts/{post_id:path}/appeal": posts.appeal,
    "/queue/{system}/next": queue.claim,
    "/queue/{system}/items/{item_id:path}/take": queue.take,
    "/queue/{system}/items/{item_id:path}/decide": queue.decide,
    "/queue/{system}/items/{item_id:path}/undo": queue.undo,
    "/queue/{system}/items/{item_id:path}/skip": queue.skip,
    "/queue/{system}/items/{item_id:path}/escalate": queue.escalate,
    "/queue/{system}/items/{item_id:path}/release": queue.release,
    "/queue/{system}/items/{item_id:path}/renew": queue.renew,
}
"""What people do from pages, by path; each form carries the session's token."""
LONG_FORMS: dict[str, int] = {
    "/payment-statements": 256 * 1024,
    "/rules/{system}/validate": 128 * 1024,
    "/rules/{system}/backtest": 128 * 1024,
    "/rules/{system}/publish": 128 * 1024,
}
"""Forms that hold as many bytes of text as the body of their endpoint, by path."""
UNATTENDED = frozenset({
    "/home/{system}", "/queue/{system}/figures", "/queue/{system}/items/{item_id:path}/renew",
})  # fmt: skip
"""What pages ask for by themselves: nobody need be there, so no session lasts longer by it."""


class NoSessionError(Exception):
    """Nobody is signed in, or the session ended."""


def build_gateway(service: ConsoleService, names_request: bool = True) -> ConsoleGateway:
    """The console of a service, at `/console`."""
    static = StaticFiles()
    console = Console(service, Pages(static), READING)
    access = _Access(console)
    sign_in = SignInPages(console)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with service.lifespan():
            yield

    public = (
        _route("/static/{name}", _static(static)),
        _route("/healthz", _alive),
        _route("/readyz", _readiness(service)),
        _route("/sign-in", sign_in.form),
        _route("/sign-in", access.foreign_refused(sign_in.enter), "POST"),
        _route("/name", access.named_later(sign_in.names)),
        _route("/name", access.posted(sign_in.choose, is_named=False), "POST"),
        _route("/sign-out", access.posted(sign_in.leave, is_named=False), "POST"),
    )
    pages = (
        *(_route(path, access.signed_in(page)) for path, page in READING.items()),
        *(_route(path, access.posted(page), "POST") for path, page in CHANGING.items()),
    )
    handlers = dict.fromkeys((Problem, Exception), console.on_error) | {
        404: console.on_error,
        405: console.on_error,
        NoSessionError: access.sign_in_first,
    }
    app = Starlette(
        routes=[*public, *pages],
        lifespan=lifespan,
        exception_handlers=handlers,  # type: ignore[arg-type]
    )
    app.router.redirect_slashes = False
    return ConsoleGateway(app, console, names_request)


def _route(path: str, endpoint: Endpoint, method: str = "GET") -> Route:
    async def named(request: Request) -> Response:
        request.scope[ROUTE] = path
        if any("\0" in value for value in request.path_params.values()):
            raise Problem.not_found("No page has this address.")
        _require_text(request.query_params.values())
        return await endpoint(request)

    return Route(path, named, methods=[method])


class _Access:
    """Lets in who is signed in, and forms that were made for them.

    Args:
        console: whose pages these are.
    """

    def __init__(self, console: Console) -> None:
        self._console, self._service = console, console.service

    def signed_in(self, page: Page) -> Endpoint:
        """A page for those who are signed in and have said their name."""

        async def endpoint(request: Request) -> Response:
            visit = await self._visit(request)
            if not visit.name:
                return self._console.redirect("/name", next=_path_of(request))
            return await self._answer(page, visit)

        return endpoint

    def named_later(self, page: Page) -> Endpoint:
        """A page for those who have not said their name."""

        async def endpoint(request: Request) -> Response:
            return await page(self._console, await self._visit(request))

        return endpoint

    def posted(self, page: Page, is_named: bool = True) -> Endpoint:
        """What changes something: the form must be of this session."""

        async def endpoint(request: Request) -> Response:
            require_same_origin(request.headers)
            form = await self._form(request)
            visit = await self._visit(request)
            require_token(form, request.headers, visit.csrf)
            _require_text([*form, *form.values()])
            if is_named and not visit.name:
                return self._console.redirect("/name")
            return await self._answer(page, replace(visit, form=form))

        return endpoint

    def foreign_refused(
        self, page: Callable[[Request, dict[str, str]], Awaitable[Response]]
    ) -> Endpoint:
        """A form of those who are not signed in."""

        async def endpoint(request: Request) -> Response:
            require_same_origin(request.headers)
            return await page(request, await self._form(request))

        return endpoint

    async def sign_in_first(self, request: Request, _: Exception) -> Response:
        """Sends who is not signed in to the sign-in, and back to the page afterwards.

        A link from another site brings no cookie (SameSite=Strict): the page is asked for once
        more from here, which brings it.
        """
        is_reading = request.method == "GET"
        is_foreign = request.headers.get("sec-fetch-site") == "cross-site"
        if is_reading and is_foreign and SESSION_COOKIE not in request.cookies:
            return self._console.page(request, "arriving.html", page="arriving")
        had_one = SESSION_COOKIE in request.cookies
        query = {"why": "ended"} if had_one else {}
        if is_reading and not is_htmx(request):
            query["next"] = _path_of(request)
        target = address("/sign-in", **query)
        response = (
            Response(status_code=401, headers={"HX-Redirect": target})
            if is_htmx(request)
            else RedirectResponse(target, 303)
        )
        if had_one:
            end_session(response, self._service.args.https)
        return response

    async def _answer(self, page: Page, visit: Visit) -> Response:
        """A page, or why there is none; only what is no fault of the request is raised."""
        try:
            return await page(self._console, visit)
        except Exception as error:
            problem = self._console.problem_of(error, visit.request)
            if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            return self._console.problem_page(visit.request, problem)

    async def _visit(self, request: Request) -> Visit:
        secret, service = request.cookies.get(SESSION_COOKIE, ""), self._service
        now, is_used = service.now(), request.scope[ROUTE] not in UNATTENDED
        session = await service.sessions.run(
            service.session_repository.find, secret, service.args.session_limits, now, is_used
        )
        if session is None:
            raise NoSessionError
        caller = service.keys.find(session.key_id, now)
        if caller is None or not _is_name_of(session, caller.reviewers):
            await service.sessions.run(service.session_repository.end, session.id, "key ended", now)
            raise NoSessionError
        request.scope[CONTEXT].key_id = session.key_id
        visit = find_visit(request, secret, session, caller)
        request.scope[VISIT] = visit
        return visit

    async def _form(self, request: Request) -> dict[str, str]:
        """Fields of a form; of several of one name the last.

        Raises:
            Problem: 413 for a large one, 400 for what is no form.
        """
        headers, longest = dict(request.scope["headers"]), self._service.limits.body_bytes
        if (text_bytes := LONG_FORMS.get(request.scope[ROUTE])) is not None:
            longest = max(longest, _ESCAPED * text_bytes)
        body = await read_body(headers, request.receive, longest)
        try:
            fields = parse_qsl(
                body.decode(), keep_blank_values=True, strict_parsing=bool(body),
                max_num_fields=_MOST_FIELDS,
            )  # fmt: skip
        except ValueError:
            raise Problem(400, "form", "What was sent is no form. Nothing was changed.") from None
        return {name: value.strip() for name, value in fields}


def _require_text(values: Iterable[str]) -> None:
    """Refuse what no database keeps as text; fields of forms and addresses never hold it.

    Raises:
        Problem: 422.
    """
    if any("\0" in value for value in values):
        raise Problem(
            422, "nul", "What was sent holds a NUL, which no text has. Nothing was changed."
        )


def _is_name_of(session: Session, reviewers: frozenset[str] | None) -> bool:
    """Whether a key may still act in the name of its session."""
    return session.reviewer is None or reviewers is None or session.reviewer in reviewers


def _path_of(request: Request) -> str:
    query = request.url.query
    return f"{PREFIX}{request.scope['path'].removeprefix(PREFIX)}" + (f"?{query}" if query else "")


def _static(files: StaticFiles) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        file = files.find(request.path_params["name"])
        if file is None:
            raise Problem.not_found("There is no such file.")
        headers = {"cache-control": _FOREVER, "vary": "accept-encoding"}
        content = file.content
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"], content = "gzip", file.packed
        return Response(content, headers=headers, media_type=file.media_type)

    return endpoint


async def _alive(_: Request) -> Response:
    return JSONResponse({"status": "alive"})


def _readiness(service: ConsoleService) -> Endpoint:
    async def endpoint(_: Request) -> Response:
        status, body = await service.readiness.report()
        return JSONResponse(body, status)

    return endpoint
