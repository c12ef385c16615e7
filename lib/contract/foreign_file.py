"""Files that are neither CSV nor Parquet, recognised by their first bytes or by their ending."""

import codecs
from pathlib import PurePosixPath

from lib.contract.error import ContractError

_EXPORT = "write it as CSV or Parquet"
_UNPACK = "unpack it"
_STARTS = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook", "unpack it, or save its sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", "save its sheet as CSV"),
    (b"\x1f\x8b\x08", "compressed by gzip", "give its name the ending .csv.gz"),
    (b"BZh", "compressed by bzip2", "give its name the ending .csv.bz2"),
    (b"\x28\xb5\x2f\xfd", "compressed by Zstandard", "give its name the ending .csv.zst"),
    (b"\x04\x22\x4d\x18", "compressed by LZ4", "give its name the ending .csv.lz4"),
    (b"PAR1", "a Parquet file", "say it in the mapping file: file: {format: parquet}"),
    (b"ARROW1\0\0", "an Arrow or Feather file", _EXPORT),
    (b"Obj\x01", "an Avro file", _EXPORT),
    (b"SQLite format 3\0", "a SQLite database", _EXPORT),
    (b"\x89HDF\r\n", "an HDF5 file", _EXPORT),
    (b"%PDF-", "a PDF", _EXPORT),
    (b"\xff\xfe\0\0", "UTF-32", "say it in the mapping file: file: {encoding: utf-32}"),
    (b"\0\0\xfe\xff", "UTF-32", "say it in the mapping file: file: {encoding: utf-32}"),
)
_TEXT_STARTS = (
    ((b"<!doctype", b"<html", b"<?xml"), "a page of HTML or XML", "check the download or export"),
    ((b'{"', b"{ ", b"{\n", b"{\r", b"[{", b"[\n", b"[\r"), "JSON", _EXPORT),
)
_ENDINGS = {
    ".xlsx": "save its sheet as CSV",
    ".xls": "save its sheet as CSV",
    ".ods": "save its sheet as CSV",
    ".zip": _UNPACK,
    ".tar": _UNPACK,
    ".tgz": _UNPACK,
    ".7z": _UNPACK,
    ".json": _EXPORT,
    ".jsonl": _EXPORT,
    ".ndjson": _EXPORT,
    ".feather": _EXPORT,
    ".arrow": _EXPORT,
    ".orc": _EXPORT,
    ".avro": _EXPORT,
    ".xml": _EXPORT,
    ".sqlite": _EXPORT,
    ".db": _EXPORT,
}
_FEW_BYTES = 64


def refuse_binary(block: bytes, name: str, encoding: str) -> None:
    """Refuse the first bytes of a file that is read as CSV and holds no text of its encoding.

    Args:
        block: the file's first bytes.
        name: of the file.
        encoding: that the mapping file declares; UTF-16 and UTF-32 may begin with any bytes.

    Raises:
        ContractError: naming what it is and what to do.
    """
    if codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")):
        return
    for start, kind, todo in _STARTS:
        if block.startswith(start):
            raise ContractError(f"{name}: expected CSV, but it looks like {kind}; {todo}")


def refuse_document(text: bytes, name: str) -> None:
    """Refuse text whose header is the beginning of a page or of JSON.

    Raises:
        ContractError: naming what it is and what to do.
    """
    head = text[:_FEW_BYTES].lstrip().lower()
    for starts, kind, todo in _TEXT_STARTS:
        if head.startswith(starts):
            raise ContractError(f"{name}: expected CSV, but it looks like {kind}; {todo}")


def ending_hint(address: str) -> str | None:
    """What to do with a file of an ending that is never read, None for any other.

    >>> ending_hint("payments.jsonl")
    'files that end in .jsonl are not read; write it as CSV or Parquet'
    """
    ending = PurePosixPath(address).suffix.lower()
    todo = _ENDINGS.get(ending)
    return None if todo is None else f"files that end in {ending} are not read; {todo}"
