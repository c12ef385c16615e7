"""Identity terms: words for groups of people, how sentences take them, where texts name them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from lib.declaration import DeclarationError, load_declaration

TERMS_FILE = Path(__file__).with_name("terms.yaml")
"""The identity terms that come with the product."""

SLOTS = ("people", "person", "being", "adjective")
"""Of templates: `women`, `gay people`; `a woman`, `a gay person`; `gay`, `a woman`; `gay`."""

_SLOT = re.compile(r"\{(\w+)\}")
_STRICT = ConfigDict(extra="forbid")
_VOWELS = ("a", "e", "i", "o", "u")
# written with a vowel and spoken without, or the other way round
_CONSONANT_SOUNDS, _VOWEL_SOUNDS = ("eu", "uk", "one", "uni", "use"), ("hour", "honest", "lgbt")


@dataclass(frozen=True)
class TermForm:
    """A term as one part of speech.

    Attributes:
        kind: `noun`, `adjective` or `phrase`.
        singular: `woman`; `gay`; `with a disability`.
        plural: `women`; of the others the same as `singular`.
    """

    kind: str
    singular: str
    plural: str

    def fill(self, slot: str) -> str | None:
        """The words for a slot of a template; None where the form has none."""
        if slot == "adjective":
            return self.singular if self.kind == "adjective" else None
        if slot == "being" and self.kind == "adjective":
            return self.singular
        if self.kind == "noun":
            return self.plural if slot == "people" else with_article(self.singular)
        noun = "people" if slot == "people" else "person"
        words = f"{self.singular} {noun}" if self.kind == "adjective" else f"{noun} {self.singular}"
        return words if slot == "people" else with_article(words)


@dataclass(frozen=True)
class IdentityTerm:
    """A term by its name.

    Attributes:
        name: as reports show it.
        group: kind of identity, e.g. `religion`.
        forms: one or more; the first that has words for a slot fills it.
        held_out: whether balanced training leaves it out.
    """

    name: str
    group: str
    forms: tuple[TermForm, ...]
    held_out: bool = False

    def fill(self, slot: str) -> str | None:
        """The words for a slot of a template; None where the term has none."""
        for form in self.forms:
            words = form.fill(slot)
            if words is not None:
                return words
        return None

    def sentence(self, template: str) -> str | None:
        """A template with the term in its slot, with a capital at its begin; None if none fits."""
        slot = slot_of(template)
        if slot is None:
            return template
        words = self.fill(slot)
        if words is None:
            return None
        text = template.replace(f"{{{slot}}}", words)
        return text[:1].upper() + text[1:]


@dataclass(frozen=True)
class _Group:
    __pydantic_config__ = _STRICT
    nouns: dict[str, str] = field(default_factory=dict)
    adjectives: tuple[str, ...] = ()
    phrases: dict[str, str] = field(default_factory=dict)

    def forms(self) -> list[tuple[str, TermForm]]:
        """Each form with the name of its term."""
        return [
            *((noun, TermForm("noun", noun, plural)) for noun, plural in self.nouns.items()),
            *((word, TermForm("adjective", word, word)) for word in self.adjectives),
            *((name, TermForm("phrase", words, words)) for name, words in self.phrases.items()),
        ]


@dataclass(frozen=True)
class TermsFile:
    """What a file of identity terms declares."""

    __pydantic_config__ = _STRICT
    groups: dict[str, _Group]
    """terms by kind of identity"""
    held_out: tuple[str, ...] = ()
    """names of terms that balanced training leaves out"""


def load_terms(text: str, origin: str) -> tuple[IdentityTerm, ...]:
    """Identity terms out of YAML, in its order.

    Args:
        text: see `terms.yaml`.
        origin: the file's name, for messages.

    Raises:
        DeclarationError: a field is unknown, a held-out term is not listed, or there are fewer than
            two terms.
    """
    declared = load_declaration(text, TermsFile, origin)
    forms: dict[str, list[TermForm]] = {}
    group_of: dict[str, str] = {}
    for group, entries in declared.groups.items():
        for name, form in entries.forms():
            key = name.lower()
            forms.setdefault(key, []).append(form)
            group_of.setdefault(key, group)
    held_out = {name.lower() for name in declared.held_out}
    if unknown := sorted(held_out - set(forms)):
        raise DeclarationError(f"{origin}: held_out: expected listed terms, got {unknown[0]!r}")
    if len(forms) < 2:
        raise DeclarationError(f"{origin}: groups: expected at least two terms, got {len(forms)}")
    return tuple(
        IdentityTerm(name, group_of[name], tuple(term_forms), name in held_out)
        for name, term_forms in forms.items()
    )


def packaged_terms() -> tuple[IdentityTerm, ...]:
    """Those that come with the product."""
    return load_terms(TERMS_FILE.read_text(encoding="utf-8"), TERMS_FILE.name)


def slot_of(template: str) -> str | None:
    """The slot of a template; None where it has none.

    Raises:
        DeclarationError: it has several, or one that no term fills.
    """
    slots: set[str] = set(_SLOT.findall(template))
    if not slots:
        return None
    if len(slots) > 1 or not slots <= set(SLOTS):
        raise DeclarationError(
            f"template {template!r}: expected one of {', '.join(SLOTS)} in braces, got "
            f"{', '.join(sorted(slots))}"
        )
    return slots.pop()


def with_article(words: str) -> str:
    """`a` or `an` before words, by how they sound as far as their first letters tell."""
    start = words.lower()
    vowel = start.startswith(_VOWELS) and not start.startswith(_CONSONANT_SOUNDS)
    return f"{'an' if vowel or start.startswith(_VOWEL_SOUNDS) else 'a'} {words}"


@dataclass(frozen=True)
class Mention:
    """A term within a text.

    Attributes:
        term: place of the term in its list.
        form: which of its forms.
        is_plural: whether a noun stands in its plural.
        start, end: characters of the text.
    """

    term: int
    form: TermForm
    is_plural: bool
    start: int
    end: int


@dataclass(frozen=True)
class TermMatcher:
    """Where texts name identity terms: whole words, in any case, the longest first.

    A word such as `white` or `old` is counted whatever it describes.

    Attributes:
        terms: that are looked for.
    """

    terms: Sequence[IdentityTerm]

    @cached_property
    def _entries(self) -> dict[str, tuple[int, TermForm, bool]]:
        entries: dict[str, tuple[int, TermForm, bool]] = {}
        for index, term in enumerate(self.terms):
            for form in term.forms:
                for words, is_plural in ((form.singular, False), (form.plural, True)):
                    entries.setdefault(words.lower(), (index, form, is_plural))
        return entries

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self._entries, key=len, reverse=True)
        return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.I)

    def mentions(self, text: str) -> list[Mention]:
        """The terms of a text, in order."""
        found_terms = []
        for match in self._pattern.finditer(text):
            entry = self._entries.get(match.group().lower())
            if entry is not None:
                found_terms.append(Mention(*entry, *match.span()))
        return found_terms

    def names(self, text: str) -> set[str]:
        """Names of the terms that a text names."""
        return {self.terms[mention.term].name for mention in self.mentions(text)}


def named_terms(texts: Sequence[str], terms: Sequence[IdentityTerm]) -> NDArray[np.bool_]:
    """(n, terms) whether each text names each term."""
    matcher = TermMatcher(terms)
    named = np.zeros((len(texts), len(terms)), dtype=np.bool_)
    for row, text in enumerate(texts):
        for mention in matcher.mentions(text):
            named[row, mention.term] = True
    return named
