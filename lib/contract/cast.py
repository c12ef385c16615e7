"""Text and numbers into typed values; what cannot be read becomes null and is reported."""

import re

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from lib.contract.checked import Mask
from lib.contract.coercion import nan_to_null, plain
from lib.contract.declaration import ContractError
from lib.contract.number_text import PLAIN, NumberFormat, read_number_lists
from lib.contract.row_check import Fault, as_mask

Converted = tuple[pa.Array, list[Fault]]

_DIGITS = r"^[+-]?\d{1,18}$"
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
_POINT_ZERO = r"\.0*$"
_PRINTED_WHOLE = r"^[+-]?\d{1,15}\.0$"
_FIRST_FEW = 32
_LARGEST_EXACT = 2.0**53
_TRUE = ("true", "t", "yes", "y", "on", "1", "1.0")
_FALSE = ("false", "f", "no", "n", "off", "0", "0.0")
_DATE = r"^\d{4}-\d{2}-\d{2}$"
_MIDNIGHT = r"^(\d{4}-\d{2}-\d{2})[T ]00:00(:00(\.0{1,9})?)?(Z|\+00(:?00)?| UTC)?$"


def cast_or_null(values: pa.Array, target_type: pa.DataType, safe: bool = True) -> pa.Array:
    """`values.cast(target_type)`, null where a single value cannot be cast.

    Arrow refuses a whole array for one bad value; halving finds the bad ones, so a few of them
    cost little.
    """
    try:
        return values.cast(target_type, safe=safe)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        if len(values) <= 1:
            return pa.nulls(len(values), target_type)
    middle = len(values) // 2
    halves = (values.slice(0, middle), values.slice(middle))
    return pa.concat_arrays([cast_or_null(half, target_type, safe) for half in halves])


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

    Raises:
        ContractError: a value of the column is not one text (lists, structures).
    """
    raw = plain(raw)
    if pat.is_string(raw.type):
        return raw, []
    if pat.is_fixed_size_binary(raw.type) or pat.is_binary_view(raw.type):
        raw = raw.cast(pa.binary())
    if pat.is_binary(raw.type) or pat.is_large_binary(raw.type):
        texts = cast_or_null(raw, pa.string())
        return texts, [(lost(raw, texts), f"{name}: not UTF-8 text")]
    if pat.is_floating(raw.type):
        raw = nan_to_null(raw)
        integers, faults = to_whole(name, raw)
        return integers.cast(pa.string()), faults
    if pat.is_nested(raw.type):
        raise ContractError(
            f"column '{name}': expected text or numbers, came {raw.type}; map another column"
        )
    if pat.is_decimal(raw.type):
        return pc.replace_substring_regex(raw.cast(pa.string()), _POINT_ZERO, ""), []
    return raw.cast(pa.string()), []


def whole_ids(texts: pa.Array) -> tuple[pa.Array, int]:
    """Identifiers as they were before a float printed them: 1001.0 is 1001.

    pandas turns a column of whole numbers into floats as soon as one is missing. So only a column
    in which every text is a whole number with `.0` is changed: one other text, and `1.0` may be
    an identifier of its own.

    Returns:
        The texts, and how many of them were changed (all or none).
    """
    non_null = texts.drop_null()
    for some in (non_null.slice(0, _FIRST_FEW), non_null):
        if not len(some) or not pc.all(pc.match_substring_regex(some, _PRINTED_WHOLE)).as_py():
            return texts, 0
    return pc.replace_substring_regex(texts, _POINT_ZERO, ""), len(non_null)


def whole_text(text: str) -> str:
    """The text of a whole number without the `.0` that a float printed it with.

    >>> whole_text("12.0"), whole_text("1.2.0")
    ('12', '1.2.0')
    """
    return text[:-2] if re.fullmatch(_PRINTED_WHOLE, text) else text


def to_whole(name: str, raw: pa.Array, number: NumberFormat = PLAIN) -> Converted:
    """Whole numbers as int64; fractions and unreadable text are faults, never rounded.

    A float or the text of one (12.0, 1e3) is whole where nothing stands behind its point.
    """
    raw = plain(raw)
    fault = f"{name}: not a whole number"
    if pat.is_string(raw.type):
        trimmed = pc.ascii_trim_whitespace(raw)
        texts = number.canonical(trimmed)
        integers = cast_or_null(matching(texts, _DIGITS), pa.int64())
        if integers.null_count > raw.null_count:
            rest = pc.if_else(pc.is_null(integers), texts, pa.scalar(None, type=texts.type))
            digits = matching(pc.replace_substring_regex(rest, _POINT_ZERO, ""), _DIGITS)
            floats = cast_or_null(matching(rest, NUMBER), pa.float64())
            printed = cast_or_null(digits, pa.int64())
            integers = pc.coalesce(integers, printed, _exact(floats))
        return integers, number.fault(trimmed, lost(raw, integers), fault)
    if pat.is_floating(raw.type):
        raw = nan_to_null(raw.cast(pa.float64()))
        integers = _exact(raw)
        return integers, [(lost(raw, integers), fault)]
    integers = cast_or_null(raw, pa.int64())
    return integers, [(lost(raw, integers), fault)]


def _exact(floats: pa.Array) -> pa.Array:
    is_exact = pc.and_(pc.less(pc.abs(floats), _LARGEST_EXACT), pc.equal(floats, pc.trunc(floats)))
    return pc.if_else(is_exact, floats, pa.scalar(None, type=floats.type)).cast(pa.int64())


def to_number(name: str, raw: pa.Array, number: NumberFormat = PLAIN) -> Converted:
    """Numbers as float64; unreadable text is a fault, NaN passes on for the contract to judge."""
    raw = plain(raw)
    if pat.is_string(raw.type):
        trimmed = pc.ascii_trim_whitespace(raw)
        texts = matching(number.canonical(trimmed), NUMBER)
        numbers = cast_or_null(texts, pa.float64())
        return numbers, number.fault(trimmed, lost(raw, numbers), f"{name}: not a number")
    numbers = cast_or_null(raw, pa.float64(), safe=False)
    return numbers, [(lost(raw, numbers), f"{name}: not a number")]


def to_numbers(name: str, raw: pa.Array) -> Converted:
    """Lists of numbers, or text of them, as lists of float64; a null among them is NaN.

    Anything else is a fault.
    """
    raw = plain(raw)
    list_type = pa.list_(pa.float64())
    if pat.is_list(raw.type) or pat.is_large_list(raw.type) or pat.is_fixed_size_list(raw.type):
        return raw.cast(list_type, safe=False), []
    fault = f"{name}: not a list of numbers"
    if pat.is_string(raw.type):
        lists, unreadable = read_number_lists(raw)
        return lists, [(unreadable, fault)]
    missing = pa.nulls(len(raw), list_type)
    return missing, [(lost(raw, missing), fault)]


def to_bytes(name: str, raw: pa.Array) -> Converted:
    """Encoded images and videos as they are; anything that is no bytes is a fault."""
    if pat.is_binary(raw.type) or pat.is_large_binary(raw.type) or pat.is_null(raw.type):
        return raw.cast(pa.large_binary()), []
    missing = pa.nulls(len(raw), pa.large_binary())
    return missing, [(lost(raw, missing), f"{name}: not bytes")]


def to_flag(name: str, raw: pa.Array) -> Converted:
    """`true`, `t`, `yes`, `y`, `1` and their opposites (any case) as booleans; else a fault."""
    raw = plain(raw)
    if pat.is_boolean(raw.type):
        return raw, []
    texts = pc.utf8_lower(pc.ascii_trim_whitespace(to_text(name, raw)[0]))
    yes, no = (
        as_mask(pc.is_in(texts, value_set=pa.array(spellings))) for spellings in (_TRUE, _FALSE)
    )
    flags = pa.array(yes, mask=~(yes | no))
    fault = f"{name}: neither true nor false; say under 'values' what is which"
    return flags, [(lost(raw, flags), fault)]


def without(raw: pa.Array, missing: tuple[str, ...]) -> pa.Array:
    """`raw` with nulls where its text is one of `missing` ("", "NA", "-1").

    A day ("9999-12-31") is also the midnight of that day, however a time is written or stored.
    """
    if not missing or pat.is_null(raw.type):
        return raw
    texts, _ = to_text("", raw)
    is_missing = as_mask(pc.is_in(texts, value_set=pa.array(missing, type=pa.string())))
    days = [text for text in missing if re.fullmatch(_DATE, text)]
    if days:
        midnights = pc.replace_substring_regex(texts, _MIDNIGHT, r"\1")
        is_missing |= as_mask(pc.is_in(midnights, value_set=pa.array(days)))
    return pc.if_else(pa.array(~is_missing), raw, pa.scalar(None, type=raw.type))
