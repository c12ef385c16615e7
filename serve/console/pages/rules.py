"""Rules: their hits, versions, a draft that is checked as it is typed, and what is active."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from starlette.responses import Response

from lib.console.rule_backtest import backtest_rules
from lib.console.rule_versions import compare_versions, read_draft, read_versions
from lib.console.rules import read_rules, rules_csv
from lib.console.source import SystemSource
from lib.rules import RuleError, Status
from lib.rules.changes import RuleBook
from lib.rules.document import LARGEST_DOCUMENT
from lib.rules.loading import STATUSES
from lib.rules.repository import RuleStep
from serve.console.console import Console
from serve.console.downloads import download
from serve.console.fields import require_reason
from serve.console.metrics import ACTIONS
from serve.console.service import SystemReader
from serve.console.session import ADMIN, Visit
from serve.framework.problem import Problem

_FILE = "file"
_DIGITS = 9


async def list_rules(console: Console, visit: Visit) -> Response:
    """The active rules of a system with their hits."""
    system = console.system(visit, "read")
    rules = await system.read(read_rules, console.service.now())
    return console.page(visit.request, "rules.html", page="rules", rules=rules)


async def export(console: Console, visit: Visit) -> Response:
    """The active rules with their hits as CSV."""
    system = console.system(visit, "read")
    rules = await system.read(read_rules, console.service.now())
    return download(rules_csv(rules), f"rules-{rules.system}.csv")


async def rule(console: Console, visit: Visit) -> Response:
    """One rule, and what may be done with it."""
    system, rule_id = console.system(visit, "read"), visit.request.path_params["rule_id"]
    rules = await system.read(read_rules, console.service.now())
    row = rules.row(rule_id)
    if row is None:
        raise Problem.not_found(f"The active rules of {rules.system} have no rule of this id.")
    return console.page(visit.request, "rule.html", page="rules", rules=rules, row=row)


async def versions(console: Console, visit: Visit) -> Response:
    """Versions, and who made them active."""
    return await console.system_page(visit, "rule_versions.html", "rules", versions=read_versions)


async def compare(console: Console, visit: Visit) -> Response:
    """How two versions differ; by default the file and the active one."""
    system, query = console.system(visit, "read"), visit.request.query_params
    active = await system.read(_active)
    before = _number(query["before"]) if "before" in query else None
    after = _number(query["after"]) if "after" in query else active
    comparison = await system.read(compare_versions, before, after)
    return console.page(visit.request, "rule_comparison.html", page="rules", comparison=comparison)


async def draft(console: Console, visit: Visit) -> Response:
    """A text to change, which begins as a version does."""
    visit.require(ADMIN)
    system, query = console.system(visit, "read"), visit.request.query_params
    origin = query.get("from", "")
    number = _number(origin) if origin else None
    beginning = await system.read(read_draft, number, origin == _FILE)
    return console.page(visit.request, "rule_draft.html", page="rules", draft=beginning)


async def validate(console: Console, visit: Visit) -> Response:
    """What is wrong with a text; nothing is stored."""
    visit.require(ADMIN)
    system, text = console.system(visit, "read"), _text(visit)
    checks = await system.read(_check, text)
    return console.page(visit.request, "rule_problems.html", page="rules", checks=checks)


async def backtest(console: Console, visit: Visit) -> Response:
    """What a text would have hit among stored decisions; nothing is stored."""
    visit.require(ADMIN)
    system, text, service = console.system(visit, "read"), _text(visit), console.service
    try:
        result = await service.backtests.run(backtest_rules, system.source, text, service.now())
    except RuleError as error:
        return console.page(
            visit.request, "rule_problems.html", page="rules", checks=_Faults(error.problems)
        )
    return console.page(visit.request, "rule_backtest.html", page="rules", backtest=result)


async def publish(console: Console, visit: Visit) -> Response:
    """Makes a text the next version and the active one."""
    visit.require(ADMIN)
    system, text = console.system(visit, "read"), _text(visit)
    await _change(system, RuleBook.publish, text, _step(console, visit))
    return _done(console, system, "publish", "published")


async def set_status(console: Console, visit: Visit) -> Response:
    """Puts a rule into shadow, activates it, or switches it off."""
    visit.require(ADMIN)
    system, status = console.system(visit, "read"), visit.form.get("status", "")
    if status not in STATUSES:
        raise Problem(422, "status", f"Choose {', '.join(STATUSES)}. Nothing was changed.")
    rule_id, step = visit.request.path_params["rule_id"], _step(console, visit)
    await _change(system, RuleBook.set_status, rule_id, cast(Status, status), step)
    return _done(console, system, "rule status", f"status-{status}")


async def activate(console: Console, visit: Visit) -> Response:
    """Makes an earlier version active again, or the service's file."""
    visit.require(ADMIN)
    system, number = console.system(visit, "read"), _number(visit.form.get("version", ""))
    await _change(system, RuleBook.activate, number, _step(console, visit))
    return _done(console, system, "activate rules", "activated")


class _Faults:
    """Checks of a text that could not be loaded for a backtest."""

    def __init__(self, problems: tuple[Any, ...]) -> None:
        self.problems, self.rules, self.next_version = problems, None, 0


async def _change(system: SystemReader, change: Callable[..., Any], *args: Any) -> None:
    """Does it in a thread.

    Raises:
        Problem: 422 with the faults of a text.
    """

    def work(source: SystemSource) -> None:
        change(RuleBook(source.records, source.system), *args)

    try:
        await system.read(work)
    except RuleError as error:
        faults = "; ".join(
            f"line {fault.line}: {fault.message}" if fault.line else fault.message
            for fault in error.problems[:3]
        )
        raise Problem(422, "rules", f"{faults}. Nothing was changed.") from None


def _done(console: Console, system: SystemReader, action: str, done: str) -> Response:
    console.service.meter.count(ACTIONS.name, action, "done")
    return console.redirect(f"/rules/{system.source.system}", done=done)


def _check(source: SystemSource, text: str) -> Any:
    return RuleBook(source.records, source.system).check(text)


def _active(source: SystemSource) -> int | None:
    return source.records.active_rules(source.system)


def _text(visit: Visit) -> str:
    """The text of a form, with the line ends of files, where browsers send others."""
    text = visit.form.get("text", "").replace("\r\n", "\n")
    if not text or len(text) > LARGEST_DOCUMENT:
        raise Problem(422, "text", "Write the rules as YAML. Nothing was changed.")
    return text + "\n"


def _step(console: Console, visit: Visit) -> RuleStep:
    reason = require_reason(visit)
    present = _number(visit.form.get("present", ""))
    return RuleStep(by=visit.actor, reason=reason, at=console.service.now(), present=present)


def _number(text: str) -> int | None:
    """A version; None for the service's file.

    Raises:
        Problem: 422 for what is neither.
    """
    if text == _FILE:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS or not int(text):
        raise Problem(422, "version", "Choose a version, or the file. Nothing was changed.")
    return int(text)
