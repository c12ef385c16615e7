"""The plan of the day: contacts in their order, what came of them, what stops all of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from starlette.responses import Response

from lib.console.contacts import (
    ContactsPart,
    list_contacts,
    read_contacts,
    report_contact,
    set_interventions,
    withdraw_report,
)
from lib.records.partitions import start_of
from serve.console.console import Console
from serve.console.downloads import download
from serve.console.fields import read_day, read_form_day, read_note, require_reason
from serve.console.metrics import ACTIONS
from serve.console.pages.customers import SYSTEM, key_of
from serve.console.session import Visit
from serve.framework.asgi import RequestContext
from serve.framework.problem import Problem

_ROWS = 60
_REPORTS = ("done", "not-done", "notice")


async def contacts(console: Console, visit: Visit) -> Response:
    """The plan of a day; of today where the address names none."""
    system, now, day = console.system(visit, "read", SYSTEM), console.service.now(), _day(visit)
    query, item, after = visit.request.query_params, key_of(visit, "item"), key_of(visit, "after")
    today = _today(console)
    shown = today if day is None else day
    view = await system.read(read_contacts, start_of(shown), now, ContactsPart(_ROWS, after), item)
    return console.page(
        visit.request,
        "contacts.html",
        page="customers",
        view=view,
        day=shown,
        today=today,
        before=shown - timedelta(days=1),
        later=shown + timedelta(days=1),
        may_report=visit.may(SYSTEM, "label"),
        may_stop=visit.may(SYSTEM, "review"),
        reported=query.get("reported", ""),
        after=after or "",
    )


async def export(console: Console, visit: Visit) -> Response:
    """The contacts of a day as CSV."""
    system, day = console.system(visit, "read", SYSTEM), _day(visit) or _today(console)
    text = await system.read(list_contacts, start_of(day))
    return download(text, f"contacts-{day}.csv")


async def report(console: Console, visit: Visit) -> Response:
    """Keeps what came of a contact, and shows the next one with a way back."""
    system, kind = console.system(visit, "label", SYSTEM), visit.form.get("report", "")
    if kind not in _REPORTS:
        raise Problem(422, "report", "Choose what came of it. Nothing was changed.")
    await system.read(
        report_contact,
        _id_of(visit),
        kind,
        author=visit.name,
        key_id=visit.session.key_id,
        note=read_note(visit),
        now=console.service.now(),
    )
    console.service.meter.count(ACTIONS.name, "report", "done")
    return _back(console, visit, done=kind, reported=_id_of(visit))


async def withdraw(console: Console, visit: Visit) -> Response:
    """Takes back whether a contact took place, and shows it again."""
    system = console.system(visit, "label", SYSTEM)
    await system.read(
        withdraw_report,
        _id_of(visit),
        author=visit.name,
        key_id=visit.session.key_id,
        now=console.service.now(),
    )
    console.service.meter.count(ACTIONS.name, "withdraw", "done")
    return _back(console, visit, done="withdrawn", item=_id_of(visit))


async def stop(console: Console, visit: Visit) -> Response:
    """Stops all interventions in every replica."""
    return await _switch(console, visit, stopped=True)


async def resume(console: Console, visit: Visit) -> Response:
    """Lets interventions be planned again."""
    return await _switch(console, visit, stopped=False)


async def _switch(console: Console, visit: Visit, *, stopped: bool) -> Response:
    system, reason = console.system(visit, "review", SYSTEM), require_reason(visit)
    context: RequestContext = visit.request.scope["forewarn.context"]
    await system.read(
        set_interventions,
        stopped=stopped,
        author=visit.name,
        key_id=visit.session.key_id,
        reason=reason,
        now=console.service.now(),
        request_id=context.request_id,
    )
    console.service.meter.count(ACTIONS.name, "stop" if stopped else "resume", "done")
    return _back(console, visit, done="stopped" if stopped else "resumed")


def _back(console: Console, visit: Visit, **query: str) -> Response:
    """The page that the form was on: its day, and its part of the list."""
    after = visit.form.get("after", "")
    if visit.form.get("day"):
        query["day"] = read_form_day(visit, "day").isoformat()
    if after:
        query["after"] = after
    return console.redirect("/contacts", **query)


def _today(console: Console) -> date:
    return datetime.fromtimestamp(console.service.now() / 1e6, UTC).date()


def _day(visit: Visit) -> date | None:
    text = visit.request.query_params.get("day", "")
    return read_day(text) if text else None


def _id_of(visit: Visit) -> str:
    return str(visit.request.path_params["intervention_id"])
