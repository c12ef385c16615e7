"""Versions of rules: those that are stored, how two differ, and a text to begin the next with."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from lib.console.source import SystemSource
from lib.rules.changes import RuleBook
from lib.rules.editing import with_version
from lib.rules.repository import RuleChange, RuleDeclaration, RuleEntry, UnknownRulesError

_CONTEXT, _LISTED = 4, 50


@dataclass(frozen=True)
class VersionsPage:
    """Stored versions of a system's rules.

    Attributes:
        system: its name.
        active: the active one; None is the service's file.
        declaration: with the file; None where no application has said what rules may read.
        entries: the newest first.
        changes: the audit, the newest first.
    """

    system: str
    active: int | None
    declaration: RuleDeclaration | None
    entries: tuple[RuleEntry, ...]
    changes: tuple[RuleChange, ...]


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of a comparison.

    Attributes:
        mark: ` ` of both texts, `-` of the first, `+` of the second, `@` where lines are left out.
        text: of the line.
    """

    mark: str
    text: str


@dataclass(frozen=True)
class Comparison:
    """How one version differs from another.

    Attributes:
        system: whose.
        active: the active version.
        before, after: versions; None is the service's file.
        lines: those that differ with some around them; none where the texts are equal.
        entries: versions that may be compared, the newest first.
    """

    system: str
    active: int | None
    before: int | None
    after: int | None
    lines: tuple[DiffLine, ...]
    entries: tuple[RuleEntry, ...]


@dataclass(frozen=True)
class RuleDraft:
    """A text to begin with: that of a version, under the next version's number.

    Attributes:
        system: whose.
        active: the active version; None is the service's file.
        origin: the version that it begins as, likewise.
        next_version: that the text must name.
        text: YAML.
        declaration: what rules may read and decide.
    """

    system: str
    active: int | None
    origin: int | None
    next_version: int
    text: str
    declaration: RuleDeclaration


def read_versions(source: SystemSource) -> VersionsPage:
    """Read which versions there are, and who made them active."""
    records, system = source.records, source.system
    return VersionsPage(
        system,
        records.active_rules(system),
        find_declaration(source),
        tuple(records.list_rules(system, _LISTED)),
        tuple(records.list_rule_changes(system, _LISTED)),
    )


def compare_versions(source: SystemSource, before: int | None, after: int | None) -> Comparison:
    """Compare the texts of two versions; None is the service's file.

    Raises:
        UnknownRulesError: there is no such version, or no file is declared.
    """
    records, system = source.records, source.system
    declaration = records.find_rule_declaration(system)
    book = RuleBook(records, system)
    first, second = (book.active_text(declaration, number) for number in (before, after))
    return Comparison(
        system,
        records.active_rules(system),
        before,
        after,
        tuple(diff_lines(first, second)),
        tuple(records.list_rules(system, _LISTED)),
    )


def read_draft(source: SystemSource, number: int | None, is_file: bool) -> RuleDraft:
    """Read the text of a version as the beginning of the next one.

    Args:
        source: of the system.
        number: the version; None for the active one, or for the file.
        is_file: whether None is the file.

    Raises:
        UnknownRulesError: there is no such version, or no application has said what rules may
            read.
    """
    records, system = source.records, source.system
    declaration, book = records.find_rule_declaration(system), RuleBook(records, system)
    active = records.active_rules(system)
    origin = active if number is None and not is_file else number
    version = book.next_version(declaration)
    text = with_version(book.active_text(declaration, origin), version)
    return RuleDraft(system, active, origin, version, text, declaration)


def diff_lines(before: str, after: str) -> list[DiffLine]:
    """Lines that differ between two texts, with four around them."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=_CONTEXT)
    return [DiffLine(line[0], line[1:]) for line in list(lines)[2:]]


def find_declaration(source: SystemSource) -> RuleDeclaration | None:
    """What rules of a system may read; None where no application has said so."""
    try:
        return source.records.find_rule_declaration(source.system)
    except UnknownRulesError:
        return None
