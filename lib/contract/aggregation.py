"""Several rows of one thing become one row, column by column: sums, first days, newest names.

The rows of a key must all be at hand (after a shuffle by key); each passed its contract before, and
amounts are in the settlement currency. The result does not depend on the order of the rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from lib.contract.checked import QUARANTINE_REASON, Checked, Mask, RowReasons, in_turn
from lib.contract.coercion import as_array
from lib.contract.contract import Contract
from lib.contract.declaration import TIME, Column
from lib.contract.duplicates import find_repeats
from lib.contract.key_groups import KeyGroups, column_codes, valid_mask

SUM, SAME = "sum", "same"
LOWEST = ("earliest", "smallest", "all")
HIGHEST = ("latest", "largest", "any")
OPERATIONS = (SUM, *LOWEST, *HIGHEST, "first", "last")
"""What may become of a column's values in the rows of a key; null values are passed over."""

ROW_ID = Column("row_id", pa.string(), "the row's own id", max_length=1024)
ROW_ENDS = Column("row_ends", pa.bool_(), "whether the row ends what another row began")


@dataclass(frozen=True)
class Aggregation:
    """How several rows of one key become one.

    Args:
        by: columns of the contract's key that name the row that comes out.
        operations: of `OPERATIONS`, by column; columns that are not named must be the same in all
            rows of a key that say something. Of columns with a fallback (when something became
            known) the latest counts: a sum is known when its last part is.
        distinct: source columns with the id of each row, so that a row that is sent twice counts
            once; () where rows have none, and every row counts.
        running: the row of a time holds what all rows of the same thing up to then come to.
        ends: source column and its texts of rows that end what another row began: sums are less
            by their values, which count for nothing else.
    """

    by: tuple[str, ...]
    operations: Mapping[str, str]
    distinct: tuple[str, ...] = ()
    running: bool = False
    ends: tuple[str, tuple[str, ...]] | None = None

    def row_contract(self, contract: Contract) -> Contract:
        """The contract of single rows: of any number for each key, with their own ids."""
        columns = (
            *contract.columns,
            *((ROW_ID,) if self.distinct else ()),
            *((ROW_ENDS,) if self.ends else ()),
        )
        return replace(contract, columns=columns, key=(), merges=False)

    def check(self, rows: pa.Table, contract: Contract) -> Checked:
        """One row for each key, checked; the others are merged, repeats or quarantined.

        Args:
            rows: all rows of the keys in it, each good by `row_contract`.
            contract: of what comes out.
        """
        rows = _in_order(rows, contract)
        reasons = RowReasons(rows.num_rows)
        repeated = self._mark_repeats(rows, contract, reasons)
        kept = np.flatnonzero(~repeated & ~reasons.bad)
        of_thing = contract.key[:1] if self.running else self.by
        good = self._aggregated(KeyGroups.of(rows, kept, self.by, of_thing), contract, reasons)
        bad = pa.array(reasons.bad)
        quarantined = rows.filter(bad).append_column(QUARANTINE_REASON, reasons.texts().filter(bad))
        repeats = int(repeated.sum())
        once = Checked(
            good=good,
            quarantined=quarantined,
            reasons=reasons.counts(),
            repeats=repeats,
            rows_in=rows.num_rows,
            merged=rows.num_rows - repeats - quarantined.num_rows - good.num_rows,
        )
        return in_turn(once, replace(contract, key=(), merges=False).check(good))

    def _mark_repeats(self, rows: pa.Table, contract: Contract, reasons: RowReasons) -> Mask:
        """Rows that were sent before; those with other content are marked."""
        if not self.distinct:
            return np.zeros(rows.num_rows, dtype=np.bool_)
        key = (*self.by, ROW_ID.name)
        repeated, conflicting = find_repeats(rows, key, contract.retry_may_differ, ())
        reasons.mark(conflicting, f"{ROW_ID.name}: came before with other content")
        return repeated

    def _aggregated(self, groups: KeyGroups, contract: Contract, reasons: RowReasons) -> pa.Table:
        """One row for each key; all rows of a thing that cannot be one are marked."""
        ends = np.zeros(len(groups.source), dtype=np.bool_)
        if self.ends:
            ends = np.asarray(groups.rows[ROW_ENDS.name].to_numpy(zero_copy_only=False))
        arrays = []
        faulty = np.zeros(len(groups.starts), dtype=np.bool_)
        for column in contract.columns:
            values, bad, text = self._column(groups, column, ends)
            arrays.append(values)
            bad = groups.whole_things(bad)
            faulty |= bad
            mask = np.zeros(len(reasons.bad), dtype=np.bool_)
            mask[groups.source[bad[groups.group]]] = True
            reasons.mark(mask, text)
        return pa.table(arrays, schema=contract.schema).filter(pa.array(~faulty))

    def _column(self, groups: KeyGroups, column: Column, ends: Mask) -> tuple[pa.Array, Mask, str]:
        """A column's value for each key, keys that have none, and why."""
        name, values = column.name, as_array(groups.rows[column.name])
        operation = self._operation(column)
        if operation == SUM:
            return *groups.sums(values, ends), f"{name}: the sum is too large"
        valid = valid_mask(groups.rows, name)
        if column.name not in self.by and column.fallback is None:
            valid &= ~ends
        ranks = _ranks(values) if operation in (*LOWEST, *HIGHEST) else np.arange(len(values))
        chosen = groups.chosen(valid, ranks, highest=operation in (*HIGHEST, "last"))
        differs = np.zeros(len(groups.starts), dtype=np.bool_)
        if operation == SAME and name not in self.by:
            differs = groups.differs(valid, column_codes(groups.rows, name))
        text = (
            f"{name}: differs between rows of one {', '.join(self.by)}; name it under 'first' or "
            "'last' of 'aggregate' in the mapping file"
        )
        return values.take(chosen), differs, text

    def _operation(self, column: Column) -> str:
        if column.name in self.by:
            return "last"
        if column.name in self.operations:
            return self.operations[column.name]
        return SAME if column.fallback is None else "latest"


def fits(operation: str, kind: pa.DataType) -> bool:
    """Whether `operation` can be done with values of that type."""
    if operation in ("earliest", "latest"):
        return bool(pat.is_timestamp(kind))
    if operation in ("any", "all"):
        return bool(pat.is_boolean(kind))
    if operation in (SUM, "smallest", "largest"):
        return bool(pat.is_integer(kind) or pat.is_floating(kind))
    return True


def _ranks(values: pa.Array) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
    """(rows,) places by value, ties in the rows' order."""
    ranks = np.empty(len(values), dtype=np.intp)
    ranks[pc.sort_indices(_sortable(values)).to_numpy()] = np.arange(len(values))
    return ranks


def _sortable(values: pa.Array) -> pa.Array:
    return values.cast(pa.uint8()) if pat.is_boolean(values.type) else values


def _in_order(rows: pa.Table, contract: Contract) -> pa.Table:
    """The rows by time, then by everything else that they hold: the same however they came."""
    times = [column.name for column in contract.columns if column.type == TIME and column.required]
    of_key = [name for name in contract.key if name in times]
    names = dict.fromkeys([*of_key, *contract.first_by, *times, *rows.column_names])
    keys = {
        name: _sortable(as_array(rows[name]))
        for name in names
        if not pat.is_list(rows.schema.field(name).type)
    }
    return rows.take(pc.sort_indices(pa.table(keys), [(name, "ascending") for name in keys]))
