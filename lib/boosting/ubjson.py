"""Universal Binary JSON, draft 12, as far as XGBoost writes it; see https://ubjson.org.

XGBoost's own reader follows lengths and indices of a file without checking them. This one reads
the same bytes within their bounds, so that the content can be checked first.
"""

import struct
from typing import Any

import numpy as np

from lib.boosting.node_check import BoosterError

_NUMBERS = {b"i": ">b", b"U": ">B", b"I": ">h", b"l": ">i", b"L": ">q", b"d": ">f", b"D": ">d"}
_ARRAYS = {
    b"i": ">i1",
    b"U": ">u1",
    b"I": ">i2",
    b"l": ">i4",
    b"L": ">i8",
    b"d": ">f4",
    b"D": ">f8",
}
_LENGTHS = frozenset({b"i", b"U", b"I", b"l", b"L"})
_CONSTANTS = {b"Z": None, b"T": True, b"F": False}
_DEEPEST = 16
_MOST_VALUES = 2_000_000


def decode(content: bytes) -> Any:
    """The value that `content` holds: dict, list, NumPy array, text, number, bool or None.

    Arrays of one numeric type are NumPy arrays of it.

    Raises:
        BoosterError: cut short, longer than its value, nested deeper than 16, of more than two
            million untyped values, a key twice, or an unknown marker.
    """
    reader = _Reader(content)
    value = reader.value(reader.take(1), 0)
    if reader.position != len(content):
        raise BoosterError(f"byte {reader.position:,}: expected the end of the file")
    return value


class _Reader:
    """A position in a file."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._values = 0
        self.position = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        end = self.position + size
        if size < 0 or end > len(self._content):
            raise BoosterError(
                f"byte {self.position:,}: expected {size:,} bytes, "
                f"{len(self._content) - self.position:,} are left"
            )
        content = self._content[self.position : end]
        self.position = end
        return content

    def value(self, marker: bytes, depth: int) -> Any:
        """The value that follows `marker`."""
        self._values += 1
        if depth > _DEEPEST or self._values > _MOST_VALUES:
            raise BoosterError(f"byte {self.position:,}: nested too deep, or too many values")
        if marker in _NUMBERS:
            return self._number(marker)
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        if marker == b"S":
            return self._text()
        if marker == b"{":
            return self._object(depth)
        if marker == b"[":
            return self._array(depth)
        raise BoosterError(f"byte {self.position - 1:,}: unknown marker {marker!r}")

    def _number(self, marker: bytes) -> Any:
        form = _NUMBERS[marker]
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def _length(self) -> int:
        marker = self.take(1)
        if marker not in _LENGTHS:
            raise BoosterError(f"byte {self.position - 1:,}: expected a length, got {marker!r}")
        return int(self._number(marker))

    def _text(self) -> str:
        try:
            return self.take(self._length()).decode("utf-8")
        except UnicodeDecodeError as error:
            raise BoosterError(f"byte {self.position:,}: text is not UTF-8") from error

    def _object(self, depth: int) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        while self._peek() != b"}":
            key = self._text()
            if key in entries:
                raise BoosterError(f"byte {self.position:,}: key {key!r:.40} stands twice")
            entries[key] = self.value(self.take(1), depth + 1)
        self.take(1)
        return entries

    def _array(self, depth: int) -> Any:
        marker = None
        if self._peek() == b"$":
            self.take(1)
            marker = self.take(1)
        if self._peek() == b"#":
            self.take(1)
            return self._counted(marker, self._length(), depth)
        if marker is not None:
            raise BoosterError(f"byte {self.position:,}: expected the length of a typed array")
        values = []
        while self._peek() != b"]":
            values.append(self.value(self.take(1), depth + 1))
        self.take(1)
        return values

    def _counted(self, marker: bytes | None, length: int, depth: int) -> Any:
        if marker is None:
            return [self.value(self.take(1), depth + 1) for _ in range(length)]
        if marker not in _ARRAYS:
            raise BoosterError(f"byte {self.position:,}: unknown type {marker!r} of an array")
        kind = np.dtype(_ARRAYS[marker])
        return np.frombuffer(self.take(length * kind.itemsize), dtype=kind)

    def _peek(self) -> bytes:
        if self.position >= len(self._content):
            raise BoosterError(f"byte {self.position:,}: the file ends within a list or section")
        return self._content[self.position : self.position + 1]


def encode(value: Any) -> bytes:
    """The bytes of dicts, lists, texts, whole numbers and NumPy arrays, as XGBoost reads them."""
    if isinstance(value, dict):
        entries = (_text_bytes(key) + encode(entry) for key, entry in value.items())
        return b"{" + b"".join(entries) + b"}"
    if isinstance(value, list):
        return b"[#L" + struct.pack(">q", len(value)) + b"".join(map(encode, value))
    if isinstance(value, np.ndarray):
        marker = next(mark for mark, kind in _ARRAYS.items() if np.dtype(kind) == value.dtype)
        return b"[$" + marker + b"#L" + struct.pack(">q", len(value)) + value.tobytes()
    if isinstance(value, str):
        return b"S" + _text_bytes(value)
    return b"L" + struct.pack(">q", value)


def _text_bytes(text: str) -> bytes:
    content = text.encode()
    return b"L" + struct.pack(">q", len(content)) + content
