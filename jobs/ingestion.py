"""Bringing a data set in on Ray Data: read in pieces, checked against its contract, each key once.

Rows that fail are written to the quarantine folder as they come, with their reasons; a ledger
beside them counts what every piece held (`jobs.quarantine_ledger`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from jobs.data_fingerprint import fingerprint_of
from jobs.framework.cluster import gather_rows
from jobs.quarantine_ledger import (
    Stage,
    adjustment_lines,
    most_frequent_reason,
    summary,
    write_entry,
)
from lib.contract import (
    QUARANTINE_REASON,
    Checked,
    Contract,
    ContractError,
    Mapping,
    Piece,
    Pivot,
    check_pieces,
    load_mapping,
    nothing_read,
    parse_mapping,
    read_checked,
    read_pieces,
    source_files,
    source_schema,
    summary_of,
)
from lib.declaration import read_yaml_text
from lib.storage import Storage, open_storage, split_address

__all__ = [
    "adjustment_lines",
    "checked_mapping",
    "deduplicate",
    "estimated_rows",
    "fingerprint_of",
    "lookup_files",
    "mapping_for",
    "most_frequent_reason",
    "quarantine_rows",
    "read",
    "read_in_tasks",
    "read_whole",
    "summary",
]

if TYPE_CHECKING:
    import ray
    import ray.data

ROWS_PER_PIECE = 500_000
_CSV_BYTES_PER_ROW = 60
_SHUFFLED_ROWS = 1_000_000
_CELLS = 16_000_000


def mapping_for(contract: Contract, path: str | None, data: str | Sequence[str]) -> Mapping:
    """The mapping in the file at `path`; without one, columns are taken by the contract's names.

    Raises:
        ContractError: the mapping is wrong, or required columns are missing.
    """
    if path is not None:
        return load_mapping(path, (contract,), _folder_of(data))
    column_names = source_schema(Mapping(contract, ()), data).names
    columns = {
        column.name: {"from": column.name} | ({"unit": "minor"} if column.is_money else {})
        for column in contract.columns
        if column.name in column_names
    }
    text = yaml.safe_dump({"contract": contract.name, "columns": columns})
    return parse_mapping(text, (contract,), origin=f"columns of {data}")


def checked_mapping(contract: Contract, path: str | None, data: str | Sequence[str]) -> Mapping:
    """The same, and the files are there with the columns that it reads; no row is read.

    Raises:
        ContractError: the mapping is wrong, or a file or a column is missing.
    """
    mapping = mapping_for(contract, path, data)
    source_schema(mapping, data, may_be_empty=True)
    return mapping


def lookup_files(path: str | None, data: str | Sequence[str]) -> list[str]:
    """Addresses of the files in which the mapping file at `path` looks up values; none without it.

    Args:
        path: of the mapping file.
        data: that is read by it, beside which they lie.
    """
    if path is None:
        return []
    text = read_yaml_text(Path(path), Path(path).name, ContractError)
    folder = _folder_of(data)
    return [f"{folder}/{name}" for name in sorted(set(_looked_up_in(yaml.safe_load(text))))]


def _looked_up_in(content: Any) -> Iterator[str]:
    if isinstance(content, dict):
        lookup = content.get("lookup")
        if isinstance(lookup, dict) and "file" in lookup:
            yield str(lookup["file"])
        for value in content.values():
            yield from _looked_up_in(value)


def _folder_of(data: str | Sequence[str]) -> str:
    """Where the data lies: the folder of a file, or the folder that is given."""
    first = data if isinstance(data, str) else data[0]
    above, last = split_address(first)
    return above if "." in last else first


@dataclass(frozen=True)
class _Piece:
    """Some row groups of a Parquet file, or a whole CSV file; `path` is a URI in a bucket."""

    path: str
    kind: str
    row_groups: tuple[int, ...] | None


def read(
    mapping: Mapping,
    paths: str | Sequence[str],
    quarantine: str,
    *,
    piece_rows: int = ROWS_PER_PIECE,
    batch_rows: int = ROWS_PER_PIECE,
    merge_pivot: bool = True,
    convert: Callable[[pa.Table], pa.Table] | None = None,
) -> ray.data.Dataset:
    """Rows that pass their contract one by one; the same id may still come twice.

    Values that a pivot brings into one row may lie in several files; such rows are brought
    together by their key first.

    Args:
        mapping: what the source's columns mean.
        paths: files, a folder, or a URI that Arrow knows.
        quarantine: folder or URI for the rows that do not pass.
        piece_rows: rows of a Parquet file that one task reads, rounded up to its row groups.
        batch_rows: rows of it that are in memory at once; fewer where rows are large.
        merge_pivot: False leaves bringing a pivot's rows together to the caller (`deduplicate`).
        convert: is given the good rows, also where there are none: Ray Data hands tables without
            rows to no later step, and lets their columns go.

    Raises:
        ContractError: a column is missing or of the wrong type, or nothing is there to read.
    """
    import ray.data

    pieces = _pieces(mapping, paths, piece_rows)
    batch_rows = min(batch_rows, max(1, _CELLS // len(mapping.contract.columns)))
    merges = mapping.aggregation is not None or (merge_pivot and isinstance(mapping.reshape, Pivot))
    change = None if merges else convert

    def load(batch: dict[str, Any]) -> Iterator[pa.Table]:
        for index in batch["item"]:
            checked = _checked(mapping, pieces[int(index)], open_storage(quarantine), batch_rows)
            yield from checked if change is None else map(change, checked)

    listed = ray.data.from_items(list(range(len(pieces))), override_num_blocks=len(pieces))
    rows = listed.map_batches(load, batch_size=1, zero_copy_batch=True)
    if not merges:
        return rows
    rows = _by_key(rows, mapping, estimated_rows(mapping, paths), quarantine)
    return rows if convert is None else rows.map_batches(convert, batch_format="pyarrow")


def read_in_tasks(
    mapping: Mapping, paths: str | Sequence[str], quarantine: str
) -> list[ray.ObjectRef[pa.Table]]:
    """The same as tables in Ray's memory, for data of which one task can hold all.

    A task reads a piece. Ray Data, whose own processes take longer to start than such data takes
    to read, is used only where rows of one key are brought together.

    Raises:
        ContractError: see `read`.
    """
    import ray

    if mapping.aggregation is not None or isinstance(mapping.reshape, Pivot):
        blocks: list[ray.ObjectRef[pa.Table]] = read(mapping, paths, quarantine).to_arrow_refs()
        return blocks
    task = ray.remote(num_cpus=1)(_piece_table)
    return [
        task.remote(mapping, piece, quarantine) for piece in _pieces(mapping, paths, ROWS_PER_PIECE)
    ]


def _piece_table(mapping: Mapping, piece: _Piece, quarantine: str) -> pa.Table:
    rows = max(1, min(ROWS_PER_PIECE, _CELLS // len(mapping.contract.columns)))
    return pa.concat_tables(_checked(mapping, piece, open_storage(quarantine), rows))


def _by_key(
    rows: ray.data.Dataset, mapping: Mapping, count: int, quarantine: str
) -> ray.data.Dataset:
    """Rows of one key as one row; no key is in two blocks."""
    contract, aggregation = mapping.contract, mapping.aggregation
    key, blocks = contract.key[0], -(-count // _SHUFFLED_ROWS)
    rows = gather_rows(rows, key, max(1, blocks))

    def merge(table: pa.Table) -> pa.Table:
        if not table.num_rows:
            return contract.schema.empty_table()
        if aggregation is None:
            checked = contract.check(table)
        else:
            checked = aggregation.check(table, contract)
        _write_keys(checked, table, contract.name, key, quarantine, Stage.MERGED)
        return checked.good

    return rows.map_batches(merge, batch_size=None, batch_format="pyarrow", zero_copy_batch=True)


def read_whole(
    mapping: Mapping, paths: str | Sequence[str], *, may_be_empty: bool = False
) -> pa.Table:
    """The good rows of a table that fits into memory; says how many were set aside, and why.

    Args:
        mapping: what the source's columns mean.
        paths: files, a folder, or a URI.
        may_be_empty: files without rows are no error.

    Raises:
        ContractError: a column is missing or of the wrong type, or there is nothing to read.
    """
    checked = read_checked(mapping, paths, may_be_empty=may_be_empty)
    if checked.quarantined.num_rows or not checked.rows_in:
        name = paths if isinstance(paths, str) else ", ".join(paths)
        print(summary_of(checked, mapping).most_frequent_reason(name))
    return checked.good


def deduplicate(
    table: pa.Table, contract: Contract, key: str, quarantine: str, *, passed: bool = True
) -> pa.Table:
    """One row for each key, of a table that holds all rows of every key in it.

    Retries are dropped and counted; rows that contradict each other go to the quarantine.

    Args:
        table: all rows of the keys in it.
        contract: theirs.
        key: column by which rows were brought together.
        quarantine: folder or URI.
        passed: each row has passed the contract by itself; False checks the rows as well.
    """
    if not table.num_rows:
        return table
    checked = contract.check_keys(table) if passed else contract.check(table)
    _write_keys(checked, table, contract.name, key, quarantine, Stage.KEYS)
    return checked.good


def _write_keys(
    checked: Checked, table: pa.Table, name: str, key: str, quarantine: str, stage: Stage
) -> None:
    # no other table holds this key, and a second run of the task sees the same keys
    smallest = str(pc.min(table.column(key)).as_py())
    digest = sha256(f"{name} {smallest}".encode()).hexdigest()[:24]
    write_entry(checked, f"{stage}-{digest}", open_storage(quarantine), stage)


def quarantine_rows(rows: pa.Table, name: str, quarantine: str) -> None:
    """Quarantine rows that passed their contract and still cannot be used.

    Args:
        rows: with `QUARANTINE_REASON`.
        name: of the file, the same in a second run of the task; nothing is written for no rows.
        quarantine: folder or URI.
    """
    if not rows.num_rows:
        return
    reasons = Counter(rows[QUARANTINE_REASON].to_pylist())
    checked = Checked(rows.slice(0, 0), rows, dict(reasons), 0, rows.num_rows)
    write_entry(checked, name, open_storage(quarantine), Stage.AFTER)


def estimated_rows(mapping: Mapping, paths: str | Sequence[str]) -> int:
    """Rows of the source: exact for Parquet, by size for CSV."""
    rows = 0
    for file in source_files(mapping.file, paths):
        if file.kind == "parquet":
            rows += file.fragment().metadata.num_rows
        else:
            rows += file.size // _CSV_BYTES_PER_ROW
    return rows


def _pieces(mapping: Mapping, paths: str | Sequence[str], piece_rows: int) -> list[_Piece]:
    files = source_files(mapping.file, paths)
    mapping.refuse_shared_names([file.address for file in files])
    source_schema(mapping, paths, may_be_empty=True)
    pieces: list[_Piece] = []
    for file in files:
        if file.kind == "csv":
            pieces.append(_Piece(file.address, file.kind, None))
            continue
        groups: list[int] = []
        rows = 0
        for group in file.fragment().row_groups:
            groups.append(group.id)
            rows += group.num_rows
            if rows >= piece_rows:
                pieces.append(_Piece(file.address, file.kind, tuple(groups)))
                groups, rows = [], 0
        if groups or not rows:
            pieces.append(_Piece(file.address, file.kind, tuple(groups)))
    return pieces


def _checked(
    mapping: Mapping, piece: _Piece, quarantine: Storage, batch_rows: int
) -> Iterator[pa.Table]:
    name = sha256(f"{mapping.contract.name} {piece}".encode()).hexdigest()[:24]
    (file,) = source_files(replace(mapping.file, kind=piece.kind), piece.path)
    batches = _batches(read_pieces(mapping, file, batch_rows, piece.row_groups), batch_rows)
    number = -1
    for number, batch in enumerate(batches):
        checked = check_pieces(mapping, batch, partial=True)
        write_entry(checked, f"{name}-{number}", quarantine, Stage.READ, mapping)
        yield checked.good
    if number < 0:
        write_entry(nothing_read(mapping), name, quarantine, Stage.READ, mapping)
        yield mapping.row_contract.schema.empty_table()


def _batches(pieces: Iterator[Piece], rows: int) -> Iterator[list[Piece]]:
    """Pieces together until they have about as many rows."""
    batch: list[Piece] = []
    for piece in pieces:
        batch.append(piece)
        if sum(batch_piece.rows.num_rows for batch_piece in batch) >= rows:
            yield batch
            batch = []
    if batch:
        yield batch
