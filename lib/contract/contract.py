"""A contract: the columns a data set must have, and the check that every table passes."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from lib.contract.coercion import as_array, nan_to_null, to_contract_type
from lib.contract.declaration import Column, Precedes
from lib.contract.error import ContractError, did_you_mean
from lib.contract.reason import QUARANTINE_REASON, Mask, RowReasons
from lib.contract.repeat import find_repeats
from lib.contract.row_check import column_faults, either_faults, order_faults, together_faults


@dataclass(frozen=True, slots=True)
class Checked:
    """A table after its check; every row that came is good, quarantined, a repeat or left out.

    Attributes:
        good: the contract's columns in its order and types; absent optional columns are null.
        quarantined: the bad rows with all columns they came with, and `quarantine_reason`.
        reasons: quarantined rows per reason, the most frequent first.
        repeats: exact retries that were dropped.
        rows_in: rows that came.
        left_out: rows that the conditions of a mapping (`where`) leave out.

    Raises:
        ContractError: the counts do not add up to `rows_in`.
    """

    good: pa.Table
    quarantined: pa.Table
    reasons: dict[str, int]
    repeats: int
    rows_in: int
    left_out: int = 0

    def __post_init__(self) -> None:
        good, bad = self.good.num_rows, self.quarantined.num_rows
        if good + bad + self.repeats + self.left_out != self.rows_in:
            raise ContractError(
                f"{self.rows_in:,} rows came, but {good:,} are good, {bad:,} quarantined, "
                f"{self.repeats:,} repeats and {self.left_out:,} left out: a row is unaccounted "
                "for; nothing was written. Please report it with the file"
            )


@dataclass(frozen=True)
class Contract:
    """The promise of one kind of data set.

    Args:
        name: what a mapping file calls it (`contract: transactions`).
        columns: the columns, in the order they are kept.
        key: columns that together name a row; two rows of one key are a retry or a contradiction.
        retry_may_differ: columns in which a retry may differ from the first attempt.
        first_by: time columns that say which of two rows of one key came first.
        together: groups of optional columns that are given all or not at all.
        either: groups of optional columns of which exactly one is given.
        precedes: pairs of columns of which one may not lie after the other.
        extras: what further columns must look like, which a mapping file may then declare under
            any name (the sensors of a machine); None refuses them.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    retry_may_differ: tuple[str, ...] = ()
    first_by: tuple[str, ...] = ()
    together: tuple[tuple[str, ...], ...] = ()
    either: tuple[tuple[str, ...], ...] = ()
    precedes: tuple[Precedes, ...] = ()
    extras: Column | None = None
    _by_name: dict[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {column.name: column for column in self.columns})
        if len(self._by_name) != len(self.columns):
            raise ContractError(f"contract '{self.name}' declares a column twice")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(self._by_name)

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of a checked table."""
        return pa.schema([pa.field(column.name, column.type) for column in self.columns])

    def __getitem__(self, name: str) -> Column:
        if name not in self._by_name:
            raise ContractError(
                f"contract '{self.name}' has no column '{name}'; {did_you_mean(name, self.names)}"
            )
        return self._by_name[name]

    def with_columns(self, columns: Iterable[Column]) -> "Contract":
        """The same contract with `columns` added behind its own, under the same name."""
        return replace(self, columns=(*self.columns, *columns))

    def check(self, table: pa.Table, original: pa.Table | None = None) -> Checked:
        """Split `table` into good rows, quarantined rows and dropped retries.

        A pure function of one table; retries are found within it, so a table that is checked in
        pieces must be partitioned by `key`.

        Args:
            table: columns by the contract's names; others are ignored. A `quarantine_reason`
                column, as a mapping leaves it, is honoured: such rows are bad already.
            original: the rows as they came, in the same order; the quarantine then shows these.

        Raises:
            ContractError: a required column is absent, or a type cannot stand for the declared.
        """
        typed = self._typed(table)
        reasons = RowReasons(table.num_rows)
        if QUARANTINE_REASON in table.column_names:
            reasons.mark_each(as_array(table[QUARANTINE_REASON]))
        self._mark_rows(typed, reasons)
        dropped = self._mark_repeats(typed, reasons)
        good = typed.filter(pa.array(~(reasons.bad | dropped)))
        return Checked(
            good=good,
            quarantined=_quarantine(table if original is None else original, reasons),
            reasons=reasons.counts(),
            repeats=int(dropped.sum()),
            rows_in=table.num_rows,
        )

    def _typed(self, table: pa.Table) -> pa.Table:
        arrays: dict[str, pa.Array] = {}
        for column in self.columns:
            if column.name in table.column_names:
                values = to_contract_type(column, as_array(table[column.name]), self.name)
            elif column.required:
                raise ContractError(self._absent(column, table.column_names))
            else:
                values = pa.nulls(table.num_rows, column.type)
            arrays[column.name] = self._missing_spelt_once(column, values, arrays)
        return pa.table(arrays, schema=self.schema)

    def _missing_spelt_once(
        self, column: Column, values: pa.Array, earlier: dict[str, pa.Array]
    ) -> pa.Array:
        if not column.required and pat.is_floating(column.type):
            values = nan_to_null(values)
        if column.fallback is not None and values.null_count:
            values = pc.coalesce(values, earlier[column.fallback])
        return values

    def _mark_rows(self, typed: pa.Table, reasons: RowReasons) -> None:
        for column in self.columns:
            reasons.merge(column_faults(column, as_array(typed[column.name])))
        for rule in self.precedes:
            reasons.merge(order_faults(typed, rule))
        for names in self.together:
            reasons.merge(together_faults(typed, names))
        for names in self.either:
            reasons.merge(either_faults(typed, names))

    def _mark_repeats(self, typed: pa.Table, reasons: RowReasons) -> Mask:
        dropped = np.zeros(typed.num_rows, dtype=np.bool_)
        if not self.key:
            return dropped
        candidates = np.flatnonzero(~reasons.bad)
        found = find_repeats(
            typed if candidates.size == typed.num_rows else typed.take(pa.array(candidates)),
            self.key,
            self.retry_may_differ,
            self.first_by,
        )
        conflicting = np.zeros(typed.num_rows, dtype=np.bool_)
        conflicting[candidates[found.conflicting]] = True
        dropped[candidates[found.exact]] = True
        reasons.mark(conflicting, f"{', '.join(self.key)}: came before with other content")
        return dropped

    def _absent(self, column: Column, came: list[str]) -> str:
        others = [name for name in came if name not in self._by_name]
        return (
            f"contract '{self.name}' needs column '{column.name}' ({column.type}: "
            f"{column.description}); came: {', '.join(came) or 'no columns'}. "
            f"Name it in the mapping file: columns: {{{column.name}: {{from: ...}}}}; "
            f"{did_you_mean(column.name, others)}"
        )


def _quarantine(rows: pa.Table, reasons: RowReasons) -> pa.Table:
    if QUARANTINE_REASON in rows.column_names:
        rows = rows.drop_columns([QUARANTINE_REASON])
    bad = pa.array(reasons.bad)
    return rows.filter(bad).append_column(QUARANTINE_REASON, reasons.texts().filter(bad))
