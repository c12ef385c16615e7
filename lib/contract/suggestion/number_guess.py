"""How the numbers of a text column are written, guessed from the texts themselves."""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace

import pyarrow as pa

from lib.contract.cast import NUMBER, cast_or_null, matching
from lib.contract.money import MINOR_DIGITS
from lib.contract.number_text import PLAIN, NumberFormat
from lib.contract.suggestion.entry import Value

_SHARE = 0.97
_FORMATS = (
    *((".", None), (",", None), (".", ","), (",", "."), (",", " "), (".", " ")),
    *((".", "'"), (",", "'"), (".", "_")),
)
_SIGN = re.compile(r"([^\d\s.,+()'_\u2212-]{1,4})")
_SIGN_WORDS = frozenset(("kr", "zł", "Kč", "Rs", "R$", "US$", "A$", "C$", "%", "‰", "°C", "°F"))
_CODE = re.compile(r"[+-]?0\d+")
_THREES = re.compile(r"[+-]?\d{1,3}([.,]\d{3})+")


@dataclass(frozen=True)
class NumberGuess:
    """How numbers are written.

    Attributes:
        form: of all of them.
        values: numbers in the order of the texts, null where one is none.
        is_unsure: the same texts would be other numbers with another mark.
    """

    form: NumberFormat
    values: pa.Array
    is_unsure: bool = False


def guess_number(texts: pa.Array, usual: NumberFormat = PLAIN) -> NumberGuess | None:
    """How numbers are written in texts, None where they are none.

    Args:
        texts: without null.
        usual: in this file; taken where it fits.
    """
    few = texts.slice(0, 2_000).to_pylist()
    if not few or any(_CODE.fullmatch(text.strip()) for text in few):
        return None
    if sum(any(letter.isdigit() for letter in text) for text in few) < _SHARE * len(few):
        return None
    signs = _signs(few)
    negative = _negative(few)
    forms = [usual, *(NumberFormat(mark, thousands) for mark, thousands in _FORMATS)]
    for form in dict.fromkeys(forms):
        trial = replace(form, signs=signs, negative=negative)
        values = read_numbers(texts.slice(0, 2_000), trial)
        if values.null_count > (1 - _SHARE) * len(values):
            continue
        every = read_numbers(texts, trial)
        if every.null_count <= (1 - _SHARE) * len(every):
            return NumberGuess(trial, every, _is_unsure(few, trial, usual))
    return None


def read_numbers(texts: pa.Array, form: NumberFormat) -> pa.Array:
    """Numbers of texts, null where one is none."""
    canonical = form.canonical(texts)
    return cast_or_null(matching(canonical, NUMBER), pa.float64())


def number_keys(form: NumberFormat, usual: NumberFormat) -> dict[str, Value]:
    """The keys of a column that say how its numbers are written."""
    keys: dict[str, Value] = {}
    if form.decimal_mark != usual.decimal_mark or (form.thousands and not usual.thousands):
        if form.decimal_mark != usual.decimal_mark:
            keys["decimal_mark"] = form.decimal_mark
        if form.thousands:
            keys["thousands"] = form.thousands
    if form.signs:
        keys["sign"] = list(form.signs)
    if form.negative:
        keys["negative"] = form.negative
    return keys


def _signs(texts: list[str]) -> tuple[str, ...]:
    """What stands beside the digits of most texts and is no part of the number."""
    counts: Counter[str] = Counter()
    for text in texts:
        stripped = text.strip()
        if re.fullmatch(r"[+-]?[\d.,' _]*[eE][+-]?\d+", stripped):
            continue
        counts.update(set(_SIGN.findall(stripped)))
    if not counts or sum(counts.values()) < 0.5 * len(texts):
        return ()
    signs = [sign for sign, _ in counts.most_common(3)]
    return tuple(signs) if all(_is_sign(sign) for sign in signs) else ()


def _is_sign(text: str) -> bool:
    """Whether a text beside digits means a currency or a share, and is no code's first letters."""
    is_symbol = len(text) == 1 and unicodedata.category(text) in ("Sc", "So")
    return is_symbol or text in _SIGN_WORDS or text in MINOR_DIGITS


def _negative(texts: list[str]) -> str | None:
    stripped = [text.strip() for text in texts]
    if any(text.startswith("(") and text.endswith(")") for text in stripped):
        return "parentheses"
    return "trailing" if any(re.fullmatch(r".*\d-", text) for text in stripped) else None


def _is_unsure(texts: list[str], form: NumberFormat, usual: NumberFormat) -> bool:
    """Whether all marks stand before three digits: 1,500 is 1500 or 1.5."""
    marked = [text.strip() for text in texts if "," in text or "." in text]
    if not marked or form.signs:
        return False
    if not all(_THREES.fullmatch(text) for text in marked):
        return False
    return not (form == usual == PLAIN) or any(text.count(".") > 1 for text in marked)
