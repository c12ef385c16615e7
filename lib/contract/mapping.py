"""Their columns into ours: a mapping bound to the contract it fills."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from lib.contract.aggregation import Aggregation
from lib.contract.checked import (
    QUARANTINE_REASON,
    VALUE_ADJUSTMENTS,
    Adjustments,
    Checked,
    Mask,
    RowReasons,
    in_turn,
    one_table,
)
from lib.contract.column_rule import ColumnRule
from lib.contract.condition import Condition, all_hold
from lib.contract.contract import Contract
from lib.contract.csv_record import FieldUse
from lib.contract.declaration import ContractError
from lib.contract.file_format import FileFormat
from lib.contract.money import MINOR_DIGITS, Currencies
from lib.contract.origin import QUARANTINE_ROW, refuse_shared_names
from lib.contract.reshape import Pivot, Unpivot
from lib.contract.unit import conversion
from lib.declaration import did_you_mean

_LONGEST_SHOWN = 1_000


@dataclass(frozen=True)
class Mapping:
    """A mapping file, read and checked against its contract.

    Args:
        contract: what comes out, declared extra columns included.
        rules: one per column that the source provides.
        where: conditions on source rows; rows that fail one are not part of the data set.
        file: how the files are written.
        currencies: rates into the settlement currency, where amounts come in several.
        origin: the mapping file's name, for messages.
        reshape: long source tables into wide ones, or wide ones into long ones.
        aggregation: several rows of one key into one.
    """

    contract: Contract
    rules: tuple[ColumnRule, ...]
    where: tuple[Condition, ...] = ()
    file: FileFormat = field(default_factory=FileFormat)
    currencies: Currencies | None = None
    origin: str = "mapping"
    reshape: Pivot | Unpivot | None = None
    aggregation: Aggregation | None = None

    @property
    def currency_digits(self) -> int | None:
        """Decimal digits of the currency that amounts are kept in; None where nothing says.

        By the amounts' own declaration, or else by ISO 4217 for a constant `currency`.
        """
        candidates = [rule.money.settlement_digits for rule in self.rules if rule.money is not None]
        constants = [rule.constant for rule in self.rules if rule.target.name == "currency"]
        candidates += [MINOR_DIGITS.get(code or "") for code in constants]
        return next((digits for digits in candidates if digits is not None), None)

    @property
    def source_columns(self) -> tuple[str, ...]:
        """Every column that is read from the files, in first-use order: read no others."""
        conditions = [condition.column for condition in self.where]
        if isinstance(self.reshape, Pivot):
            return tuple(dict.fromkeys([*self.reshape.source_columns, *conditions]))
        needed = tuple(dict.fromkeys([*self._needed, *conditions]))
        return needed if self.reshape is None else self.reshape.source_columns(needed)

    @property
    def _needed(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for rule in self.rules for name in rule.needs))

    @property
    def field_uses(self) -> dict[str, FieldUse]:
        """What is read from each source column: free text may hold line ends, others may not."""
        texts = {name for rule in self.rules if rule.target.multiline for name in rule.sources}
        return {
            name: FieldUse.FREE_TEXT if name in texts else FieldUse.SINGLE_LINE
            for name in self.source_columns
        }

    def refuse_shared_names(self, addresses: Iterable[str]) -> None:
        """Refuse files of which `from_file` makes the same values, row numbers apart.

        Raises:
            ContractError: naming two of them.
        """
        for rule in self.rules:
            refuse_shared_names(rule.file_parts, tuple(addresses), rule.target.name)

    def are_rows(self, raw: pa.Table) -> Mask:
        """Rows that pass the contract by themselves, whether or not they belong to the data set.

        Args:
            raw: with `quarantine_row` from 0 on.
        """
        contract = replace(self.contract, key=(), merges=False)
        single = replace(self, where=(), contract=contract, aggregation=None)
        quarantined = single.check(raw).quarantined
        mask = np.ones(raw.num_rows, dtype=np.bool_)
        mask[quarantined[QUARANTINE_ROW].to_numpy()] = False
        return mask

    def source_rows(self, raw: pa.Table) -> pa.Table:
        """The rows of `raw`, or the rows that `unpivot` makes of them: what is counted as read."""
        self.require(raw.column_names)
        if isinstance(self.reshape, Unpivot):
            conditions = [condition.column for condition in self.where]
            return self.reshape.rows(raw, [*self._needed, *conditions])
        return raw

    @property
    def leaves_out_by(self) -> str:
        """Sections that leave rows out, as messages name them; empty where none does."""
        sections = ["'where'"] if self.where else []
        if self.where and isinstance(self.reshape, Unpivot):
            sections = ["'where', of the rows that 'unpivot' makes"]
        if isinstance(self.reshape, Pivot):
            sections.append("'pivot', as no column is read from their tags")
        return " or by ".join(sections)

    def select(self, rows: pa.Table) -> pa.Table:
        """Those of the `source_rows` that fulfil `where` and whose tag is read."""
        rows = rows.filter(pa.array(all_hold(self.where, rows))) if self.where else rows
        return self.reshape.rows(rows, self._needed) if isinstance(self.reshape, Pivot) else rows

    def check(self, *raw: pa.Table, partial: bool = False) -> Checked:
        """Tables converted and checked as one; the quarantine shows the source's own columns.

        Rows that `where` leaves out are counted in `rows_in` and `left_out`, and so are rows whose
        tag no column is read from. `rows_in` counts the rows that `unpivot` makes.

        Args:
            raw: source rows, one table or more.
            partial: more rows of the same keys may lie elsewhere, see `Contract.check`; rows by
                `row_contract` come out.

        Raises:
            ContractError: a source column is absent or has a type that cannot be meant.
        """
        sources = [self.source_rows(table) for table in raw]
        selected = [self.select(rows) for rows in sources]
        converted = pa.concat_tables([self.convert(rows) for rows in selected])
        checked = self.row_contract.check(converted, one_table(selected), partial=partial)
        if self.aggregation is not None and not partial:
            checked = in_turn(checked, self.aggregation.check(checked.good, self.contract))
        rows_in = sum(rows.num_rows for rows in sources)
        return replace(checked, rows_in=rows_in, left_out=rows_in - converted.num_rows)

    @property
    def row_contract(self) -> Contract:
        """What single rows pass before rows of one key are brought together."""
        if self.aggregation is None:
            return self.contract
        return self.aggregation.row_contract(self.contract)

    def in_units(self, units: dict[str, str]) -> "Mapping":
        """The same mapping with the values of some columns in other physical units.

        A column for which the mapping file says no unit is taken to be in the wanted one.

        Args:
            units: wanted unit by column; columns that the mapping does not have are passed over.

        Raises:
            ContractError: a unit is unknown, or cannot be converted into the wanted one.
        """
        rules = tuple(
            self._in_unit(rule, units[rule.target.name]) if rule.target.name in units else rule
            for rule in self.rules
        )
        targets = {rule.target.name: rule.target for rule in rules}
        columns = tuple(targets.get(column.name, column) for column in self.contract.columns)
        return replace(self, rules=rules, contract=replace(self.contract, columns=columns))

    def _in_unit(self, rule: ColumnRule, unit: str) -> ColumnRule:
        target = rule.target
        if target.unit in ("", unit):
            return replace(rule, target=replace(target, unit=unit))
        try:
            if not unit:
                raise ContractError("no unit is declared for it; declare one")
            linear = conversion(target.unit, unit)
        except ContractError as error:
            raise ContractError(
                f"{self.origin}, columns.{target.name}.unit: cannot bring '{target.unit}' to "
                f"'{unit or 'no unit'}', in which '{target.name}' is computed: {error}"
            ) from error
        if linear is None:
            return rule
        low, high = (
            None if bound is None else bound * linear.scale + linear.offset
            for bound in (target.low, target.high)
        )
        return replace(rule, linear=linear, target=replace(target, unit=unit, low=low, high=high))

    def require(self, columns: Iterable[str]) -> None:
        """Refuse a source that lacks a column the mapping reads.

        Raises:
            ContractError: naming the column and the nearest one that is there.
        """
        present = tuple(columns)
        for name in self.source_columns:
            if name not in present:
                hint = did_you_mean(name, present)
                names = ", ".join(present)
                names = names if len(names) <= _LONGEST_SHOWN else f"{names[:_LONGEST_SHOWN]} ..."
                raise ContractError(
                    f"{self.origin}: the data has no column '{name}', which "
                    f"{self._users(name)} is read from; "
                    f"{hint if hint.startswith('did') else 'check the name'} (came: {names})"
                )
        if isinstance(self.reshape, Unpivot):
            self.reshape.refuse_taken(present, self.origin)

    def _users(self, name: str) -> str:
        users = [rule.target.name for rule in self.rules if name in rule.needs]
        if isinstance(self.reshape, Pivot):
            users.insert(0, "pivot")
        if isinstance(self.reshape, Unpivot) and name in self.reshape.columns:
            users.insert(0, "unpivot")
        return " and ".join(users) or "where"

    def convert(self, selected: pa.Table) -> pa.Table:
        """Every contract column that the mapping provides, of rows that `select` chose.

        A pure function of one table, so it runs as well inside a block of a larger data set. The
        column `quarantine_reason` says which rows could not be converted and why, and
        `value_adjustments` which values were changed; `Contract.check` takes both from there.
        """
        reasons, notes = RowReasons(selected.num_rows), Adjustments(selected.num_rows)
        if isinstance(self.reshape, Pivot):
            selected = self.reshape.spread(selected, self._needed, reasons)
        columns = {
            rule.target.name: rule.apply(selected, self.currencies, reasons, notes)
            for rule in self.rules
        }
        inner = {QUARANTINE_REASON: reasons.texts(), VALUE_ADJUSTMENTS: notes.column()}
        return pa.table({**columns, **inner})
