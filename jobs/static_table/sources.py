"""A table without times: where it is, how it is read, and what became of its rows."""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from jobs.framework.paths import InputPath
from jobs.framework.progress import JobOptions
from jobs.quarantine_ledger import Stage, write_entry
from lib.contract import (
    ContractError,
    Mapping,
    QuarantineSummary,
    read_checked,
    source_schema,
    summary_of,
)
from lib.static_table.table_mapping import TableMapping, read_table_mapping
from lib.storage import open_storage, split_address

QUARANTINE = "quarantine"


@dataclass(frozen=True, kw_only=True)
class TableOptions(JobOptions):
    """A table with one row per customer or machine, and no times."""

    system: Literal["churn", "maintenance"]
    """whose rows they are: customers who leave, or machines that fail"""
    static: InputPath
    """the table: Parquet or CSV file, folder or URI"""
    mapping_static: InputPath | None = None
    """YAML mapping file of --static"""

    def check(self) -> None:
        """See `JobOptions`."""
        mapping = self.read_mapping()
        if mapping is not None:
            source_schema(self.bound(mapping), self.static, may_be_empty=True)

    def bound(self, mapping: TableMapping) -> Mapping:
        """What is read of the table by a mapping file."""
        return mapping.mapping

    def read_mapping(self) -> TableMapping | None:
        """The mapping file; None where none is given."""
        if self.mapping_static is None:
            return None
        return read_table_mapping(self.mapping_static, folder_of(self.static))


def folder_of(data: str) -> str:
    """Where the data lies: the folder of a file, or the folder that is given."""
    above, last = split_address(data)
    return (above or ".") if "." in last else data


def row_line(good: int, summary: QuarantineSummary) -> str:
    """What became of all rows, in a line.

    >>> row_line(7, QuarantineSummary(9, 0, 2, {"label: missing": 2}))
    'rows: 9 = 7 good + 2 set aside + 0 left out + 0 repeats; most often "label: missing" (2)'
    """
    reason = next(iter(summary.reasons.items()), None)
    often = "" if reason is None else f'; most often "{reason[0]}" ({reason[1]:,})'
    return (
        f"rows: {summary.rows_in:,} = {good:,} good + {summary.quarantined:,} set aside + "
        f"{summary.left_out:,} left out + {summary.repeats:,} repeats{often}"
    )


def read_rows(mapping: Mapping, data: str, quarantine: str) -> tuple[pa.Table, QuarantineSummary]:
    """The good rows, and what became of the others, which are written with their reasons.

    Args:
        mapping: what the columns mean.
        data: file, folder or URI.
        quarantine: folder or URI for rows that break the contract.

    Raises:
        ContractError: a column is missing, or no row is good; the most frequent reason comes first.
    """
    checked = read_checked(mapping, data, may_be_empty=True)
    write_entry(checked, "rows", open_storage(quarantine), Stage.READ, mapping)
    summary = summary_of(checked, mapping)
    if not checked.good.num_rows:
        raise ContractError(f"{summary.most_frequent_reason(data)}; no row is left")
    return checked.good, summary
