"""The schedule: a planned week, changes with their cost shown before, and closed work orders."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote

from pydantic import ValidationError
from starlette.responses import Response

from lib.console.schedule import (
    ROWS,
    ScheduleFilter,
    calendar_text,
    newest_schedule,
    read_schedule,
    services_csv,
)
from lib.console.service_change import AskedChange, ServiceQuestion
from lib.console.source import SystemSource
from lib.console.week_times import WeekTimes
from lib.maintenance.order_outcome import Outcome, close_with
from lib.maintenance.repository import OrderCloser, ScheduleUpdate, require_revision
from lib.maintenance.schedule.change import CHANGE_ACTIONS, ChangeAction
from lib.maintenance.schedule.planned_week import PlannedWeek, load_week
from lib.maintenance.schedule.request import WHOLE_MACHINE
from lib.maintenance.schedule.revision import (
    Revision,
    ServiceChange,
    accept_schedule,
    make_change,
    solve_again,
)
from lib.maintenance.schedule.week_problem import Named
from serve.console.console import Console
from serve.console.downloads import CALENDAR, download
from serve.console.fields import LONGEST_ID, read_page, read_reason, read_whole
from serve.console.gateway import DEADLINE
from serve.console.metrics import ACTIONS
from serve.console.session import Visit
from serve.framework.problem import Problem

SYSTEM = "maintenance"
RESULTS = {
    "done": "The service was done",
    "not_done": "It was not done",
    "failed_before": "The machine failed before",
}
"""Results of a work order, as a form offers them."""
_QUERY = ("plant", "skill", "machine", "component", "action", "start")
_OUTCOME_TEXTS = ("result", "failure_mode", "parts_replaced", "note")
_MOST_PAGES = 99
_GAP, _SOLVER_SECONDS = 0.01, 10.0


async def newest(console: Console, visit: Visit) -> Response:
    """The week that was planned last; a page that says how to plan one where there is none."""
    system = console.system(visit, "read", SYSTEM)
    schedule_id = await system.read(newest_schedule)
    if schedule_id is None:
        return console.page(visit.request, "schedule_none.html", page="schedule")
    return console.redirect(_path(schedule_id))


async def week(console: Console, visit: Visit) -> Response:
    """A week, with a service that somebody looks at, and a change of it before it is made."""
    system, query = console.system(visit, "read", SYSTEM), _query(visit)
    number = read_page(visit, _MOST_PAGES)
    shown = ScheduleFilter(query["plant"] or None, query["skill"] or None, number)
    asks = AskedChange(_action(query["action"]), query["start"]) if query["action"] else None
    name = Named(query["machine"], query["component"] or WHOLE_MACHINE)
    question = ServiceQuestion(name, asks) if query["machine"] else None
    page = await system.read(read_schedule, _id(visit), shown, console.service.now(), question)
    filters = {name: query[name] for name in ("plant", "skill") if query[name]}
    return console.page(
        visit.request, "schedule.html", page="schedule", week=page, filters=filters,
        number=number, pages=-(-page.count // ROWS), rows_shown=ROWS,
        change_id=secrets.token_hex(8), may_change=visit.may(SYSTEM, "review"),
        may_close=visit.may(SYSTEM, "label"), results=RESULTS,
        page_path=_path(page.schedule.id),
    )  # fmt: skip


async def calendar(console: Console, visit: Visit) -> Response:
    """The week for a calendar."""
    text = await console.system(visit, "read", SYSTEM).read(calendar_text, _id(visit))
    return download(text, "schedule.ics", CALENDAR)


async def plan_csv(console: Console, visit: Visit) -> Response:
    """The week as CSV."""
    text = await console.system(visit, "read", SYSTEM).read(services_csv, _id(visit))
    return download(text, "schedule.csv")


async def change(console: Console, visit: Visit) -> Response:
    """Makes a change that was shown with its cost."""
    visit.require(f"{SYSTEM}:review")
    system, form = console.system(visit, "read", SYSTEM), visit.form
    name = Named(_text(form, "machine"), _text(form, "component") or WHOLE_MACHINE)
    start_at = read_whole(visit, "start_at") if form.get("start_at") else None
    asks = ServiceChange(action=_action(form.get("action", "")), name=name, start_at=start_at)
    await system.read(_make, _revision(console, visit), asks)
    return _done(console, visit, asks.action, machine=name.machine_id, component=name.component)


async def accept(console: Console, visit: Visit) -> Response:
    """Accepts the plan as it is."""
    visit.require(f"{SYSTEM}:review")
    system = console.system(visit, "read", SYSTEM)
    await system.read(_accept, _revision(console, visit))
    return _done(console, visit, "accept")


async def solve(console: Console, visit: Visit) -> Response:
    """Plans the rest of the week again; takes longer than a page may."""
    visit.require(f"{SYSTEM}:review")
    system, service = console.system(visit, "read", SYSTEM), console.service
    revision = _revision(console, visit)
    loop = asyncio.get_running_loop()
    longest = service.limits.longest_deadline_ms / 1000.0
    visit.request.scope[DEADLINE].reschedule(loop.time() + longest)
    planned = await system.read(_load, revision)
    if planned is not None:
        updated = await service.solving.run(solve_again, planned, revision, _GAP, _SOLVER_SECONDS)
        await system.read(_store, revision, updated)
    return _done(console, visit, "solve")


async def close(console: Console, visit: Visit) -> Response:
    """Closes a work order with what people found."""
    visit.require(f"{SYSTEM}:label")
    system, form = console.system(visit, "read", SYSTEM), visit.form
    closer = OrderCloser(visit.name, visit.session.key_id)
    await system.read(
        _close, _id(visit), _text(form, "order_id"), dict(form), closer, console.service.now()
    )
    return _done(
        console, visit, "close", machine=form.get("machine", ""),
        component=form.get("component", ""),
    )  # fmt: skip


def _make(source: SystemSource, revision: Revision, asks: ServiceChange) -> None:
    make_change(source.records, revision, asks)


def _accept(source: SystemSource, revision: Revision) -> None:
    accept_schedule(source.records, revision)


def _load(source: SystemSource, revision: Revision) -> PlannedWeek | None:
    """The week, at the revision that was looked at; None where the same form came before."""
    if source.records.find_change(revision.schedule_id, revision.change_id) is not None:
        return None
    planned = load_week(source.records, revision.schedule_id)
    require_revision(planned.schedule, revision.revision)
    return planned


def _store(source: SystemSource, revision: Revision, updated: ScheduleUpdate) -> None:
    source.records.change_schedule(revision.schedule_id, revision.revision, updated)


def _close(
    source: SystemSource,
    schedule_id: str,
    order_id: str,
    form: dict[str, str],
    closer: OrderCloser,
    now: int,
) -> None:
    schedule, orders = source.records.find_schedule(schedule_id)
    if order_id not in {order.id for order in orders}:
        raise Problem.not_found("This week has no such work order. Nothing was changed.")
    reported = _outcome(form, WeekTimes.of(schedule))
    close_with(source.records, order_id, reported, now, now, closer)


def _outcome(form: dict[str, str], times: WeekTimes) -> Outcome:
    """The outcome that a form reports, times in the zone of the week.

    Raises:
        Problem: 422 for a field that cannot be meant.
    """
    fields: dict[str, Any] = {name: form[name] for name in _OUTCOME_TEXTS if form.get(name)}
    try:
        for name in ("event_time", "failed_at"):
            if form.get(name):
                fields[name] = exact_time_of(times.read(form[name]))
        for name in ("downtime_hours", "cost"):
            if form.get(name):
                fields[name] = float(form[name])
        return Outcome.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = ".".join(map(str, first["loc"])).replace("_", " ")
        text = f"{name}: {first['msg']}" if name else first["msg"]
    except ValueError:
        text = "A time is written as 2026-11-24T06:00, an amount as 12.50."
    raise Problem(422, "outcome", f"{text}. Nothing was changed.")


def exact_time_of(time_us: int) -> str:
    """A time as ISO 8601 in UTC."""
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat()


def _revision(console: Console, visit: Visit) -> Revision:
    """Who changes what, from a form."""
    return Revision(
        schedule_id=_id(visit),
        revision=read_whole(visit, "revision"),
        change_id=_text(visit.form, "change_id"),
        by=visit.name,
        key_id=visit.session.key_id,
        at=console.service.now(),
        reason=read_reason(visit),
    )


def _done(console: Console, visit: Visit, action: str, **chosen: str) -> Response:
    console.service.meter.count(ACTIONS.name, f"schedule-{action}", "done")
    names = ("plant", "skill")
    kept = {name: visit.form[name] for name in names if visit.form.get(name)}
    kept |= {name: value for name, value in chosen.items() if value}
    return console.redirect(_path(_id(visit)), **kept, done=action)


def _path(schedule_id: str) -> str:
    return f"/schedule/{quote(schedule_id, safe='')}"


def _id(visit: Visit) -> str:
    return str(visit.request.path_params["schedule_id"])


def _query(visit: Visit) -> dict[str, str]:
    query = visit.request.query_params
    return {name: query.get(name, "")[:LONGEST_ID] for name in _QUERY}


def _action(text: str) -> ChangeAction:
    if text not in CHANGE_ACTIONS:
        words = ", ".join(CHANGE_ACTIONS)
        raise Problem(422, "action", f"Choose one of {words}. Nothing was changed.")
    return cast(ChangeAction, text)


def _text(form: Mapping[str, str], name: str) -> str:
    text = form.get(name, "")
    if not text or len(text) > LONGEST_ID or "\0" in text:
        raise Problem(422, name, "This form is incomplete. Load the page again.")
    return text
