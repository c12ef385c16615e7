"""Balanced contexts: sentences of our own in which many groups are treated alike, for training.

A model that has met `gay` or `white` mostly in hateful posts takes the word for the hate. Sentences
in which every term stands in harmless and in hateful company teach that the company decides: Dixon
et al., Measuring and mitigating unintended bias in text classification (AIES 2018). Harmless posts
that name a term are repeated with other terms: counterfactual augmentation after Garg et al.,
Counterfactual fairness in text classification through robustness (AIES 2019).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from lib.declaration import load_declaration
from lib.moderation.identity.policy_names import HATE_POLICIES, TREATMENT_POLICIES
from lib.moderation.identity.terms import (
    IdentityTerm,
    TermForm,
    TermMatcher,
    named_terms,
    packaged_terms,
)

CONTEXTS_FILE = Path(__file__).with_name("contexts.yaml")
_ENGLISH = re.compile(r"\b(?:the|and|is|you|of|that|this|are|was|for|with|my)\b", re.I)
_LEAST_ENGLISH = 0.3
# shares of kinds of contexts; the rest is hateful
_KINDS = {"harmless": 0.61, "coarse": 0.05, "against": 0.08, "impersonal": 0.1}
_AGREEING, _OPENED, _CLOSED, _DISGUISED, _LOWER = 0.2, 0.15, 0.15, 0.12, 0.35
_INVENTED, _BYSTANDERS = 0.15, 0.2
_LEET = {"a": "4", "e": "3", "i": "1", "o": "0", "s": "$"}
_SWAPPED = 1
_PARTS = 5
_SYLLABLES = (
    *("ka", "lo", "vi", "tra", "mun", "sel", "bor", "zi", "thal", "or"),
    *("ni", "gre", "pha", "du", "rek", "ya", "wem", "sto", "fi", "hul"),
)
Floats = NDArray[np.float64]
Texts = tuple[str, ...]
Item = TypeVar("Item")


@dataclass(frozen=True)
class ContextSentences:
    """What `contexts.yaml` declares; see there."""

    __pydantic_config__ = ConfigDict(extra="forbid")
    harmless: Texts
    coarse: Texts
    hateful: Texts
    against: Texts
    agreeing: Texts
    impersonal: Texts
    openings: Texts
    closings: Texts
    bystanders: dict[str, str]

    def part(self, *, held_out: bool) -> ContextSentences:
        """A fifth of the sentences of each kind, or the others."""

        def chosen(items: Texts) -> Texts:
            return tuple(
                item for k, item in enumerate(items) if (k % _PARTS == _PARTS - 1) == held_out
            )

        return replace(
            self,
            harmless=chosen(self.harmless),
            coarse=chosen(self.coarse),
            hateful=chosen(self.hateful),
            against=chosen(self.against),
            agreeing=chosen(self.agreeing),
            impersonal=chosen(self.impersonal),
        )


@dataclass(frozen=True)
class BalancedTexts:
    """Texts to learn from beside the posts.

    Attributes:
        texts: (m,).
        targets: (m, policies) 0, 1, or NaN where a text says nothing of a policy.
        partners: (m,) the same text with another term, "" where there is none.
    """

    texts: list[str]
    targets: Floats
    partners: list[str]


@cache
def context_sentences() -> ContextSentences:
    """Those that come with the product."""
    text = CONTEXTS_FILE.read_text(encoding="utf-8")
    return load_declaration(text, ContextSentences, CONTEXTS_FILE.name)


def balanced_texts(
    texts: Sequence[str],
    targets: Floats,
    policies: Sequence[str],
    share: float,
    seed: int,
    *,
    held_out: bool = False,
) -> BalancedTexts:
    """Contexts and swapped posts for a training on posts.

    None where no policy is about how people are treated (`TREATMENT_POLICIES`) and has posts of
    both outcomes, or where the posts are not English, which the contexts are. Of a policy that
    posts say nothing of, contexts say nothing either.

    Args:
        texts: (n,) posts that are learnt from, "" where one has no text.
        targets: (n, policies) within 0 and 1; NaN unknown.
        policies: names.
        share: contexts for each post.
        seed: of what is drawn.
        held_out: whether the texts choose a blend and are not learnt from; the templates of their
            contexts, a fifth of all, are not learnt from either.
    """
    count = round(share * sum(map(bool, texts)))
    treating = _treatment_columns(targets, policies)
    if not count or not treating or english_share(texts) < _LEAST_ENGLISH:
        return BalancedTexts([], np.zeros((0, len(policies))), [])
    terms = [term for term in packaged_terms() if not term.held_out]
    sentences = context_sentences().part(held_out=held_out)
    weights = term_weights(texts, _hateful_rows(targets, policies), terms)
    drawn = ContextDraw(sentences, terms, weights, np.random.default_rng((seed, len(texts))))
    contexts = [drawn.context() for _ in range(count)]
    rows = np.stack([_targets_of(context.kind, policies) for context in contexts])
    rows[:, [column for column in range(len(policies)) if column not in treating]] = np.nan
    swaps, sources = drawn.swapped(texts, _harmless_rows(targets, policies))
    return BalancedTexts(
        [*(context.text for context in contexts), *swaps],
        np.concatenate([rows, targets[np.array(sources, dtype=np.int64)]]),
        [*(context.partner for context in contexts), *(texts[row] for row in sources)],
    )


def english_share(texts: Sequence[str]) -> float:
    """Share of texts, empty ones left out, with one of the commonest words of English."""
    marks = [bool(_ENGLISH.search(text)) for text in texts if text]
    return float(np.mean(marks)) if marks else 0.0


def _treatment_columns(targets: Floats, policies: Sequence[str]) -> list[int]:
    """Policies about how people are treated of which posts show both outcomes."""
    return [
        column
        for column, name in enumerate(policies)
        if name in TREATMENT_POLICIES
        and (targets[:, column] > 0.0).any()
        and (targets[:, column] < 1.0).any()
    ]


def _targets_of(kind: str, policies: Sequence[str]) -> Floats:
    row = np.full(len(policies), np.nan)
    for column, name in enumerate(policies):
        if name in HATE_POLICIES:
            row[column] = float(kind == "hateful")
        elif name in TREATMENT_POLICIES and kind == "harmless":
            row[column] = 0.0
    return row


def _harmless_rows(targets: Floats, policies: Sequence[str]) -> list[int]:
    """Posts that violate no policy of hate, as far as one is known; of none if there is none."""
    columns = [column for column, name in enumerate(policies) if name in HATE_POLICIES]
    columns = columns or [c for c, name in enumerate(policies) if name in TREATMENT_POLICIES]
    own = targets[:, columns]
    harmless = (np.nan_to_num(own, nan=0.0) == 0.0).all(axis=1) & ~np.isnan(own).all(axis=1)
    return np.flatnonzero(harmless).tolist()


def _hateful_rows(targets: Floats, policies: Sequence[str]) -> NDArray[np.bool_]:
    """(n,) whether a post violates a policy about how people are treated, of hate where known."""
    columns = [column for column, name in enumerate(policies) if name in HATE_POLICIES]
    columns = columns or [c for c, name in enumerate(policies) if name in TREATMENT_POLICIES]
    return np.asarray((np.nan_to_num(targets[:, columns], nan=0.0) >= 0.5).any(axis=1))


def term_weights(
    texts: Sequence[str], hateful: NDArray[np.bool_], terms: Sequence[IdentityTerm]
) -> Floats:
    """(terms,) shares of harmless contexts: more where posts that name a term are hateful more.

    As many harmless sentences are wanted of a term as would make its share of hateful ones that of
    all posts (Dixon et al., 2018), as far as the contexts go; half of the weight is even.
    """
    named = named_terms(texts, terms)
    hits = named[hateful].sum(axis=0)
    usual = max(float(hateful.mean()), 1e-3)
    missing = np.maximum(hits / usual - named.sum(axis=0), 0.0)
    even = np.full(len(terms), 1.0 / len(terms))
    if not missing.any():
        return even
    tempered = np.sqrt(missing)
    return np.asarray(0.5 * even + 0.5 * tempered / tempered.sum())


@dataclass(frozen=True)
class Context:
    """A sentence to learn.

    Attributes:
        text: as people post.
        kind: harmless, coarse, against, impersonal or hateful.
        partner: the same with another term, "" where it names none.
    """

    text: str
    kind: str
    partner: str = ""


@dataclass(frozen=True)
class ContextDraw:
    """Draws contexts.

    Attributes:
        sentences: templates.
        terms: that fill them.
        weights: (terms,) shares with which they come into harmless ones.
        rng: what is drawn with.
    """

    sentences: ContextSentences
    terms: Sequence[IdentityTerm]
    weights: Floats
    rng: np.random.Generator

    def context(self) -> Context:
        """A sentence and its partner, in the same style."""
        kinds = [*_KINDS, "hateful"]
        shares = [*_KINDS.values(), 1.0 - sum(_KINDS.values())]
        kind = kinds[int(self.rng.choice(len(kinds), p=shares))]
        if kind == "impersonal":
            pair = self._one_of(self.sentences.impersonal), ""
        elif kind == "against":
            pair = self._framed(self.sentences.against)
        elif kind == "hateful" and self.rng.random() < _AGREEING:
            pair = self._framed(self.sentences.agreeing)
        else:
            templates: Texts = getattr(self.sentences, kind)
            pair = self._filled(templates, is_harmless=kind in {"harmless", "coarse"})
        seed = int(self.rng.integers(2**32))
        text, partner = (
            Style(self.sentences, np.random.default_rng(seed)).styled(sentence) if sentence else ""
            for sentence in pair
        )
        return Context(text, kind, partner)

    def swapped(self, texts: Sequence[str], rows: Sequence[int]) -> tuple[list[str], list[int]]:
        """Posts of some rows with other terms for those that they name, and their rows.

        A noun is swapped for a noun of the same number, an adjective for an adjective.
        """
        matcher = TermMatcher(self.terms)
        swaps, sources = [], []
        for row in rows:
            mentions = matcher.mentions(texts[row])
            for _ in range(_SWAPPED if mentions else 0):
                text = texts[row]
                for mention in reversed(mentions):
                    form = self._form(mention.form.kind)
                    words = form.plural if mention.is_plural else form.singular
                    text = f"{text[: mention.start]}{words}{text[mention.end :]}"
                swaps.append(text)
                sources.append(row)
        return swaps, sources

    def _form(self, kind: str) -> TermForm:
        while True:
            term = self._one_of(self.terms)
            for form in term.forms:
                if form.kind == kind:
                    return form

    def _framed(self, frames: Texts) -> tuple[str, str]:
        frame = self._one_of(frames)
        pair = self._filled(self.sentences.hateful, is_harmless=False)
        first, second = (frame.replace("{statement}", statement) for statement in pair)
        return first, second

    def _filled(self, templates: Texts, *, is_harmless: bool) -> tuple[str, str]:
        """A template with two terms."""
        template = self._one_of(templates)
        sentences: list[str] = []
        while len(sentences) < 2:
            sentence = self._term(is_harmless=is_harmless).sentence(template)
            if sentence is not None:
                sentences.append(sentence)
        return sentences[0], sentences[1]

    def _term(self, *, is_harmless: bool) -> IdentityTerm:
        lot = self.rng.random()
        if lot < _INVENTED:
            return self._invented()
        if is_harmless and lot < _INVENTED + _BYSTANDERS:
            singular = self._one_of(tuple(self.sentences.bystanders))
            form = TermForm("noun", singular, self.sentences.bystanders[singular])
            return IdentityTerm(singular, "bystanders", (form,))
        if is_harmless:
            return self.terms[int(self.rng.choice(len(self.terms), p=self.weights))]
        groups = sorted({term.group for term in self.terms})
        group = self._one_of(groups)
        return self._one_of([term for term in self.terms if term.group == group])

    def _invented(self) -> IdentityTerm:
        """A name that no people has, so that what is learnt does not rest on known names."""
        stem = "".join(self._one_of(_SYLLABLES) for _ in range(int(self.rng.integers(2, 4))))
        ending = self._one_of(("n", "ish", "ese", "i", "ite"))
        word = (stem + ending).capitalize()
        plural = word if ending in {"ish", "ese"} else f"{word}s"
        adjective = TermForm("adjective", word, word)
        noun = TermForm("noun", word, plural)
        return IdentityTerm(word, "invented", (adjective,) if plural == word else (noun, adjective))

    def _one_of(self, items: Sequence[Item]) -> Item:
        return drawn_of(items, self.rng)


@dataclass(frozen=True)
class Style:
    """How people post a sentence.

    Attributes:
        sentences: openings and closings.
        rng: what is drawn with.
    """

    sentences: ContextSentences
    rng: np.random.Generator

    def styled(self, text: str) -> str:
        """As people post: openings, closings, lower case, no last stop, disguised letters."""
        if self.rng.random() < _LOWER:
            text = text.lower()
        if self.rng.random() < _LOWER:
            text = text.rstrip(".")
        if self.rng.random() < _DISGUISED:
            text = self._disguised(text)
        if self.rng.random() < _OPENED:
            text = f"{drawn_of(self.sentences.openings, self.rng)} {text}"
        if self.rng.random() < _CLOSED:
            text = f"{text} {drawn_of(self.sentences.closings, self.rng)}"
        return text.upper() if self.rng.random() < 0.03 else text

    def _disguised(self, text: str) -> str:
        """One or two longer words written otherwise."""
        words = text.split(" ")
        long_words = [k for k, word in enumerate(words) if len(word) > 3 and word.isalpha()]
        ways: tuple[Callable[[str], str], ...] = (
            self._with_digits,
            self._lengthened,
            self._exchanged,
            self._dotted,
        )
        for k in self.rng.permutation(long_words)[:2].tolist() if long_words else []:
            words[k] = drawn_of(ways, self.rng)(words[k])
        return " ".join(words)

    def _with_digits(self, word: str) -> str:
        return "".join(_LEET.get(letter, letter) for letter in word)

    def _lengthened(self, word: str) -> str:
        at = int(self.rng.integers(1, len(word)))
        return word[:at] + word[at - 1] * int(self.rng.integers(1, 4)) + word[at:]

    def _exchanged(self, word: str) -> str:
        at = int(self.rng.integers(1, len(word) - 1))
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    def _dotted(self, word: str) -> str:
        return drawn_of((".", " ", "-", "*"), self.rng).join(word) if len(word) < 8 else word


def drawn_of(items: Sequence[Item], rng: np.random.Generator) -> Item:
    """An item at random."""
    return items[int(rng.integers(len(items)))]
