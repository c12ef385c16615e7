"""Words and patterns of lists as RE2 expressions over folded text."""

from collections.abc import Iterator
from typing import Any

import re2

from lib.moderation.text_matching.confusables import STANDING_FOR
from lib.moderation.text_matching.folding import fold

_BESIDE = "[^0-9a-z]"
"""What may stand beside a whole word; letters of other scripts are looked at when it is found."""

_APART = r"[\s.,\-_*~'·•/\\|]{1,3}"
"""What may stand between letters that are set apart, all of them."""

MASKS = "*#%•"
"""Signs that stand among letters, or in place of one or two."""

_MASKED_LETTERS = range(4, 25)
"""Letters of words that are found with one or two of them masked."""

_BEHIND = "[0-9]{0,4}"
"""What may be written behind a word."""

_MEMORY = 64 << 20
"""Bytes that RE2 may use for one expression."""


class PatternError(ValueError):
    """A word or pattern that cannot match as its author means it."""


def source_of(word: str | None, pattern: str | None, spaced: bool, leet: bool) -> str:
    """The RE2 expression for a word, each letter once or more, or for a pattern as it is.

    With `leet` a letter may be any of the digits and signs that stand for it, so that one sign can
    stand for two letters (1 for i and l).

    Raises:
        PatternError: nothing of the word is left after folding.
    """
    if word is None:
        return pattern or ""
    letters = _letters(word, leet)
    if not letters:
        raise PatternError("word: expected something that can be seen")
    if not spaced or len(letters) < 2:
        return "".join(f"{letter}+" for letter in letters)
    inner = [f"(?:{letter}|[{MASKS}])+" for letter in letters[1:-1]]
    within_word = "".join([f"{letters[0]}+", *inner, f"[{MASKS}]*{letters[-1]}+"])
    return f"(?:{within_word}|{_APART.join(f'{letter}+' for letter in letters)}){_BEHIND}"


def in_pieces(word: str, leet: bool) -> str:
    """The RE2 expression for all that a word in pieces may be, where `source_of` allows more.

    Signs stand among its letters, its letters stand apart, or one or two letters behind its first
    and before its last are masked.
    """
    repeated = [f"{letter}+" for letter in _letters(word, leet)]
    among = f"[{MASKS}]{{0,3}}".join(repeated)
    return f"(?:{'|'.join([among, _APART.join(repeated), *_masked(repeated)])}){_BEHIND}"


def _letters(word: str, leet: bool) -> list[str]:
    signs = STANDING_FOR if leet else {}
    return [
        f"[{letter}{re2.escape(signs[letter])}]" if letter in signs else re2.escape(letter)
        for letter in fold(word).text
    ]


def _masked(letters: list[str]) -> Iterator[str]:
    """A word with one or two letters behind its first, and before its last, masked."""
    if len(letters) not in _MASKED_LETTERS:
        return
    for count in (1, 2):
        for start in range(1, len(letters) - count):
            visible = letters[:start], letters[start + count :]
            yield "".join(visible[0]) + f"[{MASKS}]" * count + "".join(visible[1])


def check(source: str) -> None:
    """Refuse an expression that does not do what its author means.

    Raises:
        PatternError: not RE2, too large for it, matching nothing at all, or with letters that
            folded text never holds.
    """
    _check_folded(source)
    if compiled(source).search("") is not None:
        raise PatternError(f"pattern: expected to match something, got {source!r}")


def within(source: str, whole_words: bool) -> Any:
    """Compile an expression; its first group is the hit.

    Args:
        source: RE2 expression over folded text.
        whole_words: whether no letter or digit of ASCII may stand beside the hit.
    """
    return compiled(f"(?:^|{_BESIDE})({source})(?:$|{_BESIDE})" if whole_words else f"({source})")


def compiled(source: str) -> Any:
    """Compile an expression, without regard to case; a PatternError where it is not RE2."""
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        return re2.compile(source, options)
    except re2.error as error:
        message = error.args[0] if error.args else error
        message = message.decode() if isinstance(message, bytes) else message
        raise PatternError(f"pattern: expected RE2 syntax, got {source!r}: {message}") from error


def _check_folded(source: str) -> None:
    """Refuse letters beyond ASCII that folding changes: they would never match."""
    for sign in source:
        if not sign.isascii() and (plain := fold(sign).text) != sign:
            raise PatternError(
                f"pattern: folded text never holds {sign!r}; write {plain!r}"
                if plain
                else f"pattern: folded text never holds U+{ord(sign):04X}"
            )
