"""JSON that is read in pieces says what it says read at once; what is no JSON is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.concurrency.piecewise_json import read_json_in_pieces, release_in_pieces
from tests.concurrency.tiny_pieces import tiny_pieces

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.lists(st.integers()),
    max_leaves=40,
)
INDENTS = st.sampled_from([None, 0, 3])
SIGNS = ['"', "]", "}", ",", ":", "[", "{", "x", "1", "\\", r"\ud800", r"\ud83d\ude00"]
_tiny_pieces = tiny_pieces(3, 9)


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, whose names must differ."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name comes twice")
    return dict(pairs)


def read_at_once(text: str) -> Any:
    """The same by a parser that accepts more, but for what is refused on purpose."""
    value = json.loads(text, object_pairs_hook=unique)
    json.dumps(value, ensure_ascii=False).encode()
    return value


@given(VALUES, INDENTS, st.booleans())
def test_values_are_the_same_as_read_at_once(value: Any, indent: int | None, ascii_only: bool):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert read_json_in_pieces(f" \n{text}\t ".encode()) == value


@given(VALUES, st.integers(0, 400), st.sampled_from(SIGNS))
def test_what_is_no_json_is_refused_as_read_at_once(value: Any, position: int, sign: str):
    text = json.dumps(value)
    changed = text[: position % (len(text) + 1)] + sign + text[position % (len(text) + 1) :]
    for damaged in (changed, text[: position % len(text)]):
        try:
            expected = read_at_once(damaged)
        except ValueError:
            with pytest.raises(ValueError, match=r"."):
                read_json_in_pieces(damaged.encode())
        else:
            assert read_json_in_pieces(damaged.encode()) == expected


@pytest.mark.parametrize("around", ["{}", "[{}]", '{{"a": {}}}', "[{}, [1, 2, 3, 4, 5, 6]]"])
def test_a_name_that_comes_twice_is_refused(around: str):
    for inner in ('{"b": 1, "b": 1}', '{"b": [1, 2, 3, 4], "c": [5, 6, 7], "b": [8, 9, 10]}'):
        with pytest.raises(ValueError, match="once"):
            read_json_in_pieces(around.format(inner).encode())


@pytest.mark.parametrize(
    "text", [r"\ud800", r"\uDC00", r"\ude00\ud83d", r"\ud83d x", r"\ud83d\\ude00"]
)
def test_half_of_a_surrogate_pair_is_refused(text: str):
    for body in (f'["{text}"]', f'{{"{text}": 1}}'):
        with pytest.raises(ValueError, match="surrogate"):
            read_json_in_pieces(body.encode())


def test_whole_surrogate_pairs_and_escaped_backslashes_are_read():
    text = r'["\ud83d\ude00", "\\ud800", "\ud7ff", "\uD83D\uDE00\n"]'
    assert read_json_in_pieces(text.encode()) == ["😀", r"\ud800", "\ud7ff", "😀\n"]


def test_long_lists_of_numbers_are_whole():
    numbers = [k / 7 for k in range(50_000)]
    assert read_json_in_pieces(json.dumps({"a": [numbers, numbers]}).encode()) == {
        "a": [numbers, numbers]
    }


def test_what_is_too_deep_is_refused():
    with pytest.raises(ValueError, match="too deep"):
        read_json_in_pieces(b"[" * 100_000)


def test_what_is_released_is_empty():
    rows: list[Any] = [{"a": [1] * 3} for _ in range(2_000)]
    value = {"rows": rows, "few": [[1, 2]]}
    release_in_pieces(value)
    assert value == {"rows": [], "few": []}
