"""The audit of all systems that the key may read, and its export."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from lib.console.audit import (
    KINDS,
    MOST_EXPORTED,
    AuditFilter,
    AuditPart,
    audit_csv,
    merge_audits,
    read_audit,
)
from lib.console.system_records import StepFilter
from serve.console.console import Console
from serve.console.fields import read_page, read_query, read_span, set_fields
from serve.console.session import Visit
from serve.framework.problem import Problem

_ROWS, _MOST_PAGES = 100, 100
_LONGEST_WORD = 128
_FIELDS = ("system", "kind", "person", "action", "since", "until")


async def audit(console: Console, visit: Visit) -> Response:
    """A page of it."""
    fields, number = _fields(visit), read_page(visit, _MOST_PAGES)
    part, away = await _read(console, visit, fields, (number - 1) * _ROWS, _ROWS)
    return console.page(
        visit.request, "audit.html", page="audit", part=part, away=away,
        fields=fields, number=number,
        has_next=part.has_more and number < _MOST_PAGES,
        filters=set_fields(fields),
    )  # fmt: skip


async def export(console: Console, visit: Visit) -> Response:
    """What the filter shows as CSV, the newest 10,000 rows at most; never with a system away.

    Raises:
        Problem: 503 where one is.
    """
    part, away = await _read(console, visit, _fields(visit), 0, MOST_EXPORTED)
    if away:
        raise _away(away)
    return await console.download_csv("audit", audit_csv, part.rows)


async def _read(
    console: Console, visit: Visit, fields: dict[str, str], first: int, most: int
) -> tuple[AuditPart, list[str]]:
    """A part of the audit, and the systems that are not in it, as they do not answer.

    Raises:
        Problem: 503 where none answers.
    """
    service = console.service
    names = visit.systems("read", tuple(service.systems))
    if fields["system"]:
        visit.require(f"{fields['system']}:read")
        names = tuple(name for name in names if name == fields["system"])
    audit_filter = AuditFilter(fields["kind"] or None, _steps(fields))
    reads = (
        service.systems[name].read_if_there(read_audit, audit_filter, first + most)
        for name in names
    )
    parts = dict(zip(names, await asyncio.gather(*reads), strict=True))
    present = [part for part in parts.values() if part is not None]
    away = [name for name, part in parts.items() if part is None]
    if away and not present:
        raise _away(away)
    return await service.writing.run(merge_audits, present, first, most), away


def _away(names: list[str]) -> Problem:
    return Problem.unavailable(
        f"The records of {' and '.join(names)} do not answer now. Choose another system, or load "
        "the page again in a moment.",
        retry_after=5,
    )


def _fields(visit: Visit) -> dict[str, str]:
    """The filter, as the address has it.

    Raises:
        Problem: 422 for a kind that there is none of.
    """
    fields = read_query(visit, _FIELDS, _LONGEST_WORD)
    if fields["kind"] and fields["kind"] not in KINDS:
        raise Problem(422, "kind", f"Choose one of {', '.join(KINDS)}.")
    return fields


def _steps(fields: dict[str, str]) -> StepFilter:
    return StepFilter(fields["person"] or None, fields["action"] or None, **read_span(fields))
