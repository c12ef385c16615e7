"""The origin of a row: the file it comes from, and its number in that file."""

from collections.abc import Sequence
from functools import partial
from pathlib import PurePosixPath
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lib.contract.coercion import as_array, each_once
from lib.contract.declaration import ContractError
from lib.contract.file_format import without_compression

QUARANTINE_FILE = "quarantine_file"
QUARANTINE_ROW = "quarantine_row"
LINE, ROW = "line", "row"

ROW_NUMBER = "row_number"
FILE_PARTS = ("name", "stem", "folder", ROW_NUMBER)

_NO_PARTITION = "__HIVE_DEFAULT_PARTITION__"
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
    others = [name for name in table.column_names if name not in (QUARANTINE_FILE, QUARANTINE_ROW)]
    return (
        table.select(others)
        .append_column(QUARANTINE_FILE, files)
        .append_column(QUARANTINE_ROW, pa.array(rows, pa.int64()))
    )


def partition_values(address: str) -> dict[str, str | None]:
    """What the folders of a partitioned table say: `site=A%20B/day=2024-01-01/part-0.parquet`.

    >>> partition_values("s3://b/site=A%20B/day=2024-01-01/part-0.parquet")
    {'site': 'A B', 'day': '2024-01-01'}
    """
    parts = (part.partition("=") for part in PurePosixPath(address).parent.parts)
    pairs = {name: unquote(value) for name, mark, value in parts if mark and name}
    return {name: None if value == _NO_PARTITION else value for name, value in pairs.items()}


def row_unit(file: str | None) -> str:
    """What the numbers of the rows of a file count: lines or rows."""
    return ROW if file is not None and file.lower().endswith(_PARQUET) else LINE


def file_values(table: pa.Table, parts: Sequence[str]) -> list[pa.Array]:
    """What a file's name and a row's number say, one text array for each of `parts`.

    Args:
        table: source rows with their origin.
        parts: of `FILE_PARTS`.

    Raises:
        ContractError: the rows do not come from files.
    """
    if QUARANTINE_FILE not in table.column_names:
        raise ContractError("from_file: these rows do not come from files; read them by 'from'")
    files = as_array(table[QUARANTINE_FILE])
    return [
        as_array(table[QUARANTINE_ROW]).cast(pa.string())
        if part == ROW_NUMBER
        else each_once(files, partial(_part, part=part))
        for part in parts
    ]


def refuse_shared_names(parts: Sequence[str], addresses: Sequence[str], column: str) -> None:
    """Refuse files whose row numbers would make the same text.

    Raises:
        ContractError: naming two of them.
    """
    if ROW_NUMBER not in parts:
        return
    owners: dict[tuple[str, ...], str] = {}
    for address in addresses:
        name = tuple(_part(address, part) for part in parts if part != ROW_NUMBER)
        other = owners.setdefault(name, address)
        if other != address:
            raise ContractError(
                f"{column}: rows of {other} and {address} would have the same text; add what tells "
                f"the files apart: {column}: {{from_file: [folder, stem, row_number]}}"
            )


def _part(address: str, part: str) -> str:
    path = PurePosixPath(address.partition("?")[0] if "://" in address else address)
    if part == "folder":
        return path.parent.name
    return PurePosixPath(without_compression(path.name)).stem if part == "stem" else path.name
