"""Messages between a service and its challenger's process: msgpack, each after its length."""

import struct
from io import BufferedIOBase
from typing import Any

import msgpack

LONGEST_MESSAGE = 64 << 20
"""Bytes of a message at most."""

_LENGTH = struct.Struct(">I")
HEAD_BYTES = _LENGTH.size


class MessageError(ValueError):
    """What came is no message."""


def frame(message: Any) -> bytes:
    """A message as it is sent.

    Raises:
        MessageError: it is too long.
    """
    body: bytes = msgpack.packb(message, default=_plain)
    if len(body) > LONGEST_MESSAGE:
        raise MessageError(f"expected at most {LONGEST_MESSAGE} bytes, got {len(body)}")
    return _LENGTH.pack(len(body)) + body


def body_length(head: bytes) -> int:
    """Bytes that follow a head of `HEAD_BYTES`.

    Raises:
        MessageError: too many.
    """
    length: int = _LENGTH.unpack(head)[0]
    if length > LONGEST_MESSAGE:
        raise MessageError(f"expected at most {LONGEST_MESSAGE} bytes, got {length}")
    return length


def message_of(body: bytes) -> Any:
    """The message of a body.

    Raises:
        MessageError: it is no msgpack.
    """
    try:
        return msgpack.unpackb(body)
    except (ValueError, msgpack.UnpackException) as error:
        raise MessageError(f"expected msgpack, got {type(error).__name__}") from error


def read_message(stream: BufferedIOBase) -> Any:
    """The next message of a stream that blocks; None at its end."""
    head = stream.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES:
        return None
    body = stream.read(body_length(head))
    return message_of(body)


def _plain(value: Any) -> Any:
    """A NumPy scalar as Python's own."""
    return value.item()
