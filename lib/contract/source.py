"""Source files of a mapping: Parquet or CSV, read in pieces, only the columns it needs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.dataset as ds

from lib.contract.checked import Checked
from lib.contract.error import ContractError
from lib.contract.mapping import Mapping
from lib.contract.reason import QUARANTINE_REASON

ROWS_PER_PIECE = 262_144


@dataclass
class BadLines:
    """Lines of CSV files that do not have the fields of their header."""

    reasons: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def __call__(self, line: Any) -> str:
        """Note one `pyarrow.csv.InvalidRow` and go on without it."""
        self.reasons.append(
            f"line: {line.actual_columns} fields where {line.expected_columns} were expected"
        )
        self.texts.append(str(line.text))
        return "skip"

    def forget(self) -> None:
        """Drop what was noted: looking for the schema reads the first lines once more."""
        self.reasons.clear()
        self.texts.clear()


def source_dataset(
    mapping: Mapping, paths: str | Path | Sequence[str | Path], bad_lines: BadLines | None = None
) -> ds.Dataset:
    """The files as one Arrow data set; fields of CSV files are text until the mapping reads them.

    Args:
        mapping: says the format and the columns.
        paths: a file, a folder, several files, or a URI that Arrow knows (s3://, gs://).
        bad_lines: collects CSV lines with too few or too many fields; None refuses them.

    Raises:
        ContractError: nothing is there, the format is not told, or a column is absent.
    """
    names = [str(one) for one in ([paths] if isinstance(paths, str | Path) else paths)]
    kind = mapping.file.kind or _kind_of(names)
    try:
        form = _csv_format(mapping, bad_lines) if kind == "csv" else parquet_format()
        found = ds.dataset(names[0] if len(names) == 1 else names, format=form)
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise ContractError(
            f"cannot read {', '.join(names)} as {kind}: {error}; check the path and, in the "
            f"mapping file, file: {{format: ..., delimiter: ..., encoding: ...}}"
        ) from error
    mapping.require(found.schema.names)
    return found


def read_pieces(
    mapping: Mapping,
    paths: str | Path | Sequence[str | Path],
    bad_lines: BadLines | None = None,
    rows: int = ROWS_PER_PIECE,
) -> Iterator[pa.Table]:
    """Raw tables of at most `rows` rows, in file order, with the columns the mapping reads."""
    dataset = source_dataset(mapping, paths, bad_lines)
    columns = list(mapping.source_columns)
    if bad_lines is not None:
        bad_lines.forget()
    for batch in dataset.to_batches(
        columns=columns, batch_size=rows, use_threads=bad_lines is None
    ):
        if batch.num_rows:
            yield pa.Table.from_batches([batch])


def read_checked(
    mapping: Mapping, paths: str | Path | Sequence[str | Path], *, partial: bool = False
) -> Checked:
    """Everything the files hold, mapped and checked as one table.

    Unreadable CSV lines are in the quarantine too, as text in the column `line`.

    Args:
        mapping: what the source's columns mean.
        paths: a file, a folder, several files, or a URI.
        partial: more rows of the same keys may lie elsewhere, see `Contract.check`.

    Raises:
        ContractError: see `source_dataset`, `Mapping.apply` and `Contract.check`.
    """
    bad_lines = BadLines()
    came = [mapping.source_rows(piece) for piece in read_pieces(mapping, paths, bad_lines)]
    pieces = [mapping.of_data_set(piece) for piece in came]
    if not pieces:
        raise ContractError(f"{paths}: no rows to read for {mapping.origin}; check 'where'")
    raw = pa.concat_tables(pieces)
    mapped = pa.concat_tables([mapping.convert(piece) for piece in pieces])
    checked = mapping.contract.check(mapped, raw, partial=partial)
    rows_in = sum(piece.num_rows for piece in came)
    checked = replace(checked, rows_in=rows_in, left_out=rows_in - raw.num_rows)
    return _with_bad_lines(checked, bad_lines) if bad_lines.texts else checked


def _with_bad_lines(checked: Checked, bad: BadLines) -> Checked:
    lines = pa.table({"line": bad.texts, QUARANTINE_REASON: bad.reasons})
    quarantined = pa.concat_tables([checked.quarantined, lines], promote_options="default")
    counts = dict(checked.reasons)
    for reason in bad.reasons:
        counts[reason] = counts.get(reason, 0) + 1
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return Checked(
        good=checked.good,
        quarantined=quarantined,
        reasons=dict(ordered),
        repeats=checked.repeats,
        rows_in=checked.rows_in + len(bad.texts),
        left_out=checked.left_out,
        merged=checked.merged,
        adjustments=checked.adjustments,
    )


def parquet_format() -> ds.ParquetFileFormat:
    """Parquet with INT96 times in microseconds: in nanoseconds, years after 2262 wrap around."""
    return ds.ParquetFileFormat(
        read_options=ds.ParquetReadOptions(coerce_int96_timestamp_unit="us")
    )


def _kind_of(names: list[str]) -> str:
    endings = {Path(name).suffix.lower() for name in names}
    if len(names) == 1 and Path(names[0]).is_dir():
        endings = {one.suffix.lower() for one in Path(names[0]).iterdir() if one.is_file()}
    if endings <= {".csv", ".gz", ".tsv", ".txt"} and endings:
        return "csv"
    if endings <= {".parquet", ".pq", ""}:
        return "parquet"
    raise ContractError(
        f"cannot tell the format of {', '.join(names)} by its ending; "
        f"say it in the mapping file: file: {{format: parquet}} or {{format: csv}}"
    )


def _csv_format(mapping: Mapping, bad_lines: BadLines | None) -> ds.CsvFileFormat:
    missing = list(mapping.file.missing)
    return ds.CsvFileFormat(
        read_options=pc_csv.ReadOptions(encoding=mapping.file.encoding),
        parse_options=pc_csv.ParseOptions(
            delimiter=mapping.file.delimiter,
            newlines_in_values=True,
            invalid_row_handler=bad_lines,
        ),
        convert_options=pc_csv.ConvertOptions(
            column_types={name: pa.string() for name in mapping.source_columns},
            null_values=missing,
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
