"""Let only the tokens of the rule language through, before any parser sees the text.

rule-engine computes what is made of literals while it parses, regular expressions included; a
text that passes here holds nothing that could take long or reach outside the row.
"""

import re
from collections.abc import Collection, Iterator

from lib.declaration import did_you_mean

LONGEST_EXPRESSION = 4_000
"""Characters of one expression, at most."""
DEEPEST_EXPRESSION = 24
"""Levels of parentheses or of `not`/`-` chains in one expression, at most."""
MOST_OPERATORS = 100
"""Operators in one expression, at most; lists of literals do not count."""

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<operator>==|!=|<=|>=|<|>|\+|-|\*(?!\*)|/(?!/)|%)
    |(?P<open>[(\[])|(?P<close>[)\]])|(?P<comma>,))""",
    re.VERBOSE,
)
_KEYWORDS = frozenset({"and", "or", "not", "in", "true", "false", "null"})
_REFUSED_WORDS = frozenset({"for", "if", "inf", "nan", "elif", "else", "while"})


class ExpressionError(ValueError):
    """An expression that is refused; the message says what, where and what to write instead."""


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            raise ExpressionError(
                f"{text[start : start + 2].strip()!r} at {position_text(text, start)} is not part "
                "of the "
                "language: write fields, literals, + - * / %, == != < <= > >=, in, and, or, not"
            )
        kind = match.lastgroup or ""
        yield kind, match[kind], match.start(kind)
        position = match.end()


def check_tokens(text: str, names: Collection[str]) -> None:
    """Refuse a text that holds more than the language's tokens and the named fields.

    Raises:
        ExpressionError: with the place of the first foreign token or unknown field.
    """
    if len(text) > LONGEST_EXPRESSION:
        raise ExpressionError(f"at most {LONGEST_EXPRESSION} characters, got {len(text)}")
    depth = operators = 0
    previous = ""
    for kind, token, position in _tokens(text):
        if kind == "word" and token not in _KEYWORDS:
            _check_field(text, token, position, names)
        _check_opening(text, previous, kind, token, position)
        depth += (kind == "open") - (kind == "close")
        operators += kind == "operator" or token in {"and", "or", "not", "in"}
        if depth > DEEPEST_EXPRESSION or operators > MOST_OPERATORS:
            raise ExpressionError(
                f"at most {DEEPEST_EXPRESSION} levels and {MOST_OPERATORS} operators: split the "
                f"rule, or use `in [...]` for a list (reached at {position_text(text, position)})"
            )
        previous = kind if token not in _KEYWORDS else ""


def _check_field(text: str, name: str, position: int, names: Collection[str]) -> None:
    if name in _REFUSED_WORDS:
        raise ExpressionError(
            f"{name!r} at {position_text(text, position)} is not part of the language"
        )
    if name not in names:
        hint = did_you_mean(name, [*names, *_KEYWORDS])
        raise ExpressionError(f"unknown field {name!r} at {position_text(text, position)}; {hint}")


def _check_opening(text: str, previous: str, kind: str, opened: str, position: int) -> None:
    if kind == "open" and previous in {"word", "close", "text", "number"}:
        construct = "a function call" if opened == "(" else "indexing"
        raise ExpressionError(
            f"{construct} at {position_text(text, position)} is not part of the language"
        )


def position_text(text: str, position: int) -> str:
    """Say where in an expression a position (from 0) is."""
    return f"character {position + 1} of {' '.join(text.split())!r}"
