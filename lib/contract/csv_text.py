"""Text of CSV files as blocks of UTF-8, whatever encoding they are in; other files are refused."""

import codecs
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

from lib.contract.declaration import ContractError

BLOCK_BYTES = 16 << 20
_INVALID = "forewarn_invalid"
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_FEW_BYTES = 1024


def is_text_encoding(name: str) -> bool:
    """Whether Python knows `name` as an encoding of text."""
    codecs.register_error(_INVALID, _invalid)
    try:
        # punycode, idna and others know no handling of single invalid bytes
        codecs.getincrementaldecoder(name)(_INVALID).decode("a,b\n".encode(name) + b"\xff", True)
    except (LookupError, UnicodeError, ValueError, TypeError):
        return False
    return True


def utf8_blocks(stream: BinaryIO, encoding: str, name: str) -> Iterator[bytes]:
    """The text of a file in UTF-8, without a byte order mark.

    Bytes that are invalid in `encoding` stay invalid in UTF-8, so that their row is set aside. A
    byte order mark of UTF-16 counts more than an encoding that nobody declared.

    Args:
        stream: the file.
        encoding: it is declared to be in.
        name: of the file, for messages.

    Raises:
        ContractError: the file is no text, looks like UTF-16 and does not say so, is declared to
            be UTF-16 or UTF-32 and has no byte order mark, or is cut off.
    """
    block = _read(stream, name)
    refuse_binary(block, name, encoding)
    if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig"):
        if block.startswith(_UTF16_MARKS):
            encoding = "utf-16"
        else:
            _refuse_utf16(block, name)
            while block.startswith(codecs.BOM_UTF8):
                block = block.removeprefix(codecs.BOM_UTF8)
            yield block
            while block := _read(stream, name):
                yield block
            return
    codecs.register_error(_INVALID, _invalid)
    decoder = codecs.getincrementaldecoder(encoding)(errors=_INVALID)
    first = True
    try:
        while block or first:
            text = decoder.decode(block)
            yield _encoded(text.lstrip("\ufeff") if first else text)
            block, first = _read(stream, name), False
        yield _encoded(decoder.decode(b"", True))
    except UnicodeError as error:
        raise ContractError(
            f"{name}: expected {encoding}, got other bytes ({error}); say its encoding in the "
            "mapping file: file: {encoding: utf-8}, utf-16-le, cp1252 ..."
        ) from error


def _read(stream: BinaryIO, name: str) -> bytes:
    try:
        return stream.read(BLOCK_BYTES)
    except OSError as error:
        raise ContractError(
            f"{name}: cannot be read to its end: {error}; is it cut off?"
        ) from error


def _refuse_utf16(block: bytes, name: str) -> None:
    few = block[:_FEW_BYTES]
    even, odd = few[::2].count(0), few[1::2].count(0)
    if max(even, odd) * 4 > len(few) and min(even, odd) * 8 < max(even, odd):
        kind = "utf-16-be" if even > odd else "utf-16-le"
        raise ContractError(
            f"{name}: looks like UTF-16 without a byte order mark; say it in the mapping file: "
            f"file: {{encoding: {kind}}}"
        )


def _invalid(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


_EXPORT = "write it as CSV or Parquet"
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
    ending: todo
    for todo, endings in (
        ("save its sheet as CSV", ".xlsx .xls .ods"),
        ("unpack it", ".zip .tar .tgz .7z"),
        (_EXPORT, ".json .jsonl .ndjson .feather .arrow .orc .avro .xml .sqlite .db"),
    )
    for ending in endings.split()
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
