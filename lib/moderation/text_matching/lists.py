"""Deny and allow lists over folded text, with the original place of every hit.

Matching is by RE2: time grows with the text's length and never explodes, whatever the pattern
(Cox 2007, Regular expression matching can be simple and fast).
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lib.declaration import DeclarationError, did_you_mean, load_declaration, repeated
from lib.moderation.text_matching.folding import Folded, Span, fold
from lib.moderation.text_matching.patterns import (
    MASKS,
    check,
    compiled,
    in_pieces,
    source_of,
    within,
)
from lib.moderation.text_matching.readings import readings

LISTS_FILE = Path(__file__).with_name("lists.yaml")
"""The lists that come with the product."""

MOST_HITS = 200
"""Hits of one entry in one text that are reported; the first ones."""

ListError = DeclarationError
"""Lists that cannot be meant; the message names line, entry and field."""

ListAction = Literal["allow", "review", "remove"]


class Entry(BaseModel):
    """One word or pattern of a list.

    Attributes:
        id: small letters, digits and _.
        word: matched as it is, folded; stretched letters ("haaate") and, if `spaced`, letters set
            apart ("h a t e", "h-a-t-e") count.
        pattern: RE2 expression over folded text; either this or word.
        action: what a hit asks for; allow takes away the hits of others that lie within its own.
        policy: which policy a hit breaks; None for allow.
        whole_words: whether a hit may not start or end within a word.
        spaced: whether `word` is found in pieces: its letters apart, signs or emoji among them, one
            or two of them masked ("h*te"), digits behind it.
        alike: whether letters of other scripts that look like Latin ones count as these.
        leet: whether digits and signs that stand for letters count as these.
        note: why it is listed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*$")
    word: str | None = Field(None, min_length=1, max_length=200)
    pattern: str | None = Field(None, min_length=1, max_length=1000)
    action: ListAction
    policy: str | None = None
    whole_words: bool = True
    spaced: bool = False
    alike: bool = True
    leet: bool = True
    note: str = ""

    @model_validator(mode="after")
    def _can_match(self) -> Entry:
        if (self.word is None) == (self.pattern is None):
            actual = "neither" if self.word is None else "both"
            raise ValueError(f"expected either word or pattern, got {actual}")
        if (self.policy is None) != (self.action == "allow"):
            raise ValueError("policy: expected for review and remove, and none for allow")
        if self.pattern is not None and self.spaced:
            raise ValueError("spaced: works for a word, not for a pattern")
        check(self.source)
        return self

    @property
    def source(self) -> str:
        """The RE2 expression over folded text."""
        return source_of(self.word, self.pattern, self.spaced, self.leet)


