"""Source files of a mapping: Parquet or CSV, read in pieces, only the columns it needs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv

from lib.contract.checked import QUARANTINE_REASON, Checked, Mask, by_frequency, one_below_the_other
from lib.contract.csv_file import CsvFile
from lib.contract.csv_rows import UNREADABLE, Piece
from lib.contract.declaration import ContractError
from lib.contract.mapping import Mapping
from lib.contract.origin import with_origin
from lib.contract.source_files import (
    Paths,
    SourceFile,
    columns_of,
    folder_values,
    source_files,
    with_values,
)

ROWS_PER_PIECE = 262_144
_SAMPLE_ROWS = 10_000


def source_schema(mapping: Mapping, paths: Paths, *, may_be_empty: bool = False) -> pa.Schema:
    """Columns of the first file that has any; types of CSV columns as its first rows show them.

    Args:
        mapping: says the columns that must be there, and how CSV is written.
        paths: a file, a folder, several files, or a URI.
        may_be_empty: files without a header are no error.

    Raises:
        ContractError: nothing is there to read, or a column that the mapping reads is absent.
    """
    files = source_files(mapping.file, paths)
    for file in files:
        schema = _schema(mapping, file)
        if len(schema):
            return schema
    if may_be_empty:
        return pa.schema([])
    raise ContractError(_no_rows_message(mapping, files))


def read_pieces(
    mapping: Mapping,
    file: SourceFile,
    rows: int = ROWS_PER_PIECE,
    row_groups: Sequence[int] | None = None,
) -> Iterator[Piece]:
    """The rows of a file as they are, in its order, with the columns that the mapping reads.

    Args:
        mapping: says the columns, and how CSV is written.
        file: to read.
        rows: most rows of a piece of a Parquet file; those of CSV are as long as a block.
        row_groups: of a Parquet file, ascending; None for all.

    Raises:
        ContractError: a column is absent, or a row or line is unaccounted for.
    """
    if file.kind == "csv":
        with file.open() as stream:
            opened = CsvFile(stream, file.address, mapping.file)
            if opened.names:
                yield from _csv_pieces(mapping, file, opened)
        return
    fragment = file.fragment()
    folders = folder_values(file, fragment.physical_schema.names)
    columns = columns_of(mapping, file, fragment.physical_schema.names)
    groups = range(fragment.num_row_groups) if row_groups is None else row_groups
    sizes = [group.num_rows for group in fragment.row_groups]
    numbers = np.concatenate(
        [np.zeros(0, np.int64), *(np.arange(sizes[g]) + sum(sizes[:g]) + 1 for g in groups)]
    )
    done = 0
    part = fragment.subset(row_group_ids=list(groups))
    for batch in part.to_batches(columns=columns, batch_size=rows):
        if batch.num_rows:
            table = with_values(pa.Table.from_batches([batch]), folders)
            own = numbers[done : done + batch.num_rows]
            yield Piece(with_origin(table, file.address, own), UNREADABLE.empty_table())
        done += batch.num_rows
    if done != len(numbers):
        raise ContractError(f"{file.address}: {len(numbers):,} rows, but {done:,} were read")


def _csv_pieces(mapping: Mapping, file: SourceFile, opened: CsvFile) -> Iterator[Piece]:
    folders = folder_values(file, opened.names)
    columns = columns_of(mapping, file, opened.names, opened)

    def judge(rows: pa.Table) -> Mask:
        return mapping.are_rows(with_values(rows, folders))

    stray = None if mapping.file.multiline is not None else judge
    for piece in opened.pieces(columns, mapping.field_uses, stray):
        yield replace(piece, rows=with_values(piece.rows, folders))


def check_pieces(mapping: Mapping, pieces: Sequence[Piece], *, partial: bool = False) -> Checked:
    """Pieces mapped and checked as one table; unreadable lines are quarantined as `line`.

    Args:
        mapping: what the columns mean.
        pieces: one or more.
        partial: more rows of the same keys may lie elsewhere, see `Contract.check`.
    """
    checked = mapping.check(*[piece.rows for piece in pieces], partial=partial)
    lines = pa.concat_tables([piece.unreadable for piece in pieces])
    if not lines.num_rows:
        return checked
    counts = Counter(checked.reasons) + Counter(lines[QUARANTINE_REASON].to_pylist())
    return replace(
        checked,
        quarantined=one_below_the_other(checked.quarantined, lines),
        reasons=by_frequency(counts),
        rows_in=checked.rows_in + lines.num_rows,
    )


def read_checked(
    mapping: Mapping, paths: Paths, *, partial: bool = False, may_be_empty: bool = False
) -> Checked:
    """Everything the files hold, mapped and checked as one table.

    Args:
        mapping: what the source's columns mean.
        paths: a file, a folder, several files, or a URI.
        partial: more rows of the same keys may lie elsewhere, see `Contract.check`.
        may_be_empty: files without rows are no error.

    Raises:
        ContractError: see `source_files`, `read_pieces` and `Mapping.check`; or
            no file holds a row.
    """
    files = source_files(mapping.file, paths)
    mapping.refuse_shared_names([file.address for file in files])
    pieces = [piece for file in files for piece in read_pieces(mapping, file)]
    if pieces:
        return check_pieces(mapping, pieces, partial=partial)
    if not may_be_empty:
        raise ContractError(_no_rows_message(mapping, files))
    return nothing_read(mapping)


def nothing_read(mapping: Mapping) -> Checked:
    """The result of reading a file without rows."""
    good = mapping.contract.schema.empty_table()
    return Checked(good, UNREADABLE.empty_table(), {}, repeats=0, rows_in=0)


def _schema(mapping: Mapping, file: SourceFile) -> pa.Schema:
    if file.kind != "csv":
        schema = file.fragment().physical_schema
        columns_of(mapping, file, schema.names)
    else:
        schema = _csv_schema(mapping, file)
    for name in folder_values(file, schema.names) if len(schema) else ():
        schema = schema.append(pa.field(name, pa.string()))
    return schema


def _csv_schema(mapping: Mapping, file: SourceFile) -> pa.Schema:
    with file.open() as stream:
        opened = CsvFile(stream, file.address, mapping.file)
        if opened.names:
            columns_of(mapping, file, opened.names, opened)
        once = [name for name in opened.names if opened.names.count(name) == 1]
        first = next((p.rows for p in opened.pieces(once) if p.rows.num_rows), None)
        if first is None:
            return pa.schema([(name, pa.null()) for name in once])
        sample = first.select(once).slice(0, _SAMPLE_ROWS)
    text = pa.BufferOutputStream()
    pc_csv.write_csv(sample, text)
    return pc_csv.read_csv(
        pa.BufferReader(text.getvalue()),
        parse_options=pc_csv.ParseOptions(newlines_in_values=True),
        convert_options=pc_csv.ConvertOptions(null_values=list(mapping.file.missing)),
    ).schema


def _no_rows_message(mapping: Mapping, files: Sequence[SourceFile]) -> str:
    names = ", ".join(file.address for file in files[:3]) + (", ..." if len(files) > 3 else "")
    return (
        f"{names}: no rows to read for {mapping.origin}; {len(files)} file(s), each empty or with "
        "a header only; check the path and the export"
    )
