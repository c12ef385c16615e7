"""Their columns into ours: a mapping bound to the contract it fills."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pyarrow as pa

from lib.contract.column_rule import ColumnRule
from lib.contract.condition import Condition, all_hold
from lib.contract.contract import Checked, Contract
from lib.contract.error import ContractError, did_you_mean
from lib.contract.money import Currencies
from lib.contract.reason import QUARANTINE_REASON, RowReasons


@dataclass(frozen=True, slots=True)
class FileFormat:
    """How the source files are written.

    Args:
        kind: "parquet", "csv", or None to go by the file's ending.
        delimiter: between the fields of a CSV line.
        encoding: of a CSV file.
        missing: texts that mean "no value" in every column.
    """

    kind: str | None = None
    delimiter: str = ","
    encoding: str = "utf-8"
    missing: tuple[str, ...] = ("",)


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
    """

    contract: Contract
    rules: tuple[ColumnRule, ...]
    where: tuple[Condition, ...] = ()
    file: FileFormat = field(default_factory=FileFormat)
    currencies: Currencies | None = None
    origin: str = "mapping"

    @property
    def source_columns(self) -> tuple[str, ...]:
        """Every source column that is read, in first-use order: read no others."""
        needed = [name for rule in self.rules for name in rule.needs]
        return tuple(dict.fromkeys([*needed, *(one.column for one in self.where)]))

    def select(self, raw: pa.Table) -> pa.Table:
        """The source rows that belong to the data set (`where`)."""
        self.require(raw.column_names)
        return raw.filter(pa.array(all_hold(self.where, raw))) if self.where else raw

    def apply(self, raw: pa.Table) -> pa.Table:
        """`select`, then every contract column that the mapping provides.

        A pure function of one table, so it runs as well inside a block of a larger data set. The
        last column, `quarantine_reason`, says which rows could not be converted and why;
        `Contract.check` takes it from there.

        Raises:
            ContractError: a source column is absent or has a type that cannot be meant.
        """
        return self._converted(self.select(raw))

    def check(self, raw: pa.Table) -> Checked:
        """`apply`, then the contract's check; the quarantine shows the source's own columns.

        Rows that `where` leaves out are counted in `rows_in` and `left_out`.
        """
        selected = self.select(raw)
        checked = self.contract.check(self._converted(selected), original=selected)
        left_out = raw.num_rows - selected.num_rows
        return replace(checked, rows_in=raw.num_rows, left_out=left_out)

    def require(self, columns: Iterable[str]) -> None:
        """Refuse a source that lacks a column the mapping reads.

        Raises:
            ContractError: naming the column and the nearest one that is there.
        """
        present = tuple(columns)
        for name in self.source_columns:
            if name not in present:
                users = [rule.target.name for rule in self.rules if name in rule.needs]
                raise ContractError(
                    f"{self.origin}: the data has no column '{name}', which "
                    f"{' and '.join(users) or 'where'} is read from; "
                    f"{did_you_mean(name, present)} (came: {', '.join(present)})"
                )

    def _converted(self, selected: pa.Table) -> pa.Table:
        reasons = RowReasons(selected.num_rows)
        columns = {
            rule.target.name: rule.apply(selected, self.currencies, reasons) for rule in self.rules
        }
        return pa.table({**columns, QUARANTINE_REASON: reasons.texts()})
