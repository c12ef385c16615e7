"""Words and patterns of lists as RE2 expressions over folded text."""

from __future__ import annotations

from typing import Any

import re2

from lib.moderation.wording.folding import fold
from lib.moderation.wording.lookalikes import STANDING_FOR

_BESIDE = "[^0-9a-z]"
"""What may stand beside a whole word; letters of other scripts are looked at when it is found."""

_APART = r"[\s.,\-_*~'·•/\\|]{1,3}"
"""What may stand between letters that are set apart."""

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
    signs = STANDING_FOR if leet else {}
    letters = [
        f"[{one}{re2.escape(signs[one])}]" if one in signs else re2.escape(one)
        for one in fold(word).text
    ]
    if not letters:
        raise PatternError("word: expected something that can be seen")
    stretched = "".join(f"{one}+" for one in letters)
    if not spaced or len(letters) < 2:
        return stretched
    return f"{stretched}|{_APART.join(f'{one}+' for one in letters)}"


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
        told = error.args[0] if error.args else error
        told = told.decode() if isinstance(told, bytes) else told
        raise PatternError(f"pattern: expected RE2 syntax, got {source!r}: {told}") from error


def _check_folded(source: str) -> None:
    """Refuse letters beyond ASCII that folding changes: they would never match."""
    for sign in source:
        if not sign.isascii() and (plain := fold(sign).text) != sign:
            raise PatternError(
                f"pattern: folded text never holds {sign!r}; write {plain!r}"
                if plain
                else f"pattern: folded text never holds U+{ord(sign):04X}"
            )
