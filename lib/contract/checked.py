"""What the check of a table came to, and two checks in turn."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce

import pyarrow as pa

from lib.contract.declaration import ContractError
from lib.contract.reason import by_frequency


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
