"""The fleet: machines by risk, one machine, and what people ask for and note about it."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from starlette.responses import Response

from lib.console.fleet import (
    MOST_PAGES,
    ROWS,
    FleetFilter,
    MachineRow,
    list_fleet,
    read_fleet,
)
from lib.console.machine import read_machine
from lib.console.rows_csv import rows_csv
from lib.console.source import SystemSource
from lib.maintenance.inspection import InspectionCase, ask_inspection, newest_decision, note_machine
from lib.records.review import ReviewKey
from lib.registry import to_iso
from serve.console.console import Console
from serve.console.fields import read_note, read_page, read_query, set_fields
from serve.console.metrics import ACTIONS
from serve.console.session import Visit
from serve.framework.problem import Problem

SYSTEM = "maintenance"
_LONGEST_WORD = 128
_FIELDS = ("decision", "plant", "text")
_COLUMNS = (
    *("machine_id", "plant", "line", "decision", "risk_7d", "change", "method", "decided_for"),
    *("next_service_utc", "component"),
)


async def fleet(console: Console, visit: Visit) -> Response:
    """Machines by risk."""
    system, fields, shown = console.system(visit, "read", SYSTEM), _fields(visit), _filter(visit)
    page = await system.read(read_fleet, shown, console.service.now())
    return console.page(
        visit.request, "fleet.html", page="fleet", fleet=page, fields=fields,
        filters=set_fields(fields),
        number=shown.number, pages=-(-page.count // ROWS),
    )  # fmt: skip


async def export(console: Console, visit: Visit) -> Response:
    """The machines of the filter as CSV."""
    system = console.system(visit, "read", SYSTEM)
    machines = await system.read(list_fleet, _filter(visit), console.service.now())
    return await console.download_csv("fleet", _csv, machines)


async def machine(console: Console, visit: Visit) -> Response:
    """One machine."""
    system = console.system(visit, "read", SYSTEM)
    page = await system.read(read_machine, _id(visit))
    return console.page(
        visit.request, "machine.html", page="fleet", machine=page,
        may_review=visit.may(SYSTEM, "review"), page_path=_path(visit),
    )  # fmt: skip


async def inspect(console: Console, visit: Visit) -> Response:
    """Puts the machine into the queue of people."""
    visit.require(f"{SYSTEM}:review")
    system = console.system(visit, "read", SYSTEM)
    case = await system.read(
        _ask, _id(visit), visit.name, visit.session.key_id, read_note(visit), console.service.now()
    )
    console.service.meter.count(ACTIONS.name, "inspect", "done" if case.is_new else "known")
    known = "closed" if case.is_closed else "known"
    return console.redirect(_path(visit), done="inspect" if case.is_new else known)


async def note(console: Console, visit: Visit) -> Response:
    """Keeps a note about the machine in the audit."""
    visit.require(f"{SYSTEM}:review")
    system, text = console.system(visit, "read", SYSTEM), read_note(visit)
    if text is None:
        raise Problem(422, "note", "Write the note first. Nothing was changed.")
    await system.read(_keep, _id(visit), visit.name, visit.review_key, text, console.service.now())
    console.service.meter.count(ACTIONS.name, "note", "done")
    return console.redirect(_path(visit), done="note")


def _csv(machines: Sequence[MachineRow]) -> str:
    rows = [
        (
            row.newest.machine_id, row.plant, row.line, row.newest.decision, row.newest.score,
            row.change, row.newest.method, to_iso(row.newest.event_time),
            None if row.order is None else to_iso(row.order.starts_at),
            None if row.order is None else row.order.component,
        )
        for row in machines
    ]  # fmt: skip
    return rows_csv(_COLUMNS, rows)


def _ask(
    source: SystemSource, machine_id: str, by: str, key_id: str, text: str | None, now: int
) -> InspectionCase:
    decision = newest_decision(source.records, machine_id)
    return ask_inspection(source.queue, decision, by, key_id, text, now)


def _keep(
    source: SystemSource, machine_id: str, by: str, key: ReviewKey, text: str, now: int
) -> None:
    decision = newest_decision(source.records, machine_id)
    note_machine(source.queue, decision, by, key, text, now)


def _fields(visit: Visit) -> dict[str, str]:
    return read_query(visit, _FIELDS, _LONGEST_WORD)


def _filter(visit: Visit) -> FleetFilter:
    fields, number = _fields(visit), read_page(visit, MOST_PAGES)
    return FleetFilter(
        fields["decision"] or None, fields["plant"] or None, fields["text"] or None, number
    )


def _id(visit: Visit) -> str:
    return str(visit.request.path_params["machine_id"])


def _path(visit: Visit) -> str:
    return f"/fleet/{quote(_id(visit), safe='')}"
