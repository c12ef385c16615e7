"""Other ways in which a text is read: as controls turn it, and as it is meant by its letters.

HTML entities are resolved, emoji within a word are left out, a hashtag is parted by its capitals. A
right-to-left override shows what follows it backwards, Latin letters too: a word written from its
end is then read from its begin. Explicit controls of the Unicode Bidirectional Algorithm (UAX #9,
X1 to X8) are followed, the direction that letters have by themselves is not: it turns no word of
one script around.
"""

import html
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import regex
from numpy.typing import NDArray

from lib.moderation.text_matching.folding import Span

_ENTITY = regex.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_HASHTAG = regex.compile(r"[#＃][\p{L}\p{N}_]{2,200}")
_EMOJI_WITHIN = regex.compile(r"(?<=\p{L})[\p{So}\p{Sk}\uFE0F\u200D]{1,8}(?=\p{L})")
_WORD_START = regex.compile(r"(?<=\p{Ll})(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})")
_OVERRIDE = "\u202e"
# embeddings, overrides and isolates; closed by POP DIRECTIONAL FORMATTING or ISOLATE
_OPENING, _CLOSING = (
    frozenset("\u202a\u202b\u202d\u202e\u2066\u2067\u2068"),
    frozenset("\u202c\u2069"),
)
_PARAGRAPH = frozenset("\n\r\u001c\u001d\u001e\u0085\u2029")
_DEEPEST = 125


class Reading(NamedTuple):
    """A text as it is read, every character of it traced to where it came from.

    Attributes:
        text: n characters.
        starts: (n,) where in the original each one's source starts.
        ends: (n,) where it ends.
    """

    text: str
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def original(self, start: int, end: int) -> Span:
        """The span in the original of characters [start, end)."""
        return Span(int(self.starts[start:end].min()), int(self.ends[start:end].max()))


def readings(text: str) -> Iterator[Reading]:
    """Each way in which a reader or a program shows the text otherwise than it is written."""
    positions = visual_order(text)
    if positions is not None:
        visible_text = "".join(text[position] for position in positions.tolist())
        yield Reading(visible_text, positions, positions + 1)
    if "&" in text and (entities := list(_ENTITY.finditer(text))):
        yield _replaced(text, [(*entity.span(), html.unescape(entity[0])) for entity in entities])
    if emoji := list(_EMOJI_WITHIN.finditer(text)):
        yield _replaced(text, [(*match.span(), "") for match in emoji])
    if "#" in text or "＃" in text:
        cuts = [cut for tag in _HASHTAG.finditer(text) for cut in _cuts(tag)]
        if cuts:
            yield _replaced(text, [(cut, cut, " ") for cut in cuts])


def _cuts(tag: regex.Match[str]) -> list[int]:
    """Where a new word starts in a hashtag, as its capitals say."""
    return [tag.start() + match.start() for match in _WORD_START.finditer(tag[0])]


def _replaced(text: str, changes: list[tuple[int, int, str]]) -> Reading:
    """The text with other characters in some places, in their order."""
    pieces: list[str] = []
    starts: list[NDArray[np.int64]] = []
    ends: list[NDArray[np.int64]] = []
    done = 0
    for start, end, other in [*changes, (len(text), len(text), "")]:
        kept = np.arange(done, start, dtype=np.int64)
        pieces += [text[done:start], other]
        starts += [kept, np.full(len(other), start, dtype=np.int64)]
        ends += [kept + 1, np.full(len(other), end, dtype=np.int64)]
        done = end
    return Reading("".join(pieces), np.concatenate(starts), np.concatenate(ends))


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
