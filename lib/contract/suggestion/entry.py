"""Lines of a suggested mapping file: what stands there, why, and what is not sure about it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import yaml

Value: TypeAlias = "str | int | bool | Sequence[str] | Mapping[str, Value]"
"""What stands under a key."""

UNSURE = "# unsure: "
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*( [A-Za-z0-9_]+)*")
_WORDS_OF_YAML = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
_LONGEST_COMMENT = 400


@dataclass(frozen=True)
class Entry:
    """A line of a mapping file.

    Args:
        key: of the line.
        value: behind it.
        evidence: what it was guessed from.
        unsure: what somebody has to confirm, as it changes what the data mean.
    """

    key: str
    value: Value
    evidence: str
    unsure: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """Source columns that it reads."""
        source = self.value.get("from", ()) if isinstance(self.value, Mapping) else ()
        if isinstance(source, str):
            return (source,)
        return tuple(map(str, source)) if isinstance(source, Sequence) else ()

    def doubting(self, *texts: str) -> "Entry":
        """The same with more that is not sure."""
        return replace(self, unsure=(*self.unsure, *texts))

    def lines(self, indent: str) -> list[str]:
        """The lines of YAML, those of what is not sure first."""
        unsure = [f"{indent}{UNSURE}{comment(text)}" for text in self.unsure]
        text = f"{indent}{scalar(self.key)}: {flow(self.value)}"
        return [*unsure, f"{text}  # {comment(self.evidence)}" if self.evidence else text]


def flow(value: Value) -> str:
    """A value in one line of YAML.

    >>> flow({"from": "TX AMOUNT", "unit": "major", "currency_digits": 2})
    '{from: TX AMOUNT, unit: major, currency_digits: 2}'
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return scalar(value)
    if isinstance(value, Mapping):
        return "{{{}}}".format(
            ", ".join(f"{scalar(key)}: {flow(item)}" for key, item in value.items())
        )
    return "[{}]".format(", ".join(scalar(item) for item in value))


def scalar(text: str) -> str:
    """A text as YAML reads it again, quoted where it is no plain name.

    >>> scalar("amount"), scalar("no"), scalar("Is Fraud?")
    ('amount', '"no"', '"Is Fraud?"')
    """
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS_OF_YAML:
        return text
    quoted = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=10**9)
    return str(quoted).rstrip("\n")


def comment(text: str) -> str:
    """A text within a comment: one line of printable characters, cut where it is long."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return line if len(line) <= _LONGEST_COMMENT else f"{line[:_LONGEST_COMMENT]} ..."
