"""What rules of a system may read and decide, and which text may become its next version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lib.rules.loading import load_rules
from lib.rules.problems import Problem, RuleError
from lib.rules.ruleset import RuleSet

KINDS: Mapping[str, type] = {"number": float, "text": str, "flag": bool}
"""Kinds of fields by name, as a stored declaration has them."""
_DIGEST_DIGITS = 12


@dataclass(frozen=True)
class RuleLanguage:
    """What rules are checked against; services and the console load them by the same one.

    Attributes:
        fields: that expressions may read, with their types.
        actions: from the mildest to the hardest.
        pass_key: secret of the exploration sample; empty where rules have none.
    """

    fields: Mapping[str, type]
    actions: tuple[str, ...]
    pass_key: bytes = field(default=b"", repr=False)

    def load(self, text: str, source: str) -> RuleSet:
        """The rule set of a text.

        Args:
            text: YAML.
            source: its name for messages.

        Raises:
            RuleError: see `load_rules`.
        """
        try:
            return load_rules(
                text, self.fields, actions=self.actions, source=source, pass_key=self.pass_key
            )
        except RecursionError:
            raise RuleError([_problem(source, None, "is nested too deeply: split it")]) from None

    def load_next(self, text: str, source: str, revisions: Sequence[str]) -> RuleSet:
        """The same of a text that is to follow other versions.

        Args:
            text: see `load`.
            source: likewise.
            revisions: of all versions so far, the file's included.

        Raises:
            RuleError: it cannot be loaded, or its version is not the next one.
        """
        rules = self.load(text, source)
        expected = next_version(revisions)
        if rules.version != expected:
            message = f"expected {expected}, the next version, got {rules.version}"
            raise RuleError([_problem(source, version_line(text), message)])
        return rules

    def kinds(self) -> dict[str, str]:
        """Kinds of the fields by name; see `KINDS`."""
        names = {float: "number", int: "number", str: "text", bool: "flag"}
        return {name: names[declared] for name, declared in self.fields.items()}


def revision_of(rules: RuleSet) -> str:
    """Version and digest of a rule set, as decisions name it."""
    return f"{rules.version}-{rules.digest[:_DIGEST_DIGITS]}"


def version_of(revision: str) -> int:
    """The version that a revision begins with.

    >>> version_of("12-0123456789ab")
    12
    """
    return int(revision.partition("-")[0])


def next_version(revisions: Sequence[str]) -> int:
    """The version after all of these."""
    return max(map(version_of, revisions), default=0) + 1


def version_line(text: str) -> int:
    """The line, from 1, on which a rule file names its version; 1 where none does."""
    lines = text.splitlines()
    return next((n for n, line in enumerate(lines, 1) if line.startswith("version:")), 1)


def _problem(source: str, line: int | None, message: str) -> Problem:
    return Problem(source, line, None, None if line is None else "version", message)
