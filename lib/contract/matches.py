"""How many rows of a table name a subject that another table has: what matches nothing is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LARGE_SHARE = 0.2
"""Share of rows without a match from which on a warning comes first."""
_SHAPE_LENGTH = 40


@dataclass(frozen=True, slots=True)
class MatchCounts:
    """Rows of a table, and those whose subject is unknown.

    Attributes:
        rows: that were looked at.
        unmatched: of them whose subject no other table has.
        example: identifier in a row that matches nothing; "" where all match. Where identifiers
            are of people, its `id_shape`.
        subject_example: the same of a subject, to compare how the two are written.
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

    @classmethod
    def by_table(cls, content: Mapping[str, Mapping[str, Any]]) -> dict[str, MatchCounts]:
        """Counts of several tables, as they stand in a job's note."""
        return {table: cls.from_json(counts) for table, counts in content.items()}

    def warning(self, table: str, subject: str) -> str | None:
        """One line where a large share matches nothing, with an identifier of each side.

        Args:
            table: name of the rows, such as `labels`.
            subject: what they name, such as `payment`.
        """
        if not self.rows or self.unmatched <= LARGE_SHARE * self.rows:
            return None
        advice = "identifiers must be written alike on both sides"
        if id_shape(self.example) == id_shape(self.subject_example):
            advice = (
                f"these are written alike: check that both tables are of the same {subject}s, and "
                "that none of them is cut short"
            )
        return (
            f"warning: {table}: {self.unmatched:,} of {self.rows:,} match no {subject}; e.g. "
            f"{table} have {self.example!r}, {subject}s {self.subject_example!r}: {advice}"
        )


def id_shape(identifier: str) -> str:
    """How an identifier is written, not whose it is: `anna-7@x.org` is `aaaa-9@a.aaa`.

    Digits are 9, letters `a` or `A`, other characters beyond ASCII `?`; after 40 characters it
    ends with `...`.
    """
    shape = "".join(map(_character_shape, identifier[:_SHAPE_LENGTH]))
    return shape + "..." if len(identifier) > _SHAPE_LENGTH else shape


def _character_shape(character: str) -> str:
    if character.isdigit():
        return "9"
    if character.isalpha():
        return "A" if character.isupper() else "a"
    return character if character.isascii() and character.isprintable() else "?"


def match_warnings(matches: Mapping[str, MatchCounts], subject: str) -> list[str]:
    """Lines that come first: tables of which a large share matches nothing; see `warning`."""
    lines = (counts.warning(table, subject) for table, counts in matches.items())
    return [line for line in lines if line is not None]


def table_match_warnings(tables: Mapping[str, Mapping[str, Any]], subject: str) -> list[str]:
    """The same from what was read of each table, which has its counts under `matches`."""
    matches = {name: table["matches"] for name, table in tables.items() if "matches" in table}
    return match_warnings(MatchCounts.by_table(matches), subject)


def match_lines(matches: Mapping[str, MatchCounts], subject: str) -> list[str]:
    """Closing lines: the rows of each table whose subject is unknown; none where all match.

    Args:
        matches: by table.
        subject: what rows name, such as `customer`.
    """
    return [
        f"{counts.unmatched:>8,}  of {counts.rows:,} rows of {table} are of no {subject}"
        for table, counts in matches.items()
        if counts.unmatched
    ]


def match_figures(matches: Mapping[str, MatchCounts], subject: str) -> dict[str, int]:
    """The same counts for a report, by words."""
    return {
        f"{table}: rows of no {subject}": counts.unmatched
        for table, counts in matches.items()
        if counts.unmatched
    }
