"""Business: the periods that were measured, and one of them to read and print."""

from __future__ import annotations

from starlette.responses import Response

from lib.console.business import read_business, read_statement_page
from serve.console.console import Console
from serve.console.session import Visit
from serve.framework.problem import Problem


async def list_statements(console: Console, visit: Visit) -> Response:
    """The periods of a system that were measured."""
    return await console.system_page(visit, "business.html", "business", business=read_business)


async def statement(console: Console, visit: Visit) -> Response:
    """One period."""
    system = console.system(visit, "read")
    statement_id = visit.request.path_params["statement_id"]
    business = await system.read(read_statement_page, statement_id)
    if business is None:
        raise Problem.not_found("No report has this address. It may have been mistyped.")
    return console.page(visit.request, "statement.html", page="business", business=business)
