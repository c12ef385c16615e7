"""Text and numbers into typed values; what cannot be read becomes null and is reported."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from lib.contract.coercion import nan_to_null, plain
from lib.contract.reason import Mask
from lib.contract.row_check import as_mask

Fault = tuple[Mask, str]
Converted = tuple[pa.Array, list[Fault]]

_WHOLE = r"^[+-]?\d{1,18}$"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
_LARGEST_EXACT = 2.0**53


def cast_or_null(values: pa.Array, wanted: pa.DataType, safe: bool = True) -> pa.Array:
    """`values.cast(wanted)`, null where a single value cannot be cast.

    Arrow refuses a whole array for one bad value; halving finds the bad ones, so a few of them
    cost little.
    """
    try:
        return values.cast(wanted, safe=safe)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        if len(values) <= 1:
            return pa.nulls(len(values), wanted)
    middle = len(values) // 2
    halves = (values.slice(0, middle), values.slice(middle))
    return pa.concat_arrays([cast_or_null(half, wanted, safe) for half in halves])


def lost(before: pa.Array, after: pa.Array) -> Mask:
    """Rows that had a value before and have none after."""
    return as_mask(pc.and_(pc.is_valid(before), pc.is_null(after)))


def matching(texts: pa.Array, pattern: str) -> pa.Array:
    """`texts`, null where the pattern does not match."""
    hit = pc.match_substring_regex(texts, pattern)
    return pc.if_else(hit, texts, pa.scalar(None, type=texts.type))


def to_text(name: str, raw: pa.Array) -> Converted:
    """Identifiers and categories as text; whole floats (17850.0) lose their decimal part.

    A float that is not whole cannot be an identifier and is a fault.
    """
    raw = plain(raw)
    if pat.is_string(raw.type):
        return raw, []
    if pat.is_binary(raw.type) or pat.is_large_binary(raw.type):
        texts = cast_or_null(raw, pa.string())
        return texts, [(lost(raw, texts), f"{name}: not UTF-8 text")]
    if pat.is_floating(raw.type):
        raw = nan_to_null(raw)
        whole, faults = to_whole(name, raw)
        return whole.cast(pa.string()), faults
    return raw.cast(pa.string()), []


def to_whole(name: str, raw: pa.Array) -> Converted:
    """Whole numbers as int64; fractions and unreadable text are faults, never rounded."""
    raw = plain(raw)
    fault = f"{name}: not a whole number"
    if pat.is_string(raw.type):
        whole = cast_or_null(matching(pc.ascii_trim_whitespace(raw), _WHOLE), pa.int64())
        return whole, [(lost(raw, whole), fault)]
    if pat.is_floating(raw.type):
        raw = nan_to_null(raw.cast(pa.float64()))
        exact = pc.and_(pc.less(pc.abs(raw), _LARGEST_EXACT), pc.equal(raw, pc.trunc(raw)))
        raw, before = pc.if_else(exact, raw, pa.scalar(None, type=raw.type)), raw
        return raw.cast(pa.int64()), [(lost(before, raw), fault)]
    whole = cast_or_null(raw, pa.int64())
    return whole, [(lost(raw, whole), fault)]


def to_number(name: str, raw: pa.Array) -> Converted:
    """Numbers as float64; unreadable text is a fault, NaN passes on for the contract to judge."""
    raw = plain(raw)
    if pat.is_string(raw.type):
        texts = matching(pc.ascii_trim_whitespace(raw), _NUMBER)
        numbers = cast_or_null(texts, pa.float64())
        return numbers, [(lost(raw, numbers), f"{name}: not a number")]
    return cast_or_null(raw, pa.float64(), safe=False), []


def to_numbers(name: str, raw: pa.Array) -> Converted:
    """Lists of numbers as lists of float64; anything else is a fault, a null among them NaN."""
    raw = plain(raw)
    wanted = pa.list_(pa.float64())
    if pat.is_list(raw.type) or pat.is_large_list(raw.type) or pat.is_fixed_size_list(raw.type):
        return raw.cast(wanted, safe=False), []
    missing = pa.nulls(len(raw), wanted)
    return missing, [(lost(raw, missing), f"{name}: not a list of numbers")]


def to_bytes(name: str, raw: pa.Array) -> Converted:
    """Encoded images and videos as they are; anything that is no bytes is a fault."""
    if pat.is_binary(raw.type) or pat.is_large_binary(raw.type) or pat.is_null(raw.type):
        return raw.cast(pa.large_binary()), []
    missing = pa.nulls(len(raw), pa.large_binary())
    return missing, [(lost(raw, missing), f"{name}: not bytes")]


def to_flag(name: str, raw: pa.Array) -> Converted:
    """`true` and `false` (any case) as booleans; anything else is a fault."""
    raw = plain(raw)
    if pat.is_boolean(raw.type):
        return raw, []
    texts = pc.utf8_lower(raw.cast(pa.string()))
    known = pc.is_in(texts, value_set=pa.array(["true", "false"]))
    flags = pc.if_else(known, pc.equal(texts, "true"), pa.scalar(None, type=pa.bool_()))
    return flags, [(lost(raw, flags), f"{name}: neither true nor false")]


def without(raw: pa.Array, missing: tuple[str, ...]) -> pa.Array:
    """`raw` with nulls where its text is one of `missing` ("", "NA", "-1")."""
    if not missing or pat.is_null(raw.type):
        return raw
    texts, _ = to_text("", raw)
    gone = pc.is_in(texts, value_set=pa.array(missing, type=pa.string()))
    keep = ~gone.to_numpy(zero_copy_only=False)
    return pc.if_else(pa.array(np.asarray(keep)), raw, pa.scalar(None, type=raw.type))
