"""Values of a column by those of another table: `lookup: {file: ..., key: ..., value: ...}`.

Usage is told by subscription, churn by account: a third table says whose each subscription is.
"""

import numpy as np
import pyarrow as pa

from lib.contract.cast import to_text
from lib.contract.checked import QUARANTINE_REASON
from lib.contract.coercion import as_array
from lib.contract.csv_file import CsvFile
from lib.contract.declaration import ContractError
from lib.contract.file_format import FileFormat
from lib.contract.mapping_keys import LOOKUP
from lib.contract.origin import QUARANTINE_ROW
from lib.contract.source_files import SourceFile, source_files
from lib.contract.yaml_section import Section
from lib.declaration import did_you_mean

_MOST_ROWS = 5_000_000


def looked_up(section: Section, beside: str) -> dict[str, str]:
    """Text to text, of a Parquet or CSV file; rows without one of the two are left out.

    Args:
        section: with `file` (in `beside`), `key` and `value` (columns of it), and, where a key has
            several rows, `newest_by`: a column whose greatest value says which of them counts.
        beside: folder or URI.

    Raises:
        ContractError: the file or a column is absent, a line is no row, or a key has two values.
    """
    section.only(LOOKUP)
    name, newest = section.required_text("file"), section.text("newest_by")
    column_names = {which: section.required_text(which) for which in ("key", "value")}
    column_names |= {} if newest is None else {"newest_by": newest}
    table = _table(section, f"{beside}/{name}", column_names)
    if newest is not None:
        table = table.sort_by([(newest, "ascending")])
    pairs = [
        to_text(which, as_array(table[column_names[which]]))[0].to_pylist()
        for which in ("key", "value")
    ]
    values: dict[str, str] = {}
    for key, value in zip(*pairs, strict=True):
        if key is None or value is None:
            continue
        if newest is not None:
            values[key] = value
        if values.setdefault(key, value) != value:
            section.fail(
                f"{column_names['key']} '{key}' has two values of {column_names['value']} in "
                f"{name}; say which "
                "counts by newest_by: COLUMN",
                "key",
            )
    return values


def _table(section: Section, path: str, column_names: dict[str, str]) -> pa.Table:
    try:
        (file,) = source_files(FileFormat(), path)
        if file.kind == "csv":
            return _csv(section, file, column_names)
        fragment = file.fragment()
        _require(section, fragment.physical_schema.names, column_names)
        _refuse_long(section, fragment.metadata.num_rows)
        return fragment.to_table(columns=list(dict.fromkeys(column_names.values())))
    except (OSError, ValueError) as error:
        if isinstance(error, ContractError) and str(error).startswith(section.origin):
            raise
        section.fail(f"cannot be read: {error}; it lies beside the data or the mapping", "file")


def _csv(section: Section, file: SourceFile, column_names: dict[str, str]) -> pa.Table:
    columns = list(dict.fromkeys(column_names.values()))
    tables: list[pa.Table] = []
    with file.open() as stream:
        opened = CsvFile(stream, file.address, FileFormat())
        _require(section, opened.names, column_names)
        # any line with the fields of the header is a row: no contract says more
        for piece in opened.pieces(columns, judge=lambda rows: np.ones(rows.num_rows, np.bool_)):
            if piece.unreadable.num_rows:
                line, reason = (
                    piece.unreadable[name][0].as_py()
                    for name in (QUARANTINE_ROW, QUARANTINE_REASON)
                )
                section.fail(f"{file.name}, line {line}: {reason}; mend the line", "file")
            tables.append(piece.rows.select(columns))
            _refuse_long(section, sum(table.num_rows for table in tables))
    empty = pa.table({name: pa.array([], pa.string()) for name in columns})
    return pa.concat_tables([empty, *tables])


def _require(
    section: Section, names: list[str] | tuple[str, ...], column_names: dict[str, str]
) -> None:
    for which, column in column_names.items():
        if column not in names:
            hint = did_you_mean(column, names)
            section.fail(f"the file has no column '{column}'; {hint}", which)


def _refuse_long(section: Section, rows: int) -> None:
    if rows > _MOST_ROWS:
        section.fail(f"more than {_MOST_ROWS:,} rows; join the tables first", "file")
