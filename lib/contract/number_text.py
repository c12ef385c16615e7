"""How numbers are written as text, with marks and signs, and how lists of them are."""

import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from lib.contract.checked import Mask
from lib.contract.row_check import as_mask

DECIMAL_MARKS = (".", ",")
THOUSANDS = (",", ".", " ", "'", "_")
NEGATIVES = ("parentheses", "trailing")

# Spaces and apostrophes have typographic forms: no-break, narrow no-break, thin; right quote.
_SEPARATORS = {" ": "[ \u00a0\u202f\u2009]", "'": "['\u2019]"}
_MINUS = "\u2212"
_SPACE = "[ \u00a0\u202f\u2009]*"
_PUNCTUATED = "[0-9][.,' _\u00a0\u202f\u2009\u2019][0-9]"
_SIGNED = r"^[(+-]?\s*[^\d\s.,+()-]+\s*[+-]?\d|\d\s*[^\d\s.,()-]+\s*\)?$|^\(.*\)$|\d-$"


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """How the numbers of a text column are written.

    Args:
        decimal_mark: "." or ",".
        thousands: what stands between groups of digits (",", ".", " ", "'", "_"), in threes
            (1,234,567) or as in India (12,34,567); None: nothing does, and such a text is a fault.
        signs: texts beside the digits that mean nothing more, such as "$", "EUR" or "%".
        negative: "parentheses": (3.00) is -3.00; "trailing": 3.00- is; None: neither.
    """

    decimal_mark: str = "."
    thousands: str | None = None
    signs: tuple[str, ...] = ()
    negative: str | None = None

    def canonical(self, texts: pa.Array) -> pa.Array:
        """`texts` as -1234.5 would be written, null where a text is not of this form."""
        texts = _typewritten(texts)
        if self == PLAIN:
            return texts
        texts = self._without_signs(texts)
        hit = pc.match_substring_regex(texts, self._pattern())
        texts = pc.if_else(hit, texts, pa.scalar(None, type=texts.type))
        if self.thousands is not None:
            texts = pc.replace_substring_regex(texts, self._separator(), "")
        return pc.replace_substring(texts, self.decimal_mark, ".")

    def fault(self, texts: pa.Array, unread: Mask, text: str) -> list[tuple[Mask, str]]:
        """`text` for the rows of `unread`, with what to declare where that would help."""
        if not unread.any():
            return []
        other = unread & ~as_mask(pc.match_substring_regex(texts, self._pattern()))
        signed = other & as_mask(pc.match_substring_regex(texts, _SIGNED))
        punctuated = other & ~signed & as_mask(pc.match_substring_regex(texts, _PUNCTUATED))
        between = "none" if self.thousands is None else f"'{self.thousands}'"
        return [
            (signed, f"{text}; declare 'sign' or 'negative' for what is not a digit"),
            (
                punctuated,
                f"{text} with decimal_mark '{self.decimal_mark}' and thousands {between}; "
                "declare how numbers are written",
            ),
            (unread & ~punctuated & ~signed, text),
        ]

    def _separator(self) -> str:
        mark = self.thousands or ""
        return _SEPARATORS.get(mark, re.escape(mark))

    def _pattern(self) -> str:
        mark, integer_part = re.escape(self.decimal_mark), r"\d+"
        if self.thousands is not None:
            between = self._separator()
            threes = rf"\d{{1,3}}(?:{between}\d{{3}})+"
            integer_part = (
                rf"(?:{threes}|\d{{1,2}}(?:{between}\d{{2}})+{between}\d{{3}}|{integer_part})"
            )
        return rf"^[+-]?(?:{integer_part}(?:{mark}\d*)?|{mark}\d+)(?:[eE][+-]?\d{{1,3}})?$"

    def _without_signs(self, texts: pa.Array) -> pa.Array:
        if self.signs:
            signs = "|".join(re.escape(sign) for sign in sorted(self.signs, key=len, reverse=True))
            texts = pc.replace_substring_regex(
                texts, rf"^([(+-]?){_SPACE}(?:{signs}){_SPACE}", r"\1"
            )
            texts = pc.replace_substring_regex(texts, rf"{_SPACE}(?:{signs})([)-]?)$", r"\1")
        if self.negative == "parentheses":
            return pc.replace_substring_regex(texts, r"^\(([^+-].*)\)$", r"-\1")
        if self.negative == "trailing":
            return pc.replace_substring_regex(texts, r"^([^+-].*)-$", r"-\1")
        return texts


def _typewritten(texts: pa.Array) -> pa.Array:
    """`texts` with a hyphen for a typographic minus sign, and no typographic space around them."""
    if pc.all(pc.string_is_ascii(texts)).as_py() in (True, None):
        return texts
    return pc.utf8_trim_whitespace(pc.replace_substring(texts, _MINUS, "-"))


PLAIN = NumberFormat()


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
    lists = pc.if_else(blank, empty, lists)
    is_null = pc.or_(unreadable, pc.is_null(texts))
    return pc.if_else(is_null, pa.scalar(None, lists.type), lists), as_mask(unreadable)
