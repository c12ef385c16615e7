"""Opening a storage by its URI, and single Parquet files by their address."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from lib.storage.local import LocalStorage
from lib.storage.objects import ObjectStorage
from lib.storage.redaction import redact_uri
from lib.storage.storage import Storage, StorageError


def open_storage(
    uri: str | Path, filesystem: fs.FileSystem | None = None, *, private: bool = True
) -> Storage:
    """Open a local path or a URI that pyarrow or fsspec knows (file, s3, gs, memory, ...).

    Args:
        uri: a path, a URI, or a path inside `filesystem`.
        filesystem: use this one, e.g. an S3FileSystem with its own endpoint.
        private: whether local files are their owner's alone; see `LocalStorage`.

    Raises:
        StorageError: neither pyarrow nor fsspec knows the scheme.
    """
    if filesystem is not None:
        return ObjectStorage(filesystem, str(uri))
    if "://" not in str(uri):
        return LocalStorage(Path(uri), private=private)
    opened, path, known_uri = _from_uri(str(uri))
    if isinstance(opened, fs.LocalFileSystem):
        return LocalStorage(Path(path), private=private)
    return ObjectStorage(opened, path, known_uri)


def split_address(address: str) -> tuple[str, str]:
    """The address of the folder above, and the name in it; a URI keeps what follows its `?`."""
    location, mark, options = address.partition("?") if "://" in address else (address, "", "")
    above, _, name = location.rstrip("/").rpartition("/")
    return above + mark + options, name


def open_dataset(storage: Storage, path: str = "") -> ds.Dataset:
    """All Parquet files below a folder of a storage as one data set."""
    return ds.dataset(storage.at(path), filesystem=storage.filesystem, format="parquet")


def read_noted(storage: Storage, note: str) -> tuple[ds.Dataset, dict[str, Any]] | None:
    """The rows that a job wrote to `data/`, and its note about them; None where it did not finish.

    Args:
        storage: OUTPUT of the job.
        note: name of the JSON file.
    """
    content = storage.read(note)
    return None if content is None else (open_dataset(storage, "data"), json.loads(content))


def read_parquet(address: str, columns: Sequence[str] | None = None) -> pa.Table:
    """One Parquet file by its address (`Storage.address`)."""
    files, path = fs.LocalFileSystem(), address
    if "://" in address:
        files, path, _ = _from_uri(address)
    chosen = None if columns is None else list(columns)
    # threads that read ahead through a Python file system abort a process that ends meanwhile
    ahead = not isinstance(files, fs.PyFileSystem)
    with files.open_input_file(path) as file:
        return pq.read_table(file, columns=chosen, pre_buffer=ahead, use_threads=ahead)


def write_parquet(
    table: pa.Table, storage: Storage, path: str, dictionaries: Sequence[str] | None = None
) -> str:
    """Write one Parquet file, whole or not at all; returns its address.

    Args:
        table: the rows.
        storage: where to write.
        path: of the file in it.
        dictionaries: columns whose values repeat, which alone are written by dictionary: to look
            for repeats among numbers that hardly repeat takes longer than to write them. None
            tries it with all columns.
    """
    buffer = pa.BufferOutputStream()
    by_dictionary = True if dictionaries is None else list(dictionaries)
    pq.write_table(table, buffer, compression="zstd", use_dictionary=by_dictionary)
    storage.write(path, buffer.getvalue().to_pybytes())
    return storage.address(path)


def _from_uri(uri: str) -> tuple[fs.FileSystem, str, str]:
    """The file system, the path in it, and the URI in the form that pyarrow knows."""
    for candidate in (uri, f"fsspec+{uri}"):
        try:
            opened, path = fs.FileSystem.from_uri(candidate)
        except (ValueError, ImportError):
            continue
        return opened, str(path), candidate
    raise StorageError(
        f"{redact_uri(uri)!r}: expected a local path or a URI such as file:///srv/models, "
        "s3://bucket/models or gs://bucket/models"
    )
