"""What the check of a table came to: reasons of rows, adjusted values, counts; checks in turn."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.contract.declaration import ContractError

QUARANTINE_REASON = "quarantine_reason"
VALUE_ADJUSTMENTS = "value_adjustments"

Mask = npt.NDArray[np.bool_]
_Rows = npt.NDArray[np.int64]


def by_frequency(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts by text, the most frequent first, ties by text; without those that are 0."""
    pairs = [(text, count) for text, count in counts.items() if count]
    return dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))


class RowReasons:
    """One reason per row, none at first; the first reason found for a row stays.

    Rows are held as small codes into a list of texts, so a clean table of any length costs four
    bytes a row and no text.
    """

    def __init__(self, rows: int) -> None:
        self._codes: npt.NDArray[np.int32] = np.full(rows, -1, dtype=np.int32)
        self._code_of: dict[str, int] = {}

    @property
    def bad(self) -> Mask:
        """True where the row has a reason, one value per row."""
        return self._codes >= 0

    def mark(self, mask: Mask, text: str) -> None:
        """Give `text` to the rows of `mask` that have no reason yet."""
        fresh = mask & (self._codes < 0)
        if fresh.any():
            self._codes[fresh] = self._code_of.setdefault(text, len(self._code_of))

    def mark_each(self, texts: pa.Array) -> None:
        """Give each row its own text; null means no fault."""
        encoded = texts.dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        for code, text in enumerate(encoded.dictionary.to_pylist()):
            self.mark(codes == code, text)

    def merge(self, faults: Iterable[tuple[Mask, str]]) -> None:
        """Mark every (mask, text) pair in turn."""
        for mask, text in faults:
            self.mark(mask, text)

    def mask_of(self, text: str) -> Mask:
        """True where the reason is `text`."""
        mask: Mask = self._codes == self._code_of.get(text, -2)
        return mask

    def texts(self) -> pa.Array:
        """The reasons as an Arrow string array, null where the row is good."""
        codes = pa.array(self._codes, mask=self._codes < 0)
        texts = pa.array(list(self._code_of), type=pa.string())
        return pa.DictionaryArray.from_arrays(codes, texts).cast(pa.string())

    def counts(self) -> dict[str, int]:
        """Rows per reason, the most frequent first, ties by text."""
        sizes = np.bincount(self._codes[self._codes >= 0], minlength=len(self._code_of))
        return by_frequency(dict(zip(self._code_of, sizes.tolist(), strict=True)))


class Adjustments:
    """Which values of a table were adjusted, and why; a row may have several.

    Kept as row numbers by text, so a table without adjustments costs nothing.
    """

    def __init__(self, rows: int) -> None:
        self._size = rows
        self._rows: dict[str, list[_Rows]] = {}

    def add(self, mask: Mask, text: str) -> None:
        """Note `text` ("latitude: not a number") for the rows of `mask`."""
        rows = np.flatnonzero(mask)
        if rows.size:
            self._rows.setdefault(text, []).append(rows)

    def add_each(self, column: pa.Array) -> None:
        """Take over what an earlier reading noted, as `column` gives it."""
        texts = column.flatten().dictionary_encode()
        owners = pc.list_parent_indices(column).to_numpy()
        codes = texts.indices.to_numpy(zero_copy_only=False)
        for code, text in enumerate(texts.dictionary.to_pylist()):
            self._rows.setdefault(text, []).append(owners[codes == code].astype(np.int64))

    def rows_of(self, name: str) -> Mask:
        """Rows in which a value of the column `name` was adjusted."""
        mask = np.zeros(self._size, dtype=np.bool_)
        for text, parts in self._rows.items():
            if text.startswith(f"{name}: "):
                mask[np.concatenate(parts)] = True
        return mask

    def column(self) -> pa.Array:
        """The notes as a column of lists of texts, an empty list where there is none."""
        kind = pa.list_(pa.string())
        texts = list(self._rows)
        parts = [np.concatenate(self._rows[text]) for text in texts]
        if not parts:
            offsets = pa.array(np.zeros(self._size + 1, dtype=np.int32))
            return pa.ListArray.from_arrays(offsets, pa.array([], pa.string()), type=kind)
        rows = np.concatenate(parts)
        codes = np.repeat(np.arange(len(parts)), [part.size for part in parts])
        order = np.argsort(rows, kind="stable")
        ends = np.cumsum(np.bincount(rows, minlength=self._size))
        offsets = pa.array(np.concatenate([[0], ends]).astype(np.int32))
        values = pa.array(texts, pa.string()).take(pa.array(codes[order]))
        return pa.ListArray.from_arrays(offsets, values, type=kind)

    def counts(self, kept: Mask) -> dict[str, int]:
        """Adjusted values in the rows of `kept`, by text, the most frequent first."""
        return by_frequency(
            {
                text: int(np.count_nonzero(kept[np.concatenate(parts)]))
                for text, parts in self._rows.items()
            }
        )


