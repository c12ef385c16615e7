"""Lists of numbers that are written as text: a JSON list, or numbers with separators."""

import pyarrow as pa
import pyarrow.compute as pc

from lib.contract.reason import Mask
from lib.contract.row_check import as_mask

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
_MISSING = pa.array(["null", "nan", "NaN", "None"])


def read_number_lists(texts: pa.Array) -> tuple[pa.Array, Mask]:
    """Lists of float64 of `[1, 2.5]`, `1;2.5`, `1|2.5`, `1,2.5` or `1 2.5`.

    Commas separate numbers, unless semicolons or bars do. `null` and `NaN` among the numbers are
    NaN, an empty text is an empty list.

    Returns:
        the lists, null where the text is null or cannot be read, and where it cannot be read.
    """
    plain = pc.ascii_trim(texts, characters=" \t\r\n[]")
    barred = pc.match_substring_regex(plain, "[;|]").fill_null(False)
    spaced = pc.if_else(
        barred,
        pc.replace_substring_regex(plain, r"\s*[;|]\s*", " "),
        pc.replace_substring_regex(plain, r"\s*,\s*", " "),
    )
    tokens = pc.split_pattern_regex(spaced, r"\s+")
    flat, owners = tokens.flatten(), pc.list_parent_indices(tokens)
    missing = pc.is_in(flat, value_set=_MISSING)
    fits = pc.or_(missing, pc.match_substring_regex(flat, _NUMBER))
    blank = pc.equal(spaced, "").fill_null(False)
    bad = pc.is_in(
        pa.array(range(len(texts)), pa.int64()),
        value_set=pc.cast(owners, pa.int64()).filter(pc.invert(fits)),
    )
    gaps = pc.match_substring_regex(plain, r"[;,|]\s*[;,|]").fill_null(False)
    unreadable = pc.and_(pc.or_(gaps, pc.and_(bad, pc.invert(blank))), pc.is_valid(texts))
    numbers = pc.if_else(missing, "nan", pc.if_else(fits, flat, "nan")).cast(pa.float64())
    lists = pa.ListArray.from_arrays(tokens.offsets, numbers)
    empty = pa.array([[]], pa.list_(pa.float64()))[0]
    lists = _where(blank, empty, lists)
    is_null = pc.or_(unreadable, pc.is_null(texts))
    return _where(is_null, pa.scalar(None, lists.type), lists), as_mask(unreadable)


def _where(mask: pa.Array, value: pa.Scalar, lists: pa.Array) -> pa.Array:
    """`value` where the mask holds; Arrow's `if_else` knows lists."""
    return pc.if_else(mask, value, lists)
