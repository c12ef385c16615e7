"""A contract: the columns a data set must have, and the check that every table passes."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from lib.contract.checked import (
    QUARANTINE_REASON,
    VALUE_ADJUSTMENTS,
    Adjustments,
    Checked,
    RowReasons,
    in_turn,
)
from lib.contract.coercion import as_array, nan_to_null, to_contract_type
from lib.contract.declaration import Column, ContractError, Precedes
from lib.contract.duplicates import drop_repeats, merge_rows
from lib.contract.row_check import (
    column_faults,
    either_faults,
    order_faults,
    set_missing,
    together_faults,
)
from lib.declaration import did_you_mean


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
        merges: rows of one key that do not contradict each other, null against value, are one row;
            otherwise each of them is whole, and a null against a value is a contradiction.
        has_parts: several rows of one key may be parts of one thing (subscriptions of a customer,
            lines of a payment), which `aggregate` in a mapping file sums.
        takes_attributes: whether a mapping file may add attributes, because something reads them.
        mapped: a mapping fills it, so that a reason may say what a mapping file can declare.
        attributes: names of the columns, at the end, that a mapping file added as attributes.
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
    merges: bool = False
    has_parts: bool = False
    takes_attributes: bool = False
    mapped: bool = False
    attributes: tuple[str, ...] = ()
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

    def replacing(self, columns: Iterable[Column]) -> "Contract":
        """The same contract with `columns` in the place of those of their names, or behind them."""
        ours = {column.name: column for column in (*self.columns, *columns)}
        return replace(self, columns=tuple(ours.values()))

    def check(
        self, table: pa.Table, original: pa.Table | None = None, *, partial: bool = False
    ) -> Checked:
        """Split `table` into good rows, quarantined rows, dropped retries and merged rows.

        A pure function of one table; retries are found within it, so a table that is checked in
        pieces must be partitioned by `key`.

        Args:
            table: columns by the contract's names; others are ignored. A `quarantine_reason`
                column, as a mapping leaves it, is honoured: such rows are bad already; so are its
                `value_adjustments`, which are counted for the rows that stay.
            original: the rows as they came, in the same order; the quarantine then shows these.
            partial: more rows of the same keys may lie elsewhere. Where the contract merges rows,
                what only a whole row can show (a missing value, an order of times) is left to the
                check of the rows together.

        Raises:
            ContractError: a required column is absent, or a type cannot stand for the declared.
        """
        if not (self.merges and self._judges_whole_rows):
            return self._checked(table, original)
        if absent := [c for c in self.columns if c.required and c.name not in table.column_names]:
            raise ContractError(self._absent(absent[0], table.column_names))
        cells = self._of_cells()._checked(table, original)
        if partial:
            return cells
        return in_turn(cells, replace(self, key=(), merges=False)._checked(cells.good, None))

    def adjust(self, table: pa.Table) -> pa.Table:
        """The rows of `table` with the contract's columns and types, before any is set aside.

        Faulty values of lenient columns are missing; why is in `value_adjustments` of each row.

        Raises:
            ContractError: a required column is absent, or a type cannot stand for the declared.
        """
        adjusted, adjustments = self._adjusted(table)
        return adjusted.append_column(VALUE_ADJUSTMENTS, adjustments.column())

    def check_keys(self, table: pa.Table) -> Checked:
        """The same of rows that have each passed `check`: only their keys are left to judge.

        Args:
            table: all rows of every key in it.

        Raises:
            ContractError: see `check`.
        """
        if self.merges or not table.schema.equals(self.schema):
            return self.check(table)
        reasons = RowReasons(table.num_rows)
        good, repeats, merged = self._each_key_once(table, reasons)
        bad = _quarantine(table, reasons)
        return Checked(good, bad, reasons.counts(), repeats, table.num_rows, merged=merged)

    @property
    def _judges_whole_rows(self) -> bool:
        if self.together or self.either or self.precedes:
            return True
        others = [column for column in self.columns if column.name not in self.key]
        return any(column.required or column.fallback for column in others)

    def _of_cells(self) -> "Contract":
        """The same contract for rows that are not whole yet."""
        columns = [
            column if column.name in self.key else replace(column, required=False, fallback=None)
            for column in self.columns
        ]
        return replace(self, columns=tuple(columns), together=(), either=(), precedes=())

    def _checked(self, table: pa.Table, original: pa.Table | None) -> Checked:
        reasons = RowReasons(table.num_rows)
        typed, adjustments = self._adjusted(table)
        if QUARANTINE_REASON in table.column_names:
            reasons.mark_each(as_array(table[QUARANTINE_REASON]))
        self._mark_rows(typed, reasons)
        good, repeats, merged = self._each_key_once(typed, reasons)
        return Checked(
            good=good,
            quarantined=_quarantine(table if original is None else original, reasons),
            reasons=reasons.counts(),
            repeats=repeats,
            rows_in=table.num_rows,
            merged=merged,
            adjustments=adjustments.counts(~reasons.bad),
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

    def _adjusted(self, table: pa.Table) -> tuple[pa.Table, Adjustments]:
        adjustments = Adjustments(table.num_rows)
        if VALUE_ADJUSTMENTS in table.column_names:
            adjustments.add_each(as_array(table[VALUE_ADJUSTMENTS]))
        typed = set_missing(self._typed(table), self.columns, self.together, adjustments)
        return typed, adjustments

    def _mark_rows(self, typed: pa.Table, reasons: RowReasons) -> None:
        for column in self.columns:
            if not column.lenient:
                reasons.merge(column_faults(column, as_array(typed[column.name])))
        for rule in self.precedes:
            reasons.merge(order_faults(typed, rule))
        for names in self.together:
            reasons.merge(together_faults(typed, names))
        for names in self.either:
            reasons.merge(either_faults(typed, names))

    def _each_key_once(self, typed: pa.Table, reasons: RowReasons) -> tuple[pa.Table, int, int]:
        """Good rows, each key once; how many rows were repeats, and how many were merged."""
        candidates = np.flatnonzero(~reasons.bad)
        sound = typed if candidates.size == typed.num_rows else typed.take(pa.array(candidates))
        if not self.key:
            return sound, 0, 0
        find = merge_rows if self.merges else drop_repeats
        once = find(sound, self.key, self.retry_may_differ, self.first_by)
        conflicting = np.zeros(typed.num_rows, dtype=np.bool_)
        conflicting[candidates[once.conflicting]] = True
        reasons.mark(conflicting, self._contradiction)
        return once.table, once.repeats, once.merged

    @property
    def _contradiction(self) -> str:
        reason = f"{', '.join(self.key)}: came before with other content"
        if not (self.has_parts and self.mapped):
            return reason
        return f"{reason} (several rows of one {self.key[0]}: declare 'aggregate' in the mapping)"

    def _absent(self, column: Column, names: list[str]) -> str:
        others = [name for name in names if name not in self._by_name]
        return (
            f"contract '{self.name}' needs column '{column.name}' ({column.type}: "
            f"{column.description}); came: {', '.join(names) or 'no columns'}. "
            f"Name it in the mapping file: columns: {{{column.name}: {{from: ...}}}}; "
            f"{did_you_mean(column.name, others)}"
        )


def _quarantine(rows: pa.Table, reasons: RowReasons) -> pa.Table:
    inner = [n for n in (QUARANTINE_REASON, VALUE_ADJUSTMENTS) if n in rows.column_names]
    rows = rows.drop_columns(inner) if inner else rows
    bad = pa.array(reasons.bad)
    return rows.filter(bad).append_column(QUARANTINE_REASON, reasons.texts().filter(bad))