@dataclass(frozen=True, slots=True)
class Checked:
    """A table after its check; every row that came is in one of its counts.

    Attributes:
        good: the contract's columns in its order and types; absent optional columns are null.
        quarantined: the bad rows with all columns they came with, and `quarantine_reason`.
        reasons: quarantined rows per reason, the most frequent first.
        repeats: exact retries that were dropped.
        rows_in: rows that came.
        left_out: rows that a mapping leaves out: by `where`, or by the tags of a pivot.
        merged: rows whose values became part of another row of the same key.
        adjustments: values that were changed on reading, of rows that are not quarantined, by
            column and reason, the most frequent first: optional values that could not be read and
            are missing now, ids that a float had printed.

    Raises:
        ContractError: the counts do not add up to `rows_in`.
    """

    good: pa.Table
    quarantined: pa.Table
    reasons: dict[str, int]
    repeats: int
    rows_in: int
    left_out: int = 0
    merged: int = 0
    adjustments: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        good, bad = self.good.num_rows, self.quarantined.num_rows
        if good + bad + self.repeats + self.merged + self.left_out != self.rows_in:
            raise ContractError(
                f"{self.rows_in:,} rows came, but {good:,} are good, {bad:,} quarantined, "
                f"{self.repeats:,} repeats, {self.merged:,} merged and {self.left_out:,} left out: "
                "a row is unaccounted for; nothing was written. Please report it with the file"
            )


def in_turn(first: Checked, second: Checked) -> Checked:
    """Two checks of the same rows, the second of what the first let pass."""
    return Checked(
        good=second.good,
        quarantined=one_below_the_other(first.quarantined, second.quarantined),
        reasons=by_frequency(Counter(first.reasons) + Counter(second.reasons)),
        repeats=first.repeats + second.repeats,
        rows_in=first.rows_in,
        merged=first.merged + second.merged,
        adjustments=dict((Counter(first.adjustments) + Counter(second.adjustments)).most_common()),
    )


def one_below_the_other(upper: pa.Table, lower: pa.Table) -> pa.Table:
    """Both tables' rows; a column that has two types is text."""
    if not (upper.num_rows and lower.num_rows):
        return upper if upper.num_rows else lower
    for name in set(upper.column_names) & set(lower.column_names):
        if upper[name].type != lower[name].type:
            upper, lower = (
                table.set_column(
                    table.column_names.index(name),
                    name,
                    pa.array([None if v is None else str(v) for v in table[name].to_pylist()]),
                )
                for table in (upper, lower)
            )
    return pa.concat_tables([upper, lower], promote_options="default")


def one_table(tables: Sequence[pa.Table]) -> pa.Table:
    """All rows; a column that has two types is text."""
    if len({table.schema for table in tables}) == 1:
        return pa.concat_tables(tables)
    return reduce(one_below_the_other, tables)
