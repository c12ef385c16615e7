"""How many rows of a table name a subject that another table has: what matches nothing is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LARGE_SHARE = 0.2
"""Share of rows without a match from which on a warning comes first."""


@dataclass(frozen=True, slots=True)
class MatchCounts:
    """Rows of a table, and those whose subject is unknown.

    Attributes:
        rows: that were looked at.
        unmatched: of them whose subject no other table has.
        example: identifier in a row that matches nothing; "" where all match.
        subject_example: identifier of a subject, to compare how the two are written.
    """

    rows: int = 0
    unmatched: int = 0
    example: str = ""
    subject_example: str = ""

    def __add__(self, other: MatchCounts) -> MatchCounts:
        return MatchCounts(
            self.rows + other.rows,
            self.unmatched + other.unmatched,
            self.example or other.example,
            self.subject_example or other.subject_example,
        )

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> MatchCounts:
        """The counts that `to_json` wrote."""
        return cls(**content)

    def to_json(self) -> dict[str, Any]:
        """All counts as JSON."""
        return asdict(self)

    def warning(self, table: str, subject: str) -> str | None:
        """One line where a large share matches nothing, with an identifier of each side.

        Args:
            table: name of the rows, such as `labels`.
            subject: what they name, such as `payment`.
        """
        if not self.rows or self.unmatched <= LARGE_SHARE * self.rows:
            return None
        return (
            f"warning: {table}: {self.unmatched:,} of {self.rows:,} match no {subject}; e.g. "
            f"{table} have {self.example!r}, {subject}s {self.subject_example!r}: identifiers must "
            "be written alike on both sides"
        )
