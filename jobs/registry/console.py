"""Plain tables for a terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align `rows` under `header`, two spaces between columns."""
    lines = [header, ["-" * len(title) for title in header], *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def format_time(microseconds: int) -> str:
    """Write microseconds since 1970 UTC to the second."""
    return datetime.fromtimestamp(microseconds // 1_000_000, tz=UTC).strftime("%Y-%m-%d %H:%M:%SZ")
