"""The files that a path, a folder or a URI names, and the columns that a mapping reads of each."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs

from lib.contract.csv_file import DELIMITERS, CsvFile
from lib.contract.csv_text import ending_hint
from lib.contract.declaration import ContractError
from lib.contract.file_format import FileFormat, without_compression
from lib.contract.mapping import Mapping
from lib.contract.origin import partition_values
from lib.storage import LocalStorage, open_storage
from lib.storage import write_parquet as write_stored

Paths = str | Path | Sequence[str | Path]

_CSV = (".csv", ".tsv", ".tab", ".txt")
_PARQUET = (".parquet", ".pq", "")
_LEFT_OVERS = ("thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class SourceFile:
    """One file of a source.

    Attributes:
        address: path or URI by which any machine opens it.
        kind: "csv" or "parquet".
        path: inside `filesystem`.
        size: in bytes.
        filesystem: where it lies.
    """

    address: str
    kind: str
    path: str
    size: int
    filesystem: fs.FileSystem = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self.path.rpartition("/")[2]

    def open(self) -> pa.NativeFile:
        """A stream of its bytes, decompressed by its ending.

        Raises:
            ContractError: it cannot be opened.
        """
        try:
            return self.filesystem.open_input_stream(self.path)
        except OSError as error:
            raise ContractError(f"{self.address}: cannot be opened: {error}") from error

    def fragment(self) -> ds.ParquetFileFragment:
        """The Parquet file, with its metadata read; times of 96 bits as microseconds.

        Raises:
            ContractError: it is no Parquet file.
        """
        options = ds.ParquetReadOptions(coerce_int96_timestamp_unit="us")
        form = ds.ParquetFileFormat(read_options=options)
        try:
            fragment = form.make_fragment(self.path, filesystem=self.filesystem)
            fragment.ensure_complete_metadata()
        except (OSError, pa.ArrowInvalid) as error:
            raise ContractError(
                f"cannot read {self.address} as parquet: {error}; check the file and, in the "
                "mapping file, file: {format: ...}"
            ) from error
        return fragment


def source_files(form: FileFormat, paths: Paths) -> list[SourceFile]:
    """The files of a source, in order of their names within each folder.

    In folders, names that begin with "." or "_" and `.crc` files are left out, as Arrow and Spark
    do: other programs leave them (`.DS_Store`, `_SUCCESS`).

    Args:
        form: says the format; without it the endings do.
        paths: a file, a folder, several of them, or URIs (s3://, gs://, file://).

    Raises:
        ContractError: nothing is there, or the format is not said.
    """
    entries: list[tuple[str, str, int, fs.FileSystem]] = []
    for path in [paths] if isinstance(paths, str | Path) else paths:
        storage = open_storage(path)
        info = storage.filesystem.get_file_info(storage.at())
        if info.type == fs.FileType.NotFound:
            raise ContractError(f"cannot read {path}: there is no file or folder; check the path")
        if info.is_file:
            entries.append((storage.address(), storage.at(), info.size, storage.filesystem))
            continue
        if info.type != fs.FileType.Directory:
            raise ContractError(f"cannot read {path}: expected a file or a folder, got a device")
        root = storage.at().rstrip("/")
        selector = fs.FileSelector(storage.at(), recursive=True, allow_not_found=True)
        for entry in sorted(
            storage.filesystem.get_file_info(selector), key=lambda file_info: file_info.path
        ):
            name = entry.path.lstrip("/")[len(root.lstrip("/")) :].lstrip("/")
            if entry.is_file and is_data_file(name):
                address = storage.address(name)
                entries.append((address, entry.path, entry.size, storage.filesystem))
    if not entries:
        raise ContractError(f"{paths}: the folder holds no data files; check the path")
    kind = form.kind or _kind_of([address for address, *_ in entries])
    return [SourceFile(address, kind, path, size, files) for address, path, size, files in entries]


def is_data_file(name: str) -> bool:
    """Whether a file in a folder is data, by its path in it.

    >>> [is_data_file(name) for name in ("2024/a.csv", ".DS_Store", "_SUCCESS", "a.csv.crc")]
    [True, False, False, False]
    """
    parts = PurePosixPath(name).parts
    last = parts[-1].lower() if parts else ""
    hidden = any(part.startswith((".", "_")) for part in parts)
    return not (hidden or last.endswith(".crc") or last in _LEFT_OVERS)


def write_parquet(table: pa.Table, path: str | Path) -> Path:
    """Put a Parquet file in place; readers never see a part.

    The file is its owner's alone, as folders that are made for it are.
    """
    target = Path(path)
    write_stored(table, LocalStorage(target.parent), target.name)
    return target


def fingerprint_files(paths: Iterable[str | Path]) -> str:
    """SHA-256 over the bytes of files, whatever order and folder they are named in."""
    total = hashlib.sha256()
    for digest in sorted(_file_digest(Path(path)) for path in paths):
        total.update(digest.encode())
    return total.hexdigest()


def _file_digest(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _kind_of(addresses: Iterable[str]) -> str:
    kinds: dict[str, str] = {}
    for address in addresses:
        kinds.setdefault(_kind_by_ending(address), address)
    if len(kinds) == 1 and "" not in kinds:
        return next(iter(kinds))
    unclear = kinds.get("") or " and ".join(kinds.values())
    hint = ending_hint(unclear)
    if hint is not None:
        raise ContractError(f"{unclear}: {hint}")
    if "" not in kinds:
        raise ContractError(f"{unclear}: one is CSV and one is Parquet; give a folder of one kind")
    raise ContractError(
        f"cannot tell the format of {unclear} by its ending; "
        "say it in the mapping file: file: {format: parquet} or {format: csv}"
    )


def _kind_by_ending(address: str) -> str:
    name = address.partition("?")[0] if "://" in address else address
    inner = without_compression(name)
    ending = PurePosixPath(inner).suffix.lower()
    if ending in _CSV or (inner != name and not ending):
        return "csv"
    return "parquet" if ending in _PARQUET and inner == name else ""


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
