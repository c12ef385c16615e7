"""What can be wrong with a rule set, said so that its author can put it right."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a rule set: where it stands, what was expected, what came.

    Attributes:
        source: name of the file, or whatever the caller calls the text.
        line: line in the text, from 1; None where the fault has no line.
        rule_id: id of the rule at fault; None for a fault of the file itself.
        key: the key of the rule (or of the file) at fault; None where no key is meant.
        message: what was expected, what came, and what to do.
    """

    source: str
    line: int | None
    rule_id: str | None
    key: str | None
    message: str

    def __str__(self) -> str:
        """Say file, line, rule, key and message in one line."""
        location = self.source if self.line is None else f"{self.source}:{self.line}"
        rule = f" rule {self.rule_id!r}" if self.rule_id else ""
        key = f" {self.key}" if self.key else ""
        colon = ":" if rule or key else ""
        return f"{location}:{rule}{key}{colon} {self.message}"


class RuleError(ValueError):
    """A rule set that cannot be used, with every problem found in it, in file order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line or 0))
        count = len(self.problems)
        head = f"the rule set has {count} problem{'s' if count != 1 else ''}"
        super().__init__("\n  ".join([f"{head}:", *map(str, self.problems)]))


class RowError(ValueError):
    """A row or table that a rule set cannot be evaluated on: a field is absent or mistyped."""


def one_of(names: Sequence[str]) -> str:
    """Join names for a message: 'a, b or c'."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} or {names[-1]}"
