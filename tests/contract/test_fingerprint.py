"""A fingerprint speaks of content and order of rows, and of nothing else."""

import hashlib
import struct

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.contract import Fingerprint, fingerprint, fingerprint_files

ROWS = st.lists(
    st.tuples(st.none() | st.text(max_size=4), st.none() | st.integers(-5, 5), st.booleans()),
    max_size=12,
)


def table(rows: list[tuple[str | None, int | None, bool]]) -> pa.Table:
    text, number, flag = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(
        {
            "text": pa.array(text, pa.string()),
            "number": pa.array(number, pa.int64()),
            "flag": pa.array(flag, pa.bool_()),
        }
    )


@given(ROWS, ROWS)
def test_it_is_equal_exactly_where_rows_are(rows, others):
    assert (fingerprint(table(rows)) == fingerprint(table(others))) == (rows == others)


@given(ROWS, st.integers(0, 12))
def test_the_cut_into_pieces_does_not_matter(rows, cut):
    full_table = table(rows)
    pieces = Fingerprint()
    pieces.update(full_table.slice(0, cut))
    pieces.update(full_table.slice(cut))
    assert pieces.hexdigest() == fingerprint(full_table)


def test_column_order_and_dictionary_encoding_do_not_matter():
    plain = table([("a", 1, True), ("b", 2, False)])
    encoded = plain.set_column(0, "text", plain["text"].dictionary_encode())
    assert fingerprint(encoded.select(["flag", "text", "number"])) == fingerprint(plain)


def test_names_and_types_matter():
    original = pa.table({"a": [1]})
    assert fingerprint(original) != fingerprint(pa.table({"b": [1]}))
    assert fingerprint(original) != fingerprint(pa.table({"a": pa.array([1], pa.int32())}))


def test_it_agrees_with_a_plain_reading_of_its_definition():
    sample = pa.table(
        {"id": ["ab", None], "at": pa.array([5, -1], pa.timestamp("us", "UTC")), "x": [0.5, None]}
    )
    sha = hashlib.sha256
    valid, none = sha(b"\x01\x00").hexdigest(), sha().hexdigest()
    columns = [
        ("at", "timestamp[us, tz=UTC]", sha(b"\x01\x01"), sha(struct.pack("<qq", 5, -1)), sha()),
        ("id", "string", valid, sha(struct.pack("<ii", 2, 0)), sha(b"ab")),
        ("x", "double", valid, sha(struct.pack("<dd", 0.5, 0.0)), none),
    ]
    total = sha(b"rows 2\n")
    for name, kind, *parts in columns:
        digests = " ".join(part if isinstance(part, str) else part.hexdigest() for part in parts)
        total.update(f"{len(name)} {name} {kind} {digests}\n".encode())
    assert fingerprint(sample) == total.hexdigest()


def test_pieces_of_different_columns_are_refused():
    pieces = Fingerprint()
    pieces.update(pa.table({"a": [1]}))
    with pytest.raises(ValueError, match="same columns"):
        pieces.update(pa.table({"b": [1]}))
    with pytest.raises(ValueError, match="column 'a' is string here and int64"):
        pieces.update(pa.table({"a": ["x"]}))


def test_files_count_by_content_whatever_their_order_and_name(tmp_path):
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path, text in zip(paths, ("one", "two", "one"), strict=True):
        path.write_text(text)
    assert fingerprint_files(paths[:2]) == fingerprint_files([paths[1], paths[2]])
    assert fingerprint_files(paths[:2]) != fingerprint_files(paths)
