"""The origin of a row: the file it comes from, and its number in that file."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

QUARANTINE_FILE = "quarantine_file"
QUARANTINE_ROW = "quarantine_row"
LINE, ROW = "line", "row"

_PARQUET = (".parquet", ".pq")


def with_origin(table: pa.Table, file: str, rows: npt.NDArray[np.int64]) -> pa.Table:
    """`table` with the columns `quarantine_file` and `quarantine_row`.

    Args:
        table: source rows.
        file: address of the file they come from.
        rows: number of each row in it, from 1; of a CSV file the line in which the row begins.
    """
    codes = pa.array(np.zeros(table.num_rows, dtype=np.int32))
    files = pa.DictionaryArray.from_arrays(codes, pa.array([file], pa.string()))
    return (
        without_origin(table)
        .append_column(QUARANTINE_FILE, files)
        .append_column(QUARANTINE_ROW, pa.array(rows, pa.int64()))
    )


def without_origin(table: pa.Table) -> pa.Table:
    """`table` without those columns."""
    names = [name for name in (QUARANTINE_FILE, QUARANTINE_ROW) if name in table.column_names]
    return table.drop_columns(names) if names else table


def row_unit(file: str | None) -> str:
    """What the numbers of the rows of a file count: lines or rows."""
    return ROW if file is not None and file.lower().endswith(_PARQUET) else LINE
