"""The files that a path, a folder or a URI names, without those that other programs leave."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs

from lib.contract.error import ContractError
from lib.contract.file_format import FileFormat, without_compression
from lib.contract.foreign_file import ending_hint
from lib.storage import open_storage

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
