"""The business page of a period: read, measured, compared, written; the same for all systems."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from jobs.framework.decision_source import DecisionOptions, DecisionSource, window_time
from jobs.framework.paths import InputPath, OutputPath
from lib.business.measures import FEWEST_ENTITIES
from lib.business.outcomes import SystemOutcomes
from lib.business.period import Period, period_rows, to_time
from lib.business.report import business_report, interval_text, number_text, rests_on_text
from lib.business.repository import StatementRepository
from lib.business.statement import BusinessError, Measure, Statement, Wording, read_statement
from lib.contract import ContractError
from lib.report import render_page
from lib.storage import open_storage, split_address

PAGE, FIGURES = "business.html", "business.json"
_FEW = "fewer than {} {}: no interval is given"


@dataclass(frozen=True, kw_only=True)
class BusinessOptions(DecisionOptions):
    """Options of every system's business page."""

    output: OutputPath
    """output folder or URI for business.html and business.json"""
    before: InputPath | None = None
    """what to compare with: business.json of an earlier run, or one that was written by hand of the
    time before (system, since, until, as_of, measures with name, label, unit, better, value); or a
    Parquet export of decisions, with --before-from and --before-to"""
    before_from: str | None = None
    """first event time of the period before, a date (UTC) or a time in ISO 8601; without --before
    its decisions are those of --records or --decisions"""
    before_to: str | None = None
    """event time before which the period before ends, likewise"""
    as_of: str | None = None
    """time up to which labels count, ISO 8601; default: now"""
    currency: str = ""
    """name of the currency of all amounts, for the page"""
    seed: int = 7
    """seed of the intervals"""
    repeats: int = 400
    """draws of entities that the intervals are made of"""

    def check(self) -> None:
        """See `JobOptions`.

        Raises:
            ContractError, BusinessError: an option or the file of --before cannot be meant.
        """
        super().check()
        if not 20 <= self.repeats <= 100_000:
            raise ContractError(f"--repeats: expected 20 to 100,000, got {self.repeats}")
        if (self.before_from is None) != (self.before_to is None):
            raise ContractError("--before-from, --before-to: expected both or neither")
        if self.before is not None and is_statement(self.before) == bool(self.before_from):
            raise ContractError(
                "--before: expected a JSON file alone, or Parquet with --before-from and "
                f"--before-to, got {self.before}"
            )
        self.known_until(time.time_ns() // 1000)
        self.earlier()

    def known_until(self, now: int) -> int:
        """Microseconds since 1970 up to which labels count."""
        return now if self.as_of is None else window_time("--as-of", self.as_of)

    def earlier(self) -> DecisionOptions | None:
        """Options of the period before, where its decisions are to be read."""
        if self.before_from is None:
            return None
        decisions = self.decisions if self.before is None else self.before
        none: dict[str, Any] = dict.fromkeys(("before", "before_from", "before_to"))
        period = {"since": self.before_from, "until": self.before_to, "decisions": decisions}
        earlier = replace(self, **none, **period)
        earlier.window(0)
        return earlier


@dataclass(frozen=True)
class PagePart:
    """What a system says of a period: figures and sentences on what they assume."""

    measures: Sequence[Measure]
    notes: Sequence[str]


class SystemPage(ABC):
    """What differs between the pages of systems.

    Attributes:
        outcomes: and money.
        wording: words.
        label_source: what labels are, in words.
        by_row: whether outcomes of a decision do not depend on others, so that tables are worked on
            one at a time.
    """

    outcomes: SystemOutcomes
    wording: Wording
    label_source: str
    by_row: bool

    @abstractmethod
    def segments(
        self, decisions: pa.Table, outcomes: pa.Table
    ) -> Mapping[str, Sequence[str | None]]:
        """See `lib.business.period.period_rows`."""

    @abstractmethod
    def part(self, period: Period, labels: pa.Table) -> PagePart:
        """Figures of a period."""

    def rows(self, decisions: pa.Table, labels: pa.Table, as_of: int) -> pa.Table:
        """See `lib.business.period.period_rows`."""
        outcomes = self.outcomes.outcomes(decisions, labels, as_of)
        return period_rows(decisions, outcomes, self.segments(decisions, outcomes))

    def compared(self, now: Statement, before: Statement | None) -> Statement:  # noqa: ARG002
        """The statement with figures that need the period before, where a system has such."""
        return now


def is_statement(path: str) -> bool:
    """Whether a path is that of figures rather than of decisions."""
    return path.endswith(".json")


def write_business(options: BusinessOptions, page: SystemPage) -> str:
    """Measure the period, compare it, and write page and figures; returns the page's address.

    Nothing is written before everything could be computed. With --records the statement is kept
    there, too, where the console lists it by date.

    Raises:
        DecisionSourceError: no decision of the period, or clocks that disagree.
        BusinessError: the period before cannot be compared.
    """
    now_us = time.time_ns() // 1000
    before = _before(options, page, now_us)
    statement = page.compared(_statement(options, page, options, now_us), before)
    if before is not None and before.until > statement.since:
        raise BusinessError(
            f"before: expected a period that ends by {statement.since:%Y-%m-%d %H:%M}, where the "
            f"other begins, got one until {before.until:%Y-%m-%d %H:%M}"
        )
    html = render_page(business_report(statement, page.wording, before))
    output = open_storage(options.output)
    output.write(FIGURES, statement.to_json().encode())
    output.write(PAGE, html.encode())
    kept = _record(options, page, statement, before, now_us)
    print("\n".join(_closing_lines(statement, page.wording)))
    print(f"page:       {output.shown(PAGE)}\nfigures:    {output.shown(FIGURES)}")
    print(f"console:    {kept}")
    return output.address(PAGE)


def _record(
    options: BusinessOptions,
    page: SystemPage,
    statement: Statement,
    before: Statement | None,
    now_us: int,
) -> str:
    """Keep the statement in the records; returns where the console shows it, in words."""
    if options.records is None:
        return "not listed (no --records)"
    with StatementRepository(options.records) as repository:
        repository.migrate()
        statement_id = repository.record_statement(statement, page.wording, before, now_us)
    return f"/console/business/{statement.system}/{statement_id}"


def _before(options: BusinessOptions, page: SystemPage, now_us: int) -> Statement | None:
    earlier = options.earlier()
    if earlier is not None:
        return page.compared(_statement(earlier, page, options, now_us), None)
    if options.before is None:
        return None
    folder, name = split_address(options.before)
    content = open_storage(folder).read(name)
    if content is None:
        raise BusinessError(f"--before: {options.before}: the file cannot be read")
    try:
        text = content.decode("utf-8")
        json.loads(text)
    except ValueError as error:
        raise BusinessError(f"--before: {options.before}: expected JSON: {error}") from error
    return read_statement(text, f"--before: {name}", page.outcomes.system)


def _statement(
    source_options: DecisionOptions, page: SystemPage, options: BusinessOptions, now_us: int
) -> Statement:
    source = DecisionSource(source_options, page.outcomes.system, now_us)
    as_of = options.known_until(now_us)
    if as_of <= source.window.since:
        raise ContractError(
            f"--as-of: expected a time after the period begins, {to_time(source.window.since)}, "
            f"got {to_time(as_of)}"
        )
    labels = options.known_labels(source)
    period = Period(
        rows=_rows(source, page, labels, as_of),
        since=source.window.since,
        until=source.window.until,
        as_of=as_of,
        acting=page.outcomes.acting,
        source=page.label_source,
        seed=options.seed,
        repeats=options.repeats,
        has_labels=labels.num_rows > 0,
    )
    part = page.part(period, labels)
    missed, wrongly = period.wrong()
    notes = [*part.notes, *_cautions(period, page, labels)]
    return Statement(
        system=page.outcomes.system,
        since=to_time(period.since),
        until=to_time(period.until),
        as_of=datetime.fromtimestamp(as_of // 1_000_000, UTC),
        currency=options.currency,
        decisions=period.rows.num_rows,
        entities=period.bootstrap.count,
        ripe=int(period.ripe.sum()),
        measures=tuple(part.measures),
        missed=int(missed.sum()),
        wrongly_acted=int(wrongly.sum()),
        wrongly_by={
            name: count
            for name in period.acting
            if (count := int((wrongly & period.decided(name)).sum()))
        },
        segments=period.segments(),
        daily=period.daily(),
        notes=tuple(notes),
    )


def _rows(source: DecisionSource, page: SystemPage, labels: pa.Table, as_of: int) -> pa.Table:
    if not page.by_row:
        return page.rows(source.table(), labels, as_of)
    tables = [page.rows(table, labels, as_of) for table in source.tables() if table.num_rows]
    return pa.concat_tables(tables, promote_options="default")


def _cautions(period: Period, page: SystemPage, labels: pa.Table) -> list[str]:
    """What a reader must know that the figures do not say."""
    cautions = []
    if not labels.num_rows:
        cautions.append(
            "No label of any kind was received, so what silence means is not known and no outcome "
            "counts as final. Check that labels arrive."
        )
    if period.bootstrap.count < FEWEST_ENTITIES:
        cautions.append(f"There are {_FEW.format(FEWEST_ENTITIES, page.wording.entities)}.")
    return cautions


def _closing_lines(statement: Statement, wording: Wording) -> list[str]:
    lines = [
        f"{statement.decisions:,} {wording.decisions} of {statement.entities:,} "
        f"{wording.entities}, {statement.ripe:,} with a final outcome"
    ]
    for measure in statement.measures:
        value = number_text(measure.value, measure.unit)
        detail = interval_text(measure) if measure.value is not None else rests_on_text(measure)
        lines.append(f"{measure.label[:64]:66}{value:>12}  {detail}")
    return lines
