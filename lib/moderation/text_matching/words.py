"""Words of a text as a reader sees them, by their places in the original."""

from functools import cache

import regex

from lib.moderation.text_matching.folding import Span

_WORD = r"""
    # an emoji with all that it is made of: skin, hair, joined others; a flag; a keycap
    (?: \p{RI}\p{RI} | [0-9\#*]\uFE0F?\u20E3 | \p{Extended_Pictographic} ) [\p{M}\p{Cf}\p{EMod}]*
      (?: (?<=\u200D) \p{Extended_Pictographic} [\p{M}\p{Cf}\p{EMod}]* )*
    # scripts that write no spaces: one character, with its marks
  | [\p{Han}\p{Hiragana}] [\p{M}\p{Cf}]*
    # letters and digits with their marks and what cannot be seen in them; apostrophes, dots in
    # numbers and abbreviations between two of them
  | (?! \p{Grapheme_Cluster_Break=SpacingMark} )
    (?: [\p{L}\p{N}_--[\p{Han}\p{Hiragana}]] [\p{M}\p{Cf}]* )+
    (?: ['’.] (?: [\p{L}\p{N}_--[\p{Han}\p{Hiragana}]] [\p{M}\p{Cf}]* )+ )*
"""


@cache
def _word() -> regex.Pattern[str]:
    return regex.compile(_WORD, regex.VERBOSE | regex.VERSION1)


def words(text: str) -> tuple[Span, ...]:
    """Spans of the words, in order, none of them overlapping.

    A word is a run of letters, digits and underscores with their combining marks ("don't" is one);
    one character in Han and Hiragana; one emoji, whole with its skin tone, joined parts or flag.
    What stands between is no word. A cut never falls into a grapheme.
    """
    return tuple(Span(*match.span()) for match in _word().finditer(text))
