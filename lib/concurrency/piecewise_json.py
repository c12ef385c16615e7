"""JSON read in pieces by a thread, so that other threads and the event loop go on meanwhile.

A parser in C keeps Python's lock from the first byte to the last: 8 MiB take it 50 ms and more.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from lib.concurrency.piecewise_release import release_rows

_BLANKS = re.compile(r"[ \t\n\r]{0,65536}")
_BLANK, _ENDS = frozenset(" \t\n\r"), {"{": "},", '"': '",'}
_SURROGATES = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_PAIR_LENGTH, _STARTS = 12, frozenset("89abcdefABCDEF")
_SHORT, _BATCH, _MOST_WALKED, _DEEPEST = 4_096, 65_536, 1_000, 16


def _object_of(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("expected each name of an object once")
    return values


_DECODER = json.JSONDecoder(object_pairs_hook=_object_of)


def read_json_in_pieces(body: bytes) -> Any:
    """What a body of JSON says, the same as `json.loads`, which accepts more.

    Raises:
        ValueError: it is no JSON or no UTF-8, an object has a name twice, or half of a surrogate
            pair is escaped.
    """
    text = body.decode()
    if _has_half_pair(text):
        raise ValueError("expected whole surrogate pairs")
    try:
        value, end = _value(text, _skip(text, 0), 0)
        if _skip(text, end) != len(text):
            raise ValueError(f"expected the end of the text at {end}")
    except (IndexError, RecursionError) as error:
        raise ValueError("expected JSON that is complete and not too deep") from error
    return value


def release_in_pieces(value: Any, depth: int = 0) -> None:
    """Frees what `read_json_in_pieces` returned; nothing else may read it any more."""
    if depth >= _DEEPEST:
        return
    if isinstance(value, dict):
        for part in value.values():
            release_in_pieces(part, depth + 1)
    elif isinstance(value, list):
        if len(value) <= _MOST_WALKED:
            for part in value:
                release_in_pieces(part, depth + 1)
        release_rows(value)


def _value(text: str, at: int, depth: int) -> tuple[Any, int]:
    """The value that begins at a place, and where it ends; a short one is read by one call."""
    sign = text[at]
    if depth < _DEEPEST and sign in "[{":
        short = _short_value(text, at)
        if short is not None:
            return short
        return _list(text, at, depth) if sign == "[" else _object(text, at, depth)
    value: tuple[Any, int] = _DECODER.raw_decode(text, at)
    return value


def _short_value(text: str, at: int) -> tuple[Any, int] | None:
    """A list or object that ends soon, and where; None for others."""
    try:
        value, length = _DECODER.raw_decode(text[at : at + _SHORT])
    except ValueError:
        return None
    return value, at + length


def _list(text: str, at: int, depth: int) -> tuple[list[Any], int]:
    values: list[Any] = []
    at, in_batches = _skip(text, at + 1), True
    if text[at] == "]":
        return values, at + 1
    while True:
        batch = _batch(text, at) if in_batches else None
        if batch is None:  # not tried again: elements hold lists, or texts with brackets
            in_batches = False
            value, at = _value(text, at, depth + 1)
            values.append(value)
        else:
            values += batch[0]
            at = batch[1]
        at = _skip(text, at)
        if text[at] == "]":
            return values, at + 1
        at = _skip(text, _after(",", text, at))


def _batch(text: str, at: int) -> tuple[list[Any], int] | None:
    """The next elements of a list, at least one, and where the last one ends.

    They end where a comma or the list's end seems to follow an element. That is so where they are
    complete by themselves: a piece that ends within an element cannot be read.
    """
    end = text.find("]", at, at + _BATCH)
    if end < 0:
        mark = _ENDS.get(text[at], ",")
        start = text.rfind(mark, at, at + _BATCH)
        end = at if start < 0 else start + len(mark) - 1
    try:
        elements: list[Any] = _DECODER.decode(f"[{text[at:end]}]")
    except (ValueError, RecursionError):
        return None
    return (elements, end) if elements else None


def _object(text: str, at: int, depth: int) -> tuple[dict[str, Any], int]:
    values: dict[str, Any] = {}
    at = _skip(text, at + 1)
    if text[at] == "}":
        return values, at + 1
    while True:
        if text[at] != '"':
            raise ValueError(f"expected a name at {at}")
        name, at = _DECODER.raw_decode(text, at)
        if name in values:
            raise ValueError(f"expected each name of an object once, got {name!r} again")
        at = _skip(text, _after(":", text, _skip(text, at)))
        values[name], at = _value(text, at, depth + 1)
        at = _skip(text, at)
        if text[at] == "}":
            return values, at + 1
        at = _skip(text, _after(",", text, at))


def _after(sign: str, text: str, at: int) -> int:
    if text[at] != sign:
        raise ValueError(f"expected {sign!r} at {at}")
    return at + 1


def _skip(text: str, at: int) -> int:
    """The next place that is not blank; blanks of megabytes are skipped in pieces."""
    while at < len(text) and text[at] in _BLANK:
        match = _BLANKS.match(text, at)
        at = at + 1 if match is None else match.end()
    return at


def _has_half_pair(text: str) -> bool:
    """Whether an escape is one half of a surrogate pair without the other: no character."""
    if "\\ud" not in text and "\\uD" not in text:
        return False
    at = text.find("\\")
    while at >= 0:
        if text[at + 1 : at + 3] not in {"ud", "uD"} or text[at + 3 : at + 4] not in _STARTS:
            at += 2
        elif _SURROGATES.match(text, at):
            at += _PAIR_LENGTH
        else:
            return True
        at = text.find("\\", at)
    return False
