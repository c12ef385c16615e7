"""A few rows of a data set before and after their mapping, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from lib.contract.checked import QUARANTINE_REASON, VALUE_ADJUSTMENTS
from lib.contract.column_rule import ColumnRule
from lib.contract.mapping import Mapping
from lib.contract.origin import QUARANTINE_FILE, QUARANTINE_ROW, file_values, row_unit
from lib.contract.reshape import Pivot

_INDEX = "preview_index"
_LONGEST_VALUE = 60
_MOST_BAD = 3


@dataclass(frozen=True, slots=True)
class CellPreview:
    """A value of a contract's column, and what it came from.

    Attributes:
        source: the columns it was read from, or what else it comes from.
        before: the values in them, as they are written.
        column: of the contract.
        after: the value in it.
    """

    source: str
    before: str
    column: str
    after: str


@dataclass(frozen=True, slots=True)
class RowPreview:
    """A row before and after its mapping.

    Attributes:
        location: the line or row of the file that it is.
        cells: its values.
        reason: why it is set aside, "" where it is good.
        adjustments: values that were changed on reading, and why.
    """

    location: str
    cells: tuple[CellPreview, ...]
    reason: str = ""
    adjustments: tuple[str, ...] = ()


def preview_rows(mapping: Mapping, raw: pa.Table, most: int = 10) -> list[RowPreview]:
    """Some rows of a piece, spread over it; up to three that are set aside come among them.

    Args:
        mapping: of the data set.
        raw: source rows with where each is, as `read_pieces` gives them.
        most: rows.
    """
    selected = mapping.select(mapping.source_rows(raw))
    if not selected.num_rows:
        return []
    converted = mapping.convert(selected)
    numbered = selected.append_column(_INDEX, pa.array(np.arange(selected.num_rows)))
    quarantined = mapping.row_contract.check(converted, numbered).quarantined
    reasons: dict[int, str] = {}
    if _INDEX in quarantined.column_names:
        pairs = zip(
            quarantined[_INDEX].to_pylist(), quarantined[QUARANTINE_REASON].to_pylist(), strict=True
        )
        reasons = {index: reason for index, reason in pairs if index is not None}
    adjusted = mapping.row_contract.adjust(converted)
    return [
        _row(mapping, selected.slice(index, 1), adjusted.slice(index, 1), reasons.get(index, ""))
        for index in _chosen(selected.num_rows, sorted(reasons), most)
    ]


def _chosen(rows: int, bad: Sequence[int], most: int) -> list[int]:
    few = list(bad[: min(_MOST_BAD, most)])
    others = np.setdiff1d(np.arange(rows), np.array(few, dtype=np.int64))
    count = min(most - len(few), len(others))
    spread = others[np.linspace(0, len(others) - 1, count).astype(int)] if count else []
    return sorted({*few, *(int(index) for index in spread)})


def _row(mapping: Mapping, selected: pa.Table, adjusted: pa.Table, reason: str) -> RowPreview:
    cells = tuple(
        CellPreview(*_before(mapping, rule, selected), rule.target.name, _after(adjusted, rule))
        for rule in mapping.rules
        if rule.target.name in mapping.contract.names
    )
    notes = adjusted[VALUE_ADJUSTMENTS][0].as_py() or []
    return RowPreview(_location(selected), cells, reason, tuple(notes))


def _location(selected: pa.Table) -> str:
    if QUARANTINE_FILE not in selected.column_names:
        return "row"
    file = str(selected[QUARANTINE_FILE][0].as_py())
    return f"{row_unit(file)} {selected[QUARANTINE_ROW][0].as_py():,} of {file.rpartition('/')[2]}"


def _before(mapping: Mapping, rule: ColumnRule, selected: pa.Table) -> tuple[str, str]:
    """What a column is read from, and the values there."""
    if rule.constant is not None:
        return "(a constant)", rule.constant
    names: list[str] = [*rule.file_parts]
    values: list[Any] = []
    if rule.file_parts:
        values += [array[0].as_py() for array in file_values(selected, rule.file_parts)]
    for name in (*rule.sources, *(rule.money.needs if rule.money else ())):
        if name in selected.column_names:
            names.append(name)
            values.append(selected[name][0].as_py())
        elif isinstance(mapping.reshape, Pivot):
            tag = selected[mapping.reshape.tag][0].as_py()
            names.append(f"{mapping.reshape.tag} {name}")
            values.append(selected[mapping.reshape.value][0].as_py() if str(tag) == name else None)
    return ", ".join(names), ", ".join(value_text(value) for value in values)


def _after(adjusted: pa.Table, rule: ColumnRule) -> str:
    return value_text(adjusted[rule.target.name][0].as_py())


def value_text(value: Any) -> str:
    """A value in few characters; what is missing as a dash.

    >>> value_text(None), value_text(b"abc"), value_text([1.0, 2.0])
    ('–', '3 bytes', '2 numbers')
    """
    if value is None:
        return "–"
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, list):
        return f"{len(value):,} numbers"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="auto")
    text = "".join(letter if letter.isprintable() else " " for letter in str(value))
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
