"""Files of public layouts and their mapping files, written for tests, and what became of rows."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import on_two_cores

LAYOUT_MARKS = [pytest.mark.slow, *on_two_cores(minutes=15)]
"""Of modules that take files of public layouts from file to model."""


def write_csv(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[object]], delimiter: str = ","
) -> None:
    """A CSV file in UTF-8 whose lines end in LF."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    """A YAML file of each name."""
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)


def outcome(table: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Rows in, set aside, repeats and left out, of the counts of one table."""
    names = ("rows_in", "quarantined", "repeats", "left_out")
    return tuple(table[name] for name in names)  # type: ignore[return-value]


def adds_up(table: Mapping[str, Any], expected_rows: int) -> bool:
    """Whether every row that came is taken, set aside, a repeat or left out."""
    rows_in, *others = outcome(table)
    return (
        rows_in == expected_rows + sum(others)
        and sum(table["reasons"].values()) == table["quarantined"]
    )
