"""Letters that look like Latin ones (after UTS #39), and digits that stand for letters."""

from functools import cache

_ALIKE = {
    "a": "аαɑᴀⱥꭺꓮᎪ",
    "b": "ьƅᏏʙƀɓᴃꓐᏴ",
    "c": "сϲᴄⅽꮯꓚᏟƈ",
    "d": "ԁđɗᴅᏧꓒᎠð",
    "e": "еεҽɛᴇєꭼꓰᎬə",
    "f": "ғƒꜰꓝẝϝ",
    "g": "ɡԍցɢᶃꓖᏀǥ",
    "h": "һհħʜꮋꓧᎻнη",
    "i": "іιıɩɪꙇꓲɨ",
    "j": "јϳʝᴊꓙᎫ",
    "k": "кκᴋꓗᏦƙ",
    "l": "łӏʟꓡᏞɭƚ",
    "m": "мᴍꓟᎷ",
    "n": "ոռɴꓠŋ",
    "o": "оοσօøᴏꓳ௦०০੦૦",
    "p": "рρᴘꓑᏢƿ",
    "q": "ԛզգ",
    "r": "гʀᴦꭱꓣᎡᖇ",
    "s": "ѕꜱꓢᏚʂ",
    "t": "тτᴛꓔᎢŧ",
    "u": "υսᴜꓴʋꭎ",
    "v": "νѵᴠꓦᏙᐯ",
    "w": "ԝωшɯᴡꓪᎳѡ",
    "x": "хχᕁꓫ×",
    "y": "уγүʏꓬɏ",
    "z": "ᴢꓜᏃʐƶ",
}

_DIGITS = {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "@": "a",
           "$": "s", "€": "e", "£": "l"}  # fmt: skip

_SIGNS = {"!": "i", "|": "i", "+": "t", "(": "c"}

STANDING_FOR = {"a": "4@", "b": "8", "c": "(", "e": "3€", "g": "9", "i": "1!|", "l": "1|£",
                "o": "0", "s": "5$", "t": "7+", "z": "2"}  # fmt: skip
"""Digits and signs that may stand for a letter of a known word."""


@cache
def confusables() -> dict[str, str]:
    """From a folded character to the Latin letter that it looks like.

    Lower-case letters of Cyrillic, Greek, Armenian, Cherokee and Lisu and phonetic signs; letters
    in squares and circles; the letters that flags are made of.
    """
    mapping = {sign.casefold(): latin for latin, signs in _ALIKE.items() for sign in signs}
    letters = "abcdefghijklmnopqrstuvwxyz"
    for first in (0x1F130, 0x1F150, 0x1F170, 0x1F1E6):
        mapping |= {chr(first + offset): letter for offset, letter in enumerate(letters)}
    return mapping


def without_leet(text: str) -> str:
    """Folded text with digits and signs as the letters that they stand for, in words only.

    A run without spaces counts as a word where it holds a letter; !, |, + and ( count only before
    another letter or digit. Never changes the length.
    """
    parts = []
    for run in _runs(text):
        parts.append(_run_without_leet(run) if any(map(str.isalpha, run)) else run)
    return "".join(parts)


def _runs(text: str) -> list[str]:
    """The text cut wherever space starts or ends."""
    cuts = [0, *(k for k in range(1, len(text)) if text[k].isspace() != text[k - 1].isspace())]
    return [text[start:end] for start, end in zip(cuts, [*cuts[1:], len(text)], strict=True)]


def _run_without_leet(run: str) -> str:
    characters = [_DIGITS.get(sign, sign) for sign in run]
    for index, sign in enumerate(run[:-1]):
        if sign in _SIGNS and (run[index + 1].isalnum() or run[index + 1] in _DIGITS):
            characters[index] = _SIGNS[sign]
    return "".join(characters)
