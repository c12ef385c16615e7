"""Some rows of a data set, read before anybody said what they mean."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lib.contract.csv_file import CsvFile
from lib.contract.csv_record import FieldUse
from lib.contract.declaration import ContractError
from lib.contract.file_format import FileFormat
from lib.contract.origin import QUARANTINE_FILE, QUARANTINE_ROW, with_origin
from lib.contract.source_files import (
    Paths,
    SourceFile,
    folder_values,
    source_files,
    with_values,
)
from lib.contract.suggestion.entry import Entry
from lib.contract.suggestion.file_guess import FileGuess, guess_csv

MOST_ROWS = 50_000
_MOST_FILES = 3
_PARQUET_MARK = b"PAR1"


@dataclass(frozen=True)
class SourceSample:
    """Rows of a data set.

    Attributes:
        rows: columns of the source, without those that cannot be named, and where each row is.
        files: of the data set, empty ones too.
        form: how they are written.
        file_entries: lines of the section `file` that say it.
        unnamed: why columns are not among the rows, by name.
        complete: whether these are all rows.
    """

    rows: pa.Table
    files: tuple[SourceFile, ...]
    form: FileFormat
    file_entries: tuple[Entry, ...]
    unnamed: dict[str, str]
    complete: bool

    @property
    def columns(self) -> pa.Table:
        """The columns of the source alone."""
        return self.rows.drop_columns([QUARANTINE_FILE, QUARANTINE_ROW])


def read_sample(paths: Paths, most_rows: int = MOST_ROWS) -> SourceSample:
    """Rows from the beginning of the first, the middle and the last file, and row groups alike.

    Args:
        paths: a file, a folder or a URI.
        most_rows: of the sample, about.

    Raises:
        ContractError: nothing is there, or no file holds a row.
    """
    files, format_entries, kind = _files(paths)
    full = [file for file in files if file.size]
    if not full:
        raise ContractError(f"{paths}: no rows; each file is empty")
    chosen = _spread(full, _MOST_FILES)
    default = FileFormat(kind=kind)
    guess = guess_csv(full[0], default) if kind == "csv" else FileGuess(default)
    read = [_read(file, guess.form, most_rows // len(chosen)) for file in chosen]
    tables = [
        with_origin(table, file.address, np.arange(1, table.num_rows + 1))
        for file, (table, _) in zip(chosen, read, strict=True)
    ]
    rows = pa.concat_tables(_alike(tables), promote_options="default")
    names = _names(full[0], guess.form)
    unnamed = _unnamed(names)
    if not rows.num_rows and names and set(names) == set(unnamed):
        raise ContractError(f"{paths}: no column can be read: {next(iter(unnamed.values()))}")
    if not rows.num_rows:
        raise ContractError(f"{paths}: no rows; each file is empty or has a header only")
    kept = [name for name in rows.column_names if name not in unnamed]
    complete = len(chosen) == len(full) and all(ended for _, ended in read)
    return SourceSample(
        rows.select(kept),
        tuple(files),
        guess.form,
        (*format_entries, *guess.entries),
        unnamed,
        complete,
    )


def _names(file: SourceFile, form: FileFormat) -> Sequence[str]:
    """Names of the columns of a file, those that come twice or have none, too."""
    if file.kind != "csv":
        return list(file.fragment().physical_schema.names)
    with file.open() as stream:
        return CsvFile(stream, file.address, form).names


def _unnamed(names: Sequence[str]) -> dict[str, str]:
    """Why columns cannot be read by their names."""
    reasons = {
        name: f"{count} columns have this name"
        for name, count in Counter(names).items()
        if count > 1
    }
    return reasons | ({"": "the column has no name"} if "" in names else {})


def _files(paths: Paths) -> tuple[list[SourceFile], list[Entry], str]:
    """The files of a data set, their kind, and the line that says it where endings do not."""
    try:
        files = source_files(FileFormat(), paths)
        return files, [], files[0].kind
    except ContractError as error:
        if "by its ending" not in str(error):
            raise
    files = source_files(FileFormat(kind="csv"), paths)
    first = next((file for file in files if file.size), files[0])
    with first.open() as stream:
        is_parquet = stream.read(len(_PARQUET_MARK)) == _PARQUET_MARK
    kind = "parquet" if is_parquet else "csv"
    evidence = "its first bytes are those of a Parquet file" if is_parquet else "its bytes are text"
    files = source_files(FileFormat(kind=kind), paths)
    return files, [Entry("format", kind, evidence)], kind


def _spread(items: list[SourceFile], most: int) -> list[SourceFile]:
    indices = sorted(
        set(np.linspace(0, len(items) - 1, min(most, len(items))).astype(int).tolist())
    )
    return [items[index] for index in indices]


def _read(file: SourceFile, form: FileFormat, most_rows: int) -> tuple[pa.Table, bool]:
    """Rows of a file, and whether these are all."""
    pieces = _csv_tables(file, form) if file.kind == "csv" else _parquet_tables(file, most_rows)
    tables: list[pa.Table] = []
    count, ended = 0, True
    for table in pieces:
        tables.append(table)
        count += table.num_rows
        if count > most_rows:
            ended = False
            break
    if file.kind == "parquet":
        total = file.fragment().metadata.num_rows
        ended = count == total and count <= most_rows
    if not tables:
        return pa.table({}), True
    every = pa.concat_tables(tables)
    return every.slice(0, min(most_rows, every.num_rows)), ended


def _csv_tables(file: SourceFile, form: FileFormat) -> Iterator[pa.Table]:
    with file.open() as stream:
        opened = CsvFile(stream, file.address, form)
        columns = [name for name in opened.names if opened.names.count(name) == 1]
        uses = dict.fromkeys(columns, FieldUse.FREE_TEXT)
        folders = folder_values(file, opened.names)
        every = {name: pa.array([], pa.string()) for name in columns}
        yield with_values(pa.table(every), folders)
        if not columns and opened.names:
            raise ContractError(
                f"{file.address}: no column has a name of its own; write in a mapping file: "
                "file: {columns: [...], header: true}"
            )
        for piece in opened.pieces(columns, uses, lambda rows: np.ones(rows.num_rows, np.bool_)):
            yield with_values(piece.rows.select(columns), folders)


def _parquet_tables(file: SourceFile, most_rows: int) -> Iterator[pa.Table]:
    fragment = file.fragment()
    names = fragment.physical_schema.names
    folders = folder_values(file, names)
    columns = [name for name in dict.fromkeys(names) if names.count(name) == 1]
    groups = fragment.num_row_groups
    chosen = sorted(set(np.linspace(0, max(groups - 1, 0), min(4, groups)).astype(int).tolist()))
    for group in chosen:
        part = fragment.subset(row_group_ids=[group])
        table = part.head(-(-most_rows // max(len(chosen), 1)), columns=columns)
        yield with_values(table, folders)


def _alike(tables: list[pa.Table]) -> list[pa.Table]:
    """Tables whose columns have types that go together; text where they differ."""
    kinds: dict[str, set[pa.DataType]] = {}
    for table in tables:
        for field in table.schema:
            kinds.setdefault(field.name, set()).add(field.type)
    mixed = {name for name, types in kinds.items() if len(types - {pa.null()}) > 1}
    mixed -= {QUARANTINE_FILE, QUARANTINE_ROW}
    return [
        pa.table(
            {
                name: _texts(table[name]) if name in mixed else table[name]
                for name in table.column_names
            }
        )
        if mixed
        else table
        for table in tables
    ]


def _texts(column: pa.ChunkedArray) -> pa.Array:
    values = [None if value is None else str(value) for value in column.to_pylist()]
    return pa.array(values, pa.string())
