"""Text of CSV files as blocks of UTF-8, whatever encoding they are in."""

import codecs
from collections.abc import Iterator
from typing import Protocol

from lib.contract.error import ContractError
from lib.contract.foreign_file import refuse_binary

BLOCK_BYTES = 16 << 20
_INVALID = "forewarn_invalid"
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_FEW_BYTES = 1024


class ByteStream(Protocol):
    """A file opened for reading."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, none at the end."""
        ...


def is_text_encoding(name: str) -> bool:
    """Whether Python knows `name` as an encoding of text."""
    codecs.register_error(_INVALID, _invalid)
    try:
        # punycode, idna and others know no handling of single invalid bytes
        codecs.getincrementaldecoder(name)(_INVALID).decode("a,b\n".encode(name) + b"\xff", True)
    except (LookupError, UnicodeError, ValueError, TypeError):
        return False
    return True


def utf8_blocks(stream: ByteStream, encoding: str, name: str) -> Iterator[bytes]:
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
            yield from _without_mark(block, stream, name)
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


def _without_mark(block: bytes, stream: ByteStream, name: str) -> Iterator[bytes]:
    while block.startswith(codecs.BOM_UTF8):
        block = block.removeprefix(codecs.BOM_UTF8)
    yield block
    while block := _read(stream, name):
        yield block


def _read(stream: ByteStream, name: str) -> bytes:
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
