"""What a model was trained on, as one SHA-256."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from lib.contract.coercion import as_array, plain

_BLOCK = 1 << 20


class Fingerprint:
    """SHA-256 over the content of a table that comes in pieces.

    Equal for equal rows in equal order, however they are cut into pieces, chunks, row groups or
    files, in whatever column order, and whether text is dictionary-encoded or not. The order of
    rows counts: sort by (event_time, id) before, where it should not. NaN equals NaN of the same
    bits; nulls hash as nulls whatever lies below them.
    """

    def __init__(self) -> None:
        self._rows = 0
        self._columns: dict[str, tuple[str, list[hashlib._Hash]]] = {}

    def update(self, table: pa.Table) -> None:
        """Add the rows of `table`; every piece must have the same columns and types."""
        if self._rows and set(table.column_names) != set(self._columns):
            raise ValueError("every piece of a fingerprint must have the same columns")
        for name in table.column_names:
            self._add(name, plain(as_array(table[name])))
        self._rows += table.num_rows

    def hexdigest(self) -> str:
        """64 hexadecimal digits for all rows so far."""
        total = hashlib.sha256(f"rows {self._rows}\n".encode())
        for name, (kind, parts) in sorted(self._columns.items()):
            digests = " ".join(part.hexdigest() for part in parts)
            total.update(f"{len(name)} {name} {kind} {digests}\n".encode())
        return total.hexdigest()

    def _add(self, name: str, values: pa.Array) -> None:
        kind, parts = self._columns.setdefault(
            name, (str(values.type), [hashlib.sha256() for _ in range(3)])
        )
        if kind != str(values.type):
            raise ValueError(f"column '{name}' is {values.type} here and {kind} in another piece")
        valid = pc.is_valid(values).to_numpy(zero_copy_only=False)
        parts[0].update(valid.astype(np.uint8).tobytes())
        if pat.is_string(values.type) or pat.is_binary(values.type):
            lengths = pc.binary_length(values).fill_null(0).to_numpy(zero_copy_only=False)
            parts[1].update(lengths.astype("<i4").tobytes())
            parts[2].update(_text_bytes(values))
        else:
            parts[1].update(_fixed_bytes(values))


def fingerprint(table: pa.Table) -> str:
    """SHA-256 of one table's content; see `Fingerprint`."""
    hasher = Fingerprint()
    hasher.update(table)
    return hasher.hexdigest()


def fingerprint_files(paths: Iterable[str | Path]) -> str:
    """SHA-256 over the bytes of files, whatever order and folder they are named in."""
    total = hashlib.sha256()
    for digest in sorted(_file_digest(Path(path)) for path in paths):
        total.update(digest.encode())
    return total.hexdigest()


def _text_bytes(values: pa.Array) -> bytes:
    filled = values.fill_null(pa.scalar("", type=values.type))
    if not len(filled):
        return b""
    offsets = np.frombuffer(filled.buffers()[1], dtype=np.int32)
    first, last = offsets[filled.offset], offsets[filled.offset + len(filled)]
    content = filled.buffers()[2]
    return b"" if content is None else bytes(content.slice(int(first), int(last - first)))


def _fixed_bytes(values: pa.Array) -> bytes:
    if pat.is_timestamp(values.type) or pat.is_duration(values.type):
        values = values.cast(pa.int64())
    if pat.is_boolean(values.type):
        values = values.cast(pa.uint8())
    if not (pat.is_integer(values.type) or pat.is_floating(values.type)):
        values = values.cast(pa.string())
        return "\n".join(str(value) for value in values.to_pylist()).encode()
    numbers = values.fill_null(0).to_numpy(zero_copy_only=False)
    return bytes(np.ascontiguousarray(numbers).tobytes())


def _file_digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while block := source.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
