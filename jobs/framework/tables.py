"""Tables that a job reads: where they are, how their columns map, what became of their rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs import ingestion
from jobs.framework.progress import JobOptions
from lib.contract import Contract
from lib.contract import Mapping as ColumnMapping
from lib.contract.end_of_data import DataEnd, end_of_data
from lib.feature.windows import DAY
from lib.storage import Storage

if TYPE_CHECKING:
    from ray.data import Dataset


@dataclass(frozen=True, kw_only=True)
class TableSources(JobOptions):
    """Options that name a table by its contract, and its mapping by `mapping_` before that.

    Attributes:
        contracts: of the tables that may be given.
    """

    contracts: ClassVar[tuple[Contract, ...]]

    @property
    def table_names(self) -> tuple[str, ...]:
        """Names of the tables that are there."""
        return tuple(contract.name for contract in self._present)

    @property
    def _present(self) -> list[Contract]:
        return [c for c in self.contracts if getattr(self, c.name) is not None]

    @property
    def files(self) -> list[str]:
        """All files and mappings that are named, and the files in which mappings look up values."""
        names = [contract.name for contract in self.contracts]
        paths = [getattr(self, name) for name in (*names, *(f"mapping_{name}" for name in names))]
        files = [str(path) for path in paths if path is not None]
        for contract in self._present:
            mapping = getattr(self, f"mapping_{contract.name}")
            files += ingestion.lookup_files(mapping, getattr(self, contract.name))
        return files

    def check(self) -> None:
        """See `JobOptions`."""
        self.check_mappings()

    def check_mappings(self) -> None:
        """Refuse mappings and columns that cannot work; reads no rows."""
        for contract in self._present:
            path = getattr(self, f"mapping_{contract.name}")
            ingestion.checked_mapping(contract, path, getattr(self, contract.name))

    def mapping(self, contract: Contract) -> ColumnMapping:
        """The mapping of a table that is given."""
        path = getattr(self, f"mapping_{contract.name}")
        return ingestion.mapping_for(contract, path, getattr(self, contract.name))

    def estimated_rows(self, *contracts: Contract) -> int:
        """About how many rows these tables have together, as far as they are given."""
        return sum(
            ingestion.estimated_rows(self.mapping(contract), getattr(self, contract.name))
            for contract in contracts
            if contract in self._present
        )


def table_summaries(
    storage: Storage, quarantine: str, names: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """What became of the rows of each table that was read."""
    summaries = {}
    for name in names:
        summary = ingestion.summary(storage, f"{quarantine}/{name}")
        if summary.rows_in or summary.quarantined or summary.empty_files:
            summaries[name] = asdict(summary)
    return summaries


def table_lines(tables: Mapping[str, Mapping[str, Any]], width: int) -> list[str]:
    """The same as closing lines.

    Args:
        tables: see `table_summaries`.
        width: of the tables' names.
    """
    lines = [
        f"{'table':{width}}{'rows':>12}{'left out':>10}{'repeats':>10}{'merged':>10}"
        f"{'quarantined':>13}"
    ]
    for name, table in tables.items():
        lines.append(
            f"{name:{width}}{table['rows_in']:>12,}"
            f"{table.get('left_out', 0):>10,}{table['repeats']:>10,}"
            f"{table.get('merged', 0):>10,}{table['quarantined']:>13,}"
        )
        lines += [f"    {count:>8,}  {reason}" for reason, count in table["reasons"].items()]
        lines += ingestion.adjustment_lines(dict(table))
    return lines


def end_of(rows: Dataset) -> DataEnd | None:
    """The end of rows by their `event_time`; None where there are none."""
    newest = rows.map_batches(_days, batch_format="pyarrow", batch_size=None).to_pandas()
    if not len(newest):
        return None
    return end_of_data(
        newest["at_max"].to_numpy(dtype=np.int64), newest["at_count"].to_numpy(dtype=np.int64)
    )


def _days(table: pa.Table) -> pa.Table:
    """Rows and newest time of each day."""
    times = table["event_time"].cast(pa.int64())
    grouped = pa.table({"day": pc.divide(times, DAY), "at": times}).group_by("day")
    return grouped.aggregate([("at", "max"), ("at", "count")])
