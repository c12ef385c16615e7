"""Decisions in Parquet: written in their order, verified against what was read, and read again.

A file holds decisions of one system that were received on one UTC day, ordered by event_time and
subject_id. JSON columns are kept as their text, so that what is read is what was stored.
"""

import hashlib
import itertools
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import JSON, BigInteger, Double

from lib.records.errors import RecordsError, RecordsUnavailableError
from lib.records.json_codec import read_json
from lib.records.schema import DECISIONS
from lib.storage import Storage, open_storage

JSON_COLUMNS = tuple(column.name for column in DECISIONS.columns if isinstance(column.type, JSON))
ROWS_PER_GROUP = 5_000
"""Few enough that one is read in a blink to find one row."""
ROWS_PER_FILE = 1_000_000


def _type(kind: object) -> pa.DataType:
    if isinstance(kind, BigInteger):
        return pa.int64()
    return pa.float64() if isinstance(kind, Double) else pa.string()


SCHEMA = pa.schema(
    [(column.name, _type(column.type)) for column in DECISIONS.columns]
    + [("entity_id", pa.string())]
)


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """One file: a row of `decision_archives`. Times are microseconds since 1970 UTC."""

    id: str
    system: str
    date: str
    address: str
    path: str
    rows: int
    digest: str
    since: int
    until: int
    archived_at: int

    @property
    def storage(self) -> Storage:
        """The folder or bucket that it lies in."""
        return open_storage(self.address)


class Bounds(NamedTuple):
    """A column of whole numbers, and the range [first, last] that is wanted of it."""

    column: str
    first: int
    last: int


class ContentDigest:
    """SHA-256 over every value of some record batches, in their order."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, batch: pa.RecordBatch) -> None:
        """Take in a batch; two batches with equal values count the same, however they lie."""
        for column in batch.columns:
            self._hash.update(
                np.packbits(column.is_null().to_numpy(zero_copy_only=False)).tobytes()
            )
            if pa.types.is_string(column.type):
                self._hash.update(pc.binary_length(column).fill_null(0).to_numpy().tobytes())
                self._hash.update("".join(pc.fill_null(column, "").to_pylist()).encode())
            else:
                self._hash.update(column.fill_null(0).to_numpy(zero_copy_only=False).tobytes())

    def hexdigest(self) -> str:
        """In hex."""
        return self._hash.hexdigest()


def write_files(
    rows: Iterable[Sequence[Any]], storage: Storage, system: str, date: str, now: int
) -> list[ArchiveFile]:
    """Write rows of `SCHEMA` as `date=DATE/SYSTEM-ID.parquet`, and read each file back.

    Args:
        rows: in the order of event_time and subject_id.
        storage: of the archive.
        system: of all rows.
        date: UTC day of all rows, as 2026-11-27.
        now: microseconds since 1970 UTC.

    Raises:
        RecordsError: what was read back is not what was written; the file is removed.
    """
    rest = iter(rows)
    groups = iter(lambda: list(itertools.islice(rest, ROWS_PER_GROUP)), [])
    batches = map(_to_batch, groups)
    return [
        _write_file(itertools.chain([first], batches), storage, system, date, now)
        for first in batches
    ]


def verify(file: ArchiveFile) -> None:
    """Read a file again and compare its rows and their digest.

    Raises:
        RecordsError: they differ.
    """
    digest, rows = ContentDigest(), 0
    for batch in read_columns(file):
        digest.update(batch)
        rows += batch.num_rows
    if (rows, digest.hexdigest()) != (file.rows, file.digest):
        raise RecordsError(
            f"{file.storage.shown(file.path)}: expected {file.rows} rows with digest "
            f"{file.digest[:12]}, read {rows} with {digest.hexdigest()[:12]}; the file was changed "
            "or its disk is failing"
        )


def read_rows(
    file: ArchiveFile,
    condition: pc.Expression | None = None,
    bounds: Bounds | None = None,
) -> Iterator[dict[str, Any]]:
    """Rows as the columns of decisions, in their order.

    Args:
        file: which.
        condition: which rows are wanted; None wants all.
        bounds: row groups without a value in between are passed over.

    Raises:
        RecordsUnavailableError: the archive cannot be reached, or the file is gone or broken.
    """
    for batch in read_columns(file, bounds=bounds):
        selected = batch if condition is None else batch.filter(condition)
        for row in selected.to_pylist():
            yield {**row, **{name: read_json(row[name]) for name in JSON_COLUMNS}}


def rewrite(file: ArchiveFile, subject_ids: set[str], now: int) -> ArchiveFile | None:
    """The file without some subjects, beside the old one; None where no row is left."""
    subjects = pa.array(sorted(subject_ids), pa.string())

    stays = ~pc.field("subject_id").isin(subjects)
    rows = (row.values() for batch in read_columns(file) for row in batch.filter(stays).to_pylist())
    files = write_files(map(tuple, rows), file.storage, file.system, file.date, now)
    return files[0] if files else None


def _to_batch(rows: list[Sequence[Any]]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(c, field.type) for c, field in zip(columns, SCHEMA, strict=True)]
    return pa.record_batch(arrays, schema=SCHEMA)


def _write_file(
    batches: Iterator[pa.RecordBatch], storage: Storage, system: str, date: str, now: int
) -> ArchiveFile:
    name, digest, rows = uuid.uuid4().hex, ContentDigest(), 0
    path = f"date={date}/{system}-{name}.parquet"
    times: list[int] = []
    storage.make_private(f"date={date}")
    storage.filesystem.create_dir(storage.at(f"date={date}"), recursive=True)
    try:
        with pq.ParquetWriter(
            storage.at(path), SCHEMA, filesystem=storage.filesystem, compression="zstd"
        ) as writer:
            for batch in batches:
                writer.write_batch(batch)
                digest.update(batch)
                rows += batch.num_rows
                times += pc.min_max(batch.column("event_time")).as_py().values()
                if rows >= ROWS_PER_FILE:
                    break
        storage.make_private(f"date={date}")
        file = ArchiveFile(
            id=name, system=system, date=date, address=storage.address(), path=path, rows=rows,
            digest=digest.hexdigest(), since=min(times), until=max(times) + 1, archived_at=now,
        )  # fmt: skip
        verify(file)
    except BaseException:
        storage.delete(path)
        raise
    return file


def read_columns(
    file: ArchiveFile, columns: list[str] | None = None, bounds: Bounds | None = None
) -> Iterator[pa.RecordBatch]:
    """Some columns of every row, or all, one row group at a time.

    Raises:
        RecordsUnavailableError: see `read_rows`.
    """
    storage = file.storage
    try:
        with storage.filesystem.open_input_file(storage.at(file.path)) as stream:
            parquet = pq.ParquetFile(stream)
            for number in range(parquet.num_row_groups):
                if bounds is not None and not _has(parquet, number, bounds):
                    continue
                table = parquet.read_row_group(number, columns=columns, use_threads=False)
                yield from table.combine_chunks().to_batches()
    except FileNotFoundError as error:
        raise RecordsUnavailableError(
            f"{storage.shown(file.path)}: the archive names this file and it is gone; restore it"
        ) from error
    except (OSError, pa.ArrowInvalid) as error:
        raise RecordsUnavailableError(f"{storage.shown(file.path)}: {error}") from error


def _has(parquet: pq.ParquetFile, number: int, bounds: Bounds) -> bool:
    index = SCHEMA.get_field_index(bounds.column)
    statistics = parquet.metadata.row_group(number).column(index).statistics
    if statistics is None or not statistics.has_min_max:
        return True
    return bool(statistics.min <= bounds.last and statistics.max >= bounds.first)
