"""The columns that a mapping reads: those of a file, and those that its folders' names give."""

from collections.abc import Sequence

import pyarrow as pa

from lib.contract.csv_file import DELIMITERS, CsvFile
from lib.contract.error import ContractError
from lib.contract.mapping import Mapping
from lib.contract.origin import partition_values
from lib.contract.source_files import SourceFile


def columns_of(
    mapping: Mapping, file: SourceFile, names: Sequence[str], opened: CsvFile | None = None
) -> list[str]:
    """The columns that are read from a file itself.

    Raises:
        ContractError: one is absent, or is there twice.
    """
    _require(mapping, file, names, opened)
    columns = [name for name in mapping.source_columns if name in names]
    for name in columns:
        if file.kind != "csv" and list(names).count(name) > 1:
            raise ContractError(f"{file.address}: several columns are named '{name}'; rename them")
    return columns


def folder_values(file: SourceFile, names: Sequence[str]) -> dict[str, str | None]:
    """Columns that the names of the file's folders give, and the file itself does not."""
    values = partition_values(file.address)
    return {name: value for name, value in values.items() if name not in names}


def with_values(rows: pa.Table, values: dict[str, str | None]) -> pa.Table:
    """`rows` with a column for each of `values`, the same in every row."""
    for name, value in values.items():
        rows = rows.append_column(name, pa.repeat(pa.scalar(value, pa.string()), rows.num_rows))
    return rows


def _require(
    mapping: Mapping, file: SourceFile, names: Sequence[str], opened: CsvFile | None
) -> None:
    """Refuse a file that lacks a column which the mapping reads, and say what may be the cause."""
    try:
        mapping.require([*names, *folder_values(file, names)])
    except ContractError as error:
        hint = "" if opened is None else _header_hint(mapping, file, opened)
        raise ContractError(f"{error}; read from {file.address}{hint}") from error


def _header_hint(mapping: Mapping, file: SourceFile, opened: CsvFile) -> str:
    below = opened.find_header(mapping.source_columns)
    if below is not None:
        lines, mark = below
        other = mark != mapping.file.delimiter_of(file.address)
        more = f', delimiter: "{_shown(mark)}"' if other else ""
        return (
            f"; line {lines + 1} names them: say in the mapping file: "
            f"file: {{skip_lines: {lines}{more}}}"
        )
    marks = [mark for mark in DELIMITERS if mark in opened.names[0]]
    if len(opened.names) == 1 and marks:
        return (
            "; the header is one field: say the delimiter in the mapping file: "
            f'file: {{delimiter: "{_shown(marks[0])}"}}'
        )
    if any("\\x" in name for name in opened.names):
        return "; the header is not UTF-8: say in the mapping file: file: {encoding: cp1252}"
    return ""


def _shown(mark: str) -> str:
    return "\\t" if mark == "\t" else mark
