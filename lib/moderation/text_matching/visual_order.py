"""Text in the order in which a reader sees it, where controls turn it around.

A right-to-left override shows what follows it backwards, Latin letters too: a word written from its
end is then read from its begin. Explicit controls of the Unicode Bidirectional Algorithm (UAX #9,
X1 to X8) are followed, the direction that letters have by themselves is not: it turns no word of
one script around.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_OVERRIDE = "\u202e"
# embeddings, overrides and isolates; closed by POP DIRECTIONAL FORMATTING or ISOLATE
_OPENING, _CLOSING = (
    frozenset("\u202a\u202b\u202d\u202e\u2066\u2067\u2068"),
    frozenset("\u202c\u2069"),
)
_PARAGRAPH = frozenset("\n\r\u001c\u001d\u001e\u0085\u2029")
_DEEPEST = 125


def visual_order(text: str) -> NDArray[np.int64] | None:
    """(n,) places of the characters in the order they are seen; None where no control turns any."""
    if _OVERRIDE not in text:
        return None
    levels: list[tuple[bool, list[list[int]]]] = [(False, [])]
    for index, sign in enumerate(text):
        if sign in _PARAGRAPH:
            while len(levels) > 1:
                _close(levels)
        if sign in _OPENING and len(levels) <= _DEEPEST:
            levels.append((sign == _OVERRIDE, []))
        elif sign in _CLOSING and len(levels) > 1:
            _close(levels)
        levels[-1][1].append([index])
    while len(levels) > 1:
        _close(levels)
    return np.array([position for part in levels[0][1] for position in part], dtype=np.int64)


def _close(levels: list[tuple[bool, list[list[int]]]]) -> None:
    """What stood within a pair of controls becomes one part of what is around it."""
    backwards, parts = levels.pop()
    ordered_parts = reversed(parts) if backwards else parts
    levels[-1][1].append([position for part in ordered_parts for position in part])
