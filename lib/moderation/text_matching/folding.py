"""Text folded for matching, every character of it traced to where it came from.

Case is folded, compatibility forms are resolved (NFKD: full-width, mathematical, circled letters),
and what cannot be seen is dropped: zero-width and bidirectional controls, soft hyphens, variation
selectors, and the marks that stand on Latin, Greek, Cyrillic, Arabic and Hebrew letters. Marks that
spell a vowel (Devanagari, Thai, kana) stay. Each character is folded for itself, so folding a text
in pieces is folding it whole, and becomes six characters at most.
"""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lib.moderation.text_matching.confusables import confusables, without_leet


class Span(NamedTuple):
    """Characters of a text, [start, end)."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded text.

    Attributes:
        text: n characters.
        starts: int64 (n,), where in the original each character's source starts; never falls.
        ends: int64 (n,), where its source ends; never falls, always above its start.
    """

    text: str
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def original(self, start: int, end: int) -> Span:
        """The span in the original that folded characters [start, end) came from.

        Raises:
            ValueError: the span is empty or outside.
        """
        if not 0 <= start < end <= len(self.text):
            raise ValueError(f"span: expected within 0..{len(self.text)}, got {start}..{end}")
        return Span(int(self.starts[start]), int(self.ends[end - 1]))


def fold(text: str, *, alike: bool = False, leet: bool = False) -> Folded:
    """Fold a text.

    Args:
        text: any; halves of surrogate pairs become U+FFFD.
        alike: Latin letters instead of those of other scripts that look like them.
        leet: letters instead of the digits and signs that stand for them, in words ("h4te").
    """
    pieces = [_folded(character, alike) for character in text]
    counts = np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces))
    starts = np.repeat(np.arange(len(text), dtype=np.int64), counts)
    content = "".join(pieces)
    return Folded(without_leet(content) if leet else content, starts, starts + 1)


def shows(text: str | None) -> bool:
    """Whether there is anything to be seen in a text."""
    return text is not None and any(
        not (character.isspace() or _invisible(character)) for character in text
    )


@lru_cache(maxsize=65_536)
def _folded(character: str, alike: bool) -> str:
    if _invisible(character):
        return ""
    if unicodedata.category(character) == "Cs":
        return "\ufffd"
    # case once more: some forms that NFKD resolves have a case of their own
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    kept = "".join(sign for sign in plain if not (_invisible(sign) or _is_mark(sign)))[:_LONGEST]
    # a letter whose only mark is its stroke: NFKD does not take it off
    return "".join(confusables().get(sign, sign) for sign in kept) if alike else kept


_LONGEST = 6
"""Characters that one may become, as signs for a unit do. Some single signs of Arabic stand for a
whole phrase of 18, and a text of nothing else would cost many times what it is long."""

_FILLERS = {0x034F, 0x0640, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, 0x2800}
"""Letters and signs that show nothing: joiners, the stroke that stretches Arabic words, Hangul
fillers, the empty braille cell."""


def _invisible(sign: str) -> bool:
    code = ord(sign)
    return (
        unicodedata.category(sign) == "Cf"
        or code in _FILLERS
        or 0xFE00 <= code <= 0xFE0F
        or 0xE0100 <= code <= 0xE01EF
        or 0x180B <= code <= 0x180F
    )


_MARKS = (
    (0x0300, 0x036F),
    (0x0483, 0x0489),
    (0x0591, 0x05BD),
    (0x05BF, 0x05C7),
    (0x0610, 0x061A),
    (0x064B, 0x065F),
    (0x0670, 0x0670),
    (0x06D6, 0x06ED),
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x20D0, 0x20F0),
    (0xFE20, 0xFE2F),
)


def _is_mark(sign: str) -> bool:
    code = ord(sign)
    if not any(first <= code <= last for first, last in _MARKS):
        return False
    return unicodedata.category(sign) in {"Mn", "Me"}
