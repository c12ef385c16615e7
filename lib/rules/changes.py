"""Change a system's rules: publish a text, give a rule another status, go back; or say why not."""

from __future__ import annotations

from dataclasses import dataclass

from lib.rules.editing import with_status
from lib.rules.language import RuleLanguage, next_version, revision_of
from lib.rules.problems import Problem, RuleError
from lib.rules.repository import (
    RuleDeclaration,
    RuleRepository,
    RuleStep,
    StoredRules,
    require_present,
)
from lib.rules.ruleset import RuleSet, Status

SOURCE = "rules"
"""Name of a text that somebody sends, in problems."""


@dataclass(frozen=True)
class RuleChecks:
    """What a text was checked for.

    Attributes:
        problems: in the order of their lines; none where it may become active.
        rules: the rules of the text; None with problems.
        next_version: that the text must name.
    """

    problems: tuple[Problem, ...]
    rules: RuleSet | None
    next_version: int


class RuleBook:
    """The rules of one system: checked by the service's own loader before anything is stored.

    Args:
        repository: where versions are.
        system: whose.
    """

    def __init__(self, repository: RuleRepository, system: str) -> None:
        self._repository, self._system = repository, system

    def check(self, text: str) -> RuleChecks:
        """Check a text that is to be the next version; nothing is stored."""
        declaration = self._repository.find_rule_declaration(self._system)
        version = self.next_version(declaration)
        try:
            return RuleChecks((), self._load_next(declaration, text), version)
        except RuleError as error:
            return RuleChecks(error.problems, None, version)

    def publish(self, text: str, step: RuleStep) -> StoredRules:
        """Make a text the next version and the active one.

        Raises:
            RuleError: it cannot be loaded, or its version is not the next one.
            RulesMovedError: another version is active by now.
        """
        declaration = self._repository.find_rule_declaration(self._system)
        rules = self._load_next(declaration, text)
        return self._repository.publish_rules(self._system, text, revision_of(rules), step)

    def set_status(self, rule_id: str, status: Status, step: RuleStep) -> StoredRules:
        """Give one rule of the active version another status, as the next version.

        Raises:
            RuleError: there is no such rule, it has this status, or an active rule before it
                always decides first.
            RulesMovedError: another version is active by now.
        """
        declaration = self._repository.find_rule_declaration(self._system)
        require_present(self._repository.active_rules(self._system), step)
        text = self.active_text(declaration, step.present)
        present = declaration.language.load(text, SOURCE)
        for rule in present.rules:
            if rule.id == rule_id and rule.status == status:
                message = f"the rule is {status} already"
                raise RuleError([Problem(SOURCE, rule.line, rule_id, "status", message)])
        version = next_version(self._revisions(declaration))
        return self.publish(with_status(text, rule_id, status, version), step)

    def activate(self, number: int | None, step: RuleStep) -> None:
        """Make an earlier version active again, or the service's file (None).

        Raises:
            RuleError: the service of today cannot load it.
            UnknownRulesError: there is no such version.
            RulesMovedError: another version is active by now, or this one is.
        """
        if number is not None:
            declaration = self._repository.find_rule_declaration(self._system)
            stored = self._repository.find_rules(self._system, number)
            declaration.language.load(stored.text, f"version {number}")
        self._repository.activate_rules(self._system, number, step)

    def active_text(self, declaration: RuleDeclaration, number: int | None) -> str:
        """The text of a version, or of the service's file (None)."""
        if number is None:
            return declaration.text
        return self._repository.find_rules(self._system, number).text

    def next_version(self, declaration: RuleDeclaration) -> int:
        """The version that the next text must name."""
        return next_version(self._revisions(declaration))

    def _revisions(self, declaration: RuleDeclaration) -> list[str]:
        entries = self._repository.list_rules(self._system, 1)
        return [declaration.revision, *(entry.revision for entry in entries)]

    def _load_next(self, declaration: RuleDeclaration, text: str) -> RuleSet:
        language: RuleLanguage = declaration.language
        return language.load_next(text, SOURCE, self._revisions(declaration))