class ListFile(BaseModel):
    """A file of lists."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = Field(ge=1)
    entries: tuple[Entry, ...]

    @model_validator(mode="after")
    def _each_once(self) -> ListFile:
        if (twice := repeated(entry.id for entry in self.entries)) is not None:
            raise ValueError(f"entries: '{twice}' is declared twice")
        return self


@dataclass(frozen=True, slots=True)
class Hit:
    """Where an entry matched.

    Attributes:
        entry: its id.
        action: what it asks for, review or remove.
        policy: which policy it breaks.
        start: of the hit in the original text, characters.
        end: one past its last character.
        text: the original characters.
    """

    entry: str
    action: ListAction
    policy: str
    start: int
    end: int
    text: str


class _Variant(NamedTuple):
    """One way to fold, and its text as bytes with the character that each byte belongs to."""

    folded: Folded
    content: bytes
    before: NDArray[np.int64]


_WAYS = tuple((alike, leet) for alike in (False, True) for leet in (False, True))

_TOGETHER = 50
"""Entries that are looked for at once before each is looked for by itself."""


class Lists:
    """Entries, compiled.

    Args:
        file: the lists.
    """

    def __init__(self, file: ListFile) -> None:
        self.file = file
        self._compiled: dict[str, Any] = {}
        self._chunks = {way: tuple(_chunks(file.entries, way)) for way in _WAYS}

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of all that they say."""
        content = json.dumps(self.file.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def hits(self, text: str) -> tuple[Hit, ...]:
        """All hits that ask for review or removal, by their place in the text.

        An entry is looked for in the text as it is folded and, if it says so, with look-alikes and
        leetspeak resolved; a place counts once for an entry. Where controls turn text around, HTML
        entities stand for letters or a hashtag is made of words, it is looked for as it is written
        and as it is read. Hits within one of an allow entry are left
        out.
        """
        matches = self._matches(text)
        for reading in readings(text):
            for (name, start, end), entry in self._matches(reading.text).items():
                matches.setdefault((name, *reading.original(start, end)), entry)
        allowed = [key[1:] for key, entry in matches.items() if entry.action == "allow"]
        pairs = [(key, entry) for key, entry in matches.items() if entry.action != "allow"]
        return tuple(
            Hit(entry.id, entry.action, entry.policy or "", start, end, text[start:end])
            for (_, start, end), entry in sorted(pairs, key=lambda pair: (pair[0][1:], pair[0][0]))
            if not any(first <= start and end <= last for first, last in allowed)
        )

    def _matches(self, text: str) -> dict[tuple[str, int, int], Entry]:
        """Entries by id and place in a text, those that allow among them."""
        matches: dict[tuple[str, int, int], Entry] = {}
        for way in _WAYS:
            if self._chunks[way]:
                variant = _variant(text, *way)
                for entry in self._likely(way, variant.content):
                    for start, end in self._places(text, entry, variant):
                        matches.setdefault((entry.id, start, end), entry)
        return matches

    def _likely(self, way: tuple[bool, bool], content: bytes) -> Iterator[Entry]:
        for together, entries in self._chunks[way]:
            if together.search(content) is not None:
                yield from entries

    def _places(self, text: str, entry: Entry, variant: _Variant) -> Iterator[Span]:
        expression, at = self._expression(entry), 0
        for _ in range(MOST_HITS):
            match = expression.search(variant.content, at)
            if match is None:
                return
            first, at = match.span(1)
            start, end = int(variant.before[first]), int(variant.before[at])
            text_found = variant.folded.text[start:end]
            if _is_valid_hit(entry, variant.folded.text, start, end) and self._has_valid_signs(
                entry, text_found
            ):
                yield _with_marks(text, variant.folded.original(start, end))

    def _has_valid_signs(self, entry: Entry, hit: str) -> bool:
        """Whether signs in a hit are such as may stand among a word's letters, or mask them."""
        if entry.word is None or not entry.spaced or not set(MASKS).intersection(hit):
            return True
        name = f"{entry.id} in pieces"
        if name not in self._compiled:
            self._compiled[name] = compiled(in_pieces(entry.word, entry.leet))
        return self._compiled[name].fullmatch(hit.encode()) is not None

    def _expression(self, entry: Entry) -> Any:
        """What finds an entry by itself, compiled when it is first likely: most never are."""
        if entry.id not in self._compiled:
            self._compiled[entry.id] = within(entry.source, entry.whole_words)
        return self._compiled[entry.id]


def load_lists(
    text: str, policies: Iterable[str] | None = None, source: str = "lists.yaml"
) -> Lists:
    """Read and check a file of lists.

    Args:
        text: YAML with `version` and `entries`.
        policies: ids that entries may name; None leaves them unchecked.
        source: name of the file for messages.

    Raises:
        ListError: naming the line, the entry, the field, what was expected and what came.
    """
    file = load_declaration(text, ListFile, source)
    policy_ids = None if policies is None else tuple(policies)
    for entry in file.entries:
        if policy_ids is not None and entry.policy is not None and entry.policy not in policy_ids:
            raise ListError(
                f"{source}: {entry.id}: policy: {entry.policy!r} is unknown; "
                f"{did_you_mean(entry.policy, policy_ids)}"
            )
    return Lists(file)


def _chunks(
    entries: tuple[Entry, ...], way: tuple[bool, bool]
) -> Iterator[tuple[Any, tuple[Entry, ...]]]:
    """Entries that are looked for in a way of folding, some at once, with what finds any of them.

    Leetspeak of a word is in its expression already, that of a pattern in the folding.
    """
    alike, leet = way
    resolved = {entry.id: entry.leet and entry.word is None for entry in entries}
    fitting = [entry for entry in entries if entry.alike >= alike and resolved[entry.id] >= leet]
    for first in range(0, len(fitting), _TOGETHER):
        some = tuple(fitting[first : first + _TOGETHER])
        yield compiled("|".join(f"(?:{entry.source})" for entry in some)), some


def _is_valid_hit(entry: Entry, text: str, start: int, end: int) -> bool:
    """Whether a hit has a letter where its word has one, and stands alone where it must."""
    lettered = any(map(str.isalpha, entry.word or ""))
    if lettered and not any(map(str.isalpha, text[start:end])):
        return False
    beside = (text[start - 1 : start], text[end : end + 1]) if entry.whole_words else ()
    return not any(
        neighbour and unicodedata.category(neighbour)[0] in "LNM" for neighbour in beside
    )


def _with_marks(text: str, span: Span) -> Span:
    """The span with the marks that stand on its last character."""
    end = span.end
    while end < len(text) and unicodedata.category(text[end]).startswith("M"):
        end += 1
    return Span(span.start, end)


def _variant(text: str, alike: bool, leet: bool) -> _Variant:
    folded = fold(text, alike=alike, leet=leet)
    content = folded.text.encode()
    starts = (np.frombuffer(content, dtype=np.uint8) & 0xC0) != 0x80
    return _Variant(folded, content, np.concatenate(([0], np.cumsum(starts))).astype(np.int64))
