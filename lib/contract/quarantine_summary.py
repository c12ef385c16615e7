"""Summary of a finished reading: how many rows came, how many were set aside, and why."""

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from lib.contract.checked import QUARANTINE_REASON, Checked
from lib.contract.declaration import Column
from lib.contract.mapping import Mapping
from lib.contract.origin import LINE, QUARANTINE_FILE, QUARANTINE_ROW, row_unit
from lib.contract.reshape import Pivot

_LONGEST_VALUE = 40


@dataclass(frozen=True, slots=True)
class QuarantineExample:
    """One quarantined row of a reason.

    Attributes:
        value: what stood in the column that the reason names; None where that is an identifier
            or free text, which no message shows, or where the reason names no single column.
        file: address of the source file, None where it is unknown.
        row: number of the line (CSV) or the row (Parquet) in that file, from 1.
        unit: "line" or "row".
    """

    value: str | None = None
    file: str | None = None
    row: int | None = None
    unit: str = LINE

    def text(self, source: str = "") -> str:
        """`'0' in line 2 of payments.csv`; the file is left out where it is `source` itself."""
        parts = [] if self.value is None else [f"'{self.value}'"]
        if self.row is not None:
            parts.append(f"{'in ' if parts else ''}{self.unit} {self.row:,}")
        if self.file is not None and (self.row is None or not _is_same(self.file, source)):
            parts.append(f"{'of' if self.row is not None else 'in'} {self.file.rpartition('/')[2]}")
        return " ".join(parts)


@dataclass(frozen=True)
class QuarantineSummary:
    """Counts of a finished reading: `rows_in` are good, quarantined, repeats, merged or left out.

    Attributes:
        rows_in: source rows read; unreadable lines of CSV files count as rows.
        repeats: exact retries dropped.
        quarantined: rows set aside, unreadable lines among them.
        reasons: quarantined rows by reason, the most frequent first.
        left_out: rows that the mapping leaves out, by `where` or by the tags of a pivot.
        examples: one quarantined row of each reason that has one.
        merged: rows whose values became part of another row of the same key.
        adjustments: values of rows that passed which were changed on reading, by column and
            reason, the most frequent first; see `Checked.adjustments`.
        empty_files: files, or parts of them, without a row.
        left_out_by: sections of the mapping that leave rows out, see `Mapping.leaves_out_by`.
    """

    rows_in: int
    repeats: int
    quarantined: int
    reasons: dict[str, int]
    left_out: int = 0
    examples: dict[str, QuarantineExample] = field(default_factory=dict)
    merged: int = 0
    adjustments: dict[str, int] = field(default_factory=dict)
    empty_files: int = 0
    left_out_by: str = ""

    @property
    def good(self) -> int:
        """Rows that are kept, one for each key."""
        return self.rows_in - self.repeats - self.quarantined - self.left_out - self.merged

    def most_frequent_reason(self, source: str) -> str:
        """One sentence for an error where too few rows are good.

        Args:
            source: file, folder or URI that was read, for the message.

        >>> QuarantineSummary(3, 0, 3, {"is_fraud: missing": 3}).most_frequent_reason("labels.csv")
        'labels.csv: 3 of 3 rows were set aside; most often "is_fraud: missing"'
        """
        if not self.rows_in:
            return f"{source}: holds no rows"
        if not self.quarantined:
            return f"{source}: none of {self.rows_in:,} rows was set aside{self._left_out_text()}"
        reason = next(iter(self.reasons))
        example = self.examples.get(reason, QuarantineExample()).text(source)
        return (
            f"{source}: {self.quarantined:,} of {self.rows_in:,} rows were set aside; most often "
            f'"{reason}"{f", e.g. {example}" if example else ""}{self._left_out_text()}'
        )

    def _left_out_text(self) -> str:
        """What leaves rows out, and how many; empty where none are."""
        if not self.left_out:
            return ""
        return f"; {self.left_out:,} are left out by {self.left_out_by or 'the mapping'}"


def summary_of(checked: Checked, mapping: Mapping) -> QuarantineSummary:
    """The summary of one table that was read and checked with `mapping`."""
    return QuarantineSummary(
        rows_in=checked.rows_in,
        repeats=checked.repeats,
        quarantined=checked.quarantined.num_rows,
        reasons=checked.reasons,
        left_out=checked.left_out,
        examples=quarantine_examples(checked.quarantined, mapping),
        merged=checked.merged,
        adjustments=checked.adjustments,
        empty_files=int(not checked.rows_in),
        left_out_by=mapping.leaves_out_by,
    )


def quarantine_examples(quarantined: pa.Table, mapping: Mapping) -> dict[str, QuarantineExample]:
    """The first row of each reason in a quarantine.

    Args:
        quarantined: as `Checked.quarantined` has it, in source columns.
        mapping: that read them: says which source column a reason speaks of.
    """
    if not quarantined.num_rows:
        return {}
    reasons = quarantined[QUARANTINE_REASON].combine_chunks()
    return {
        reason: _example(quarantined, pc.index(reasons, reason).as_py(), reason, mapping)
        for reason in reasons.unique().to_pylist()
    }


def _example(rows: pa.Table, index: int, reason: str, mapping: Mapping) -> QuarantineExample:
    file = _cell(rows, QUARANTINE_FILE, index)
    row = _cell(rows, QUARANTINE_ROW, index)
    value = _value(rows, index, reason.partition(":")[0], mapping)
    return QuarantineExample(value, file, row, row_unit(file))


def _value(rows: pa.Table, index: int, target: str, mapping: Mapping) -> str | None:
    for rule in mapping.rules:
        if rule.target.name == target and len(rule.sources) == 1 and _may_be_shown(rule.target):
            pivot = mapping.reshape if isinstance(mapping.reshape, Pivot) else None
            source = rule.sources[0]
            if pivot is not None and source not in pivot.index:
                source = pivot.value
            value = _cell(rows, source, index)
            if value is None or isinstance(value, bytes | list | dict):
                return None
            text = str(value)
            return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
    return None


def _may_be_shown(target: Column) -> bool:
    """Identifiers and free text may be of people."""
    return not pat.is_string(target.type) or bool(target.values)


def _cell(rows: pa.Table, name: str, index: int) -> Any:
    return rows[name][index].as_py() if name in rows.column_names else None


def _is_same(file: str, source: str) -> bool:
    return file == source or file.rpartition("/")[2] == source.rpartition("/")[2]
