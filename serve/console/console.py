"""What all pages share: the service, the templates, and how an error is shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lib.churn.intervention_repository import (
    ContradictedOutcomeError,
    UnknownInterventionError,
)
from lib.churn.intervention_switch import RepeatedSwitchError, SwitchUnchangedError
from lib.churn.overrides import ExpiryError
from lib.console.customer import StaleOverrideError, UnknownCustomerError
from lib.console.source import SystemSource
from lib.experiment.errors import ExperimentEndedError, ExperimentError
from lib.maintenance.inspection import UnknownMachineError
from lib.maintenance.order_outcome import UnreportableOutcomeError
from lib.maintenance.repository import (
    ClosedOrderError,
    RepeatedChangeError,
    StaleScheduleError,
    UnknownOrderError,
)
from lib.maintenance.schedule.planned_week import UnchangeableError
from lib.maintenance.schedule.problem import ScheduleError
from lib.maintenance.schedule.solve import InfeasibleWeekError
from lib.moderation.review.items import AppealError
from lib.records import RecordsError, RecordsUnavailableError
from lib.records.review import (
    ContradictedVerdictError,
    LeaseLostError,
    RepeatedOpinionError,
    UnknownItemError,
)
from lib.records.review.models import UndoRefusedError
from lib.registry import AliasMovedError, ArtifactError, RegistryError
from lib.retraining.promotion import EvidenceError
from lib.rules.repository import RulesMovedError, UnknownRulesError
from lib.storage import StorageError, redact_uri
from serve.console.downloads import download
from serve.console.navigation import linked_pages, tabs_of
from serve.console.rendering import SUBJECTS, Pages, day_text
from serve.console.service import ConsoleService, SystemReader
from serve.console.session import PREFIX, Visit
from serve.framework.asgi import RequestContext
from serve.framework.problem import Problem, problem_from

_MOVED = (
    *(AliasMovedError, ExperimentEndedError, RulesMovedError),
    *(LeaseLostError, RepeatedOpinionError, ContradictedVerdictError, UndoRefusedError),
    *(ContradictedOutcomeError, SwitchUnchangedError, RepeatedSwitchError, StaleOverrideError),
    *(StaleScheduleError, RepeatedChangeError, ClosedOrderError, UnchangeableError),
)
_UNKNOWN = (
    *(UnknownItemError, UnknownRulesError),
    *(UnknownInterventionError, UnknownCustomerError),
    *(UnknownOrderError, UnknownMachineError),
)
_UNFIT = (ScheduleError, InfeasibleWeekError, UnreportableOutcomeError, AppealError)
_REFUSED = (RegistryError, ExperimentError, EvidenceError)
_TITLES = {
    400: "That could not be read",
    401: "Please sign in",
    403: "Not allowed",
    404: "There is nothing here",
    405: "There is nothing here",
    409: "It has changed meanwhile",
    413: "Too much was sent",
    422: "That was not accepted",
    429: "Too many attempts",
    503: "This cannot be read now",
    504: "It took too long",
}
_OTHERWISE = "Something went wrong"
_UNAVAILABLE = (
    "The database or the registry does not answer. Decisions go on without the console; load the "
    "page again in a moment."
)
_UNCERTAIN = (
    "The database or the registry did not answer in time, so nobody knows yet whether this was "
    "kept. Load the page again and look before you repeat it. Decisions go on without the console."
)
INTERNAL = (
    "An error of the console itself. Nothing more is known here; quote the request id below when "
    "you report it."
)
_MISSING = "No page has this address. It may have been moved, or mistyped."


class Console:
    """Pages of one replica.

    Args:
        service: what they show and change.
        pages: their templates.
        paths: of all pages.
    """

    def __init__(self, service: ConsoleService, pages: Pages, paths: Collection[str]) -> None:
        self.service, self._pages = service, pages
        self._system_pages = linked_pages(paths)

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        """A page, or a part of one that is asked for by htmx."""
        return self._pages.response(template, self._values(request) | values, status)

    async def system_page(
        self, visit: Visit, template: str, page: str, **views: Callable[[SystemSource], Any]
    ) -> Response:
        """A page of the system that the path names.

        Args:
            visit: whose key must have the scope SYSTEM:read.
            template: of the page.
            page: of the navigation.
            views: read each value of the template from the system.
        """
        system = self.system(visit, "read")
        values = {name: await system.read(view) for name, view in views.items()}
        return self.page(visit.request, template, page=page, **values)

    def system(self, visit: Visit, role: str, name: str | None = None) -> SystemReader:
        """The system of a page.

        Args:
            visit: whose key must have the scope.
            role: of the scope SYSTEM:role.
            name: of the system; None is the one that the path names.

        Raises:
            Problem: 404 for one that is not shown here, 403 without the scope.
        """
        missing = _MISSING if name is None else f"{SUBJECTS[name]} are not shown here."
        name = visit.request.path_params["system"] if name is None else name
        if name not in self.service.systems:
            raise Problem.not_found(missing)
        visit.require(f"{name}:{role}")
        return self.service.systems[name]

    async def download_csv(self, name: str, write: Callable[..., str], *args: Any) -> Response:
        """A CSV file of today, written in a thread, as it may be long.

        Args:
            name: of the file, without its day.
            write: its text.
            args: from which.
        """
        text = await self.service.writing.run(write, *args)
        return download(text, f"{name}-{day_text(self.service.now())}.csv")

    def redirect(self, path: str, **query: str | Sequence[str]) -> Response:
        """Sends the browser to a page of the console, which it loads."""
        return RedirectResponse(address(path, **query), 303)

    def problem_page(self, request: Request, problem: Problem) -> Response:
        """An error in plain words, with the id of the request; a line of it for htmx."""
        template = "problem_line.html" if is_htmx(request) else "problem.html"
        title = _TITLES.get(problem.status, _OTHERWISE)
        values = {"title": title, "detail": problem.detail, "code": problem.status}
        response = self.page(request, template, problem.status, page="problem", **values)
        if is_htmx(request):
            response.headers.update({"HX-Retarget": "#messages", "HX-Reswap": "innerHTML"})
        if problem.retry_after is not None:
            response.headers["retry-after"] = str(problem.retry_after)
        return response

    async def on_error(self, request: Request, error: Exception) -> Response:
        """The answer to whatever a page raises."""
        return self.problem_page(request, self.problem_of(error, request))

    def problem_of(self, error: Exception, request: Request) -> Problem:
        """What a page answers to whatever it raises."""
        return _problem_of(error, is_reading=request.method in ("GET", "HEAD"))

    def _values(self, request: Request) -> Mapping[str, Any]:
        context: RequestContext = request.scope["forewarn.context"]
        visit: Visit | None = request.scope["forewarn.visit"]
        names = tuple(self.service.systems)
        return {
            "visit": visit,
            "readable": () if visit is None else visit.systems("read", names),
            "tabs": tabs_of(visit, names),
            "system_pages": self._system_pages,
            "reviewable": () if visit is None else visit.systems("review", names),
            "request_id": context.request_id,
            "now": self.service.now(),
            "done": request.query_params.get("done", ""),
        }


def is_htmx(request: Request) -> bool:
    """Whether a part of a page is asked for."""
    return request.headers.get("hx-request") == "true"


def address(path: str, **query: str | Sequence[str]) -> str:
    """The address of a page of the console."""
    return f"{PREFIX}{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")


def local_path(text: str) -> str:
    """The path of a page of the console that somebody asked for, or that of home.

    No other site, scheme or user name can be written with what is let through.
    """
    is_plain = text.isascii() and text.isprintable() and "\\" not in text
    if not is_plain or not text.startswith(f"{PREFIX}/") or "//" in text or "/../" in text:
        return f"{PREFIX}/"
    return text


def _problem_of(error: Exception, is_reading: bool) -> Problem:  # noqa: PLR0911
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return Problem(error.status_code, "http", _MISSING)
    if isinstance(error, _UNKNOWN):
        return Problem.not_found(f"{error}. Nothing was changed.")
    if isinstance(error, _MOVED):
        return Problem.conflict(f"{error}. Load the page again. Nothing was changed.")
    unavailable = _UNAVAILABLE if is_reading else _UNCERTAIN
    if isinstance(error, ArtifactError | StorageError | OSError | RecordsUnavailableError):
        return Problem.unavailable(unavailable, retry_after=5)
    if isinstance(error, ExpiryError):
        return Problem(422, "expiry", f"Expiry: {error}. Nothing was changed.")
    if isinstance(error, _UNFIT):
        return Problem(422, "refused", f"{error}. Nothing was changed.")
    if isinstance(error, _REFUSED):
        return Problem(404 if is_reading else 422, "refused", redact_uri(str(error)))
    problem = problem_from(error)
    if isinstance(error, RecordsError) and problem.status >= 500:
        return Problem.unavailable(unavailable, retry_after=5)
    if problem.status >= 500:
        return Problem(problem.status, problem.kind, INTERNAL)
    return problem
