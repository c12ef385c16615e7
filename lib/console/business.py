"""Business: what each system came to in its periods, by date, and one period in figures."""

from __future__ import annotations

from dataclasses import dataclass

from lib.business.report import business_report
from lib.business.repository import StatementEntry
from lib.business.statement import BusinessError, Point, Statement
from lib.console.chart import Chart, draw
from lib.console.source import SystemSource
from lib.report.document import KeyFigures, Note, Report, Table
from lib.report.page import numeric_columns, written

MOST_LISTED = 100


@dataclass(frozen=True)
class BusinessList:
    """Statements of a system.

    Attributes:
        system: its name.
        entries: that of the latest period first.
        has_more: whether there are older ones.
    """

    system: str
    entries: tuple[StatementEntry, ...]
    has_more: bool


@dataclass(frozen=True)
class PrintedTable:
    """A table as text.

    Attributes:
        header: of the columns.
        is_number: which of them hold numbers.
        rows: cells.
        caption: below it, "" for none.
    """

    header: tuple[str, ...]
    is_number: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str


@dataclass(frozen=True)
class PrintedSection:
    """A part of the page, in the order of its attributes.

    Attributes:
        title: its heading.
        figures: large numbers, with the change against the period before.
        notes: paragraphs.
        tables: below them.
    """

    title: str
    figures: KeyFigures | None
    notes: tuple[str, ...]
    tables: tuple[PrintedTable, ...]


@dataclass(frozen=True)
class BusinessPage:
    """A period of a system.

    Attributes:
        system: its name.
        entry: its place in the list; None where it cannot be read.
        title, subtitle: of the page.
        sections: figures beside those of the period before, what was wrong, what it rests on.
        chart: money by day; None without two days.
        fault: why the statement cannot be shown; "" where it can.
    """

    system: str
    entry: StatementEntry | None
    title: str
    subtitle: str
    sections: tuple[PrintedSection, ...]
    chart: Chart | None = None
    fault: str = ""


def read_business(source: SystemSource) -> BusinessList:
    """Read which periods of a system were measured."""
    entries = source.records.list_statements(source.system, MOST_LISTED + 1)
    return BusinessList(source.system, tuple(entries[:MOST_LISTED]), len(entries) > MOST_LISTED)


def read_statement_page(source: SystemSource, statement_id: str) -> BusinessPage | None:
    """Read a period beside the one before; None where there is none of this id."""
    try:
        recorded = source.records.find_statement(source.system, statement_id)
    except BusinessError as error:
        return BusinessPage(source.system, None, "", "", (), fault=str(error))
    if recorded is None:
        return None
    try:
        report = business_report(
            recorded.statement, recorded.wording, recorded.before, has_plot=False
        )
    except BusinessError as error:
        return BusinessPage(source.system, recorded.entry, "", "", (), fault=str(error))
    return BusinessPage(
        source.system,
        recorded.entry,
        report.title,
        report.subtitle,
        _sections(report),
        _daily(recorded.statement, recorded.before),
    )


def _sections(report: Report) -> tuple[PrintedSection, ...]:
    return tuple(
        PrintedSection(
            section.title,
            next((block for block in section.blocks if isinstance(block, KeyFigures)), None),
            tuple(block.text for block in section.blocks if isinstance(block, Note)),
            tuple(_printed(block) for block in section.blocks if isinstance(block, Table)),
        )
        for section in report.sections
    )


def _printed(table: Table) -> PrintedTable:
    rows = tuple(
        tuple(written(cell, table.digits_below(column)) for column, cell in enumerate(row))
        for row in table.rows
    )
    return PrintedTable(table.header, tuple(numeric_columns(table)), rows, table.caption)


def _daily(now: Statement, before: Statement | None) -> Chart | None:
    """Money by day; that of the period before beside it where it has as many days."""
    if len(now.daily) < 2:
        return None
    unit = now.currency or "currency units"
    curves = {f"this period, {unit}": _money(now.daily)}
    if before is not None and len(before.daily) == len(now.daily):
        curves["the period before"] = _money(before.daily)
    start = now.daily[0].day
    days = [float((point.day - start).days) for point in now.daily]
    title = "What decisions brought, less what they cost"
    return draw(title, days, curves, f"days since {start:%Y-%m-%d}")


def _money(points: tuple[Point, ...]) -> list[float]:
    return [point.money for point in points]
