"""Identity terms fill sentences, are found in texts, and balance what a text model learns."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from lib.calibration import sigmoid
from lib.declaration import DeclarationError
from lib.moderation.identity.bias import measure_bias
from lib.moderation.identity.contexts import balanced_texts, context_sentences
from lib.moderation.identity.policy_names import HATE_POLICIES, TREATMENT_POLICIES
from lib.moderation.identity.templates import JudgedTemplates, TemplateSentences
from lib.moderation.identity.terms import (
    IdentityTerm,
    TermForm,
    TermMatcher,
    load_terms,
    packaged_terms,
    slot_of,
    with_article,
)
from lib.moderation.model.fitting import Runtime
from lib.moderation.model.model_config import TINY, TrainingConfig
from lib.moderation.model.text import TextModel
from lib.moderation.model.training import Run, fit_text, partner_places

ENGLISH = ["the bus was on time and this is fine", "you are late for the train"]
OWN = """
groups:
  origin:
    nouns: {Zork: Zorks, Ulm: Ulms}
    adjectives: [Zork]
  disability:
    phrases: {people with gout: with gout}
held_out: [Ulm]
"""


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", re.sub(r"\{\w+\}", "", text.lower())))


def test_terms_fill_slots_as_their_part_of_speech_allows():
    zork, ulm, gout = load_terms(OWN, "own.yaml")
    assert [zork.fill(slot) for slot in ("people", "person", "being", "adjective")] == [
        "Zorks",
        "a Zork",
        "a Zork",
        "Zork",
    ]
    assert [ulm.fill(slot) for slot in ("people", "being", "adjective")] == ["Ulms", "an Ulm", None]
    assert gout.fill("people") == "people with gout"
    assert gout.fill("being") == "a person with gout"
    gay = IdentityTerm("gay", "orientation", (TermForm("adjective", "gay", "gay"),))
    assert gay.sentence("{people} came.") == "Gay people came."
    assert gay.sentence("I am {being}.") == "I am gay."
    assert ulm.sentence("The {adjective} song.") is None
    assert (zork.held_out, ulm.held_out) == (False, True)


def test_articles_follow_the_sound():
    words = ("old man", "European", "honest boy", "user", "LGBT person", "woman")
    assert [with_article(word).split()[0] for word in words] == ["an", "a", "an", "a", "an", "a"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (OWN.replace("held_out: [Ulm]", "held_out: [Ulk]"), "held_out: expected listed terms"),
        (OWN.replace("nouns", "noun"), "unknown"),
        ("groups: {a: {adjectives: [b]}}", "at least two terms, got 1"),
    ],
)
def test_a_file_of_terms_that_cannot_be_meant_is_refused(text: str, words: str):
    with pytest.raises(DeclarationError, match=words):
        load_terms(text, "own.yaml")


@pytest.mark.parametrize("template", ["{group} came.", "{people} met {person}.", "Nobody came."])
def test_a_template_has_one_known_slot(template: str):
    with pytest.raises(DeclarationError, match="template"):
        JudgedTemplates.read(f"harmless: ['{template}']", "own.yaml")


def test_texts_name_terms_as_words_in_any_case_and_the_longest_first():
    matcher = TermMatcher(packaged_terms())
    text = "My AFRICAN AMERICAN friend met gay women, a Womanizer and people of colour."
    assert matcher.names(text) == {"african american", "gay", "woman", "people of colour"}
    (first, *_) = matcher.mentions(text)
    assert text[first.start : first.end] == "AFRICAN AMERICAN"


def test_every_template_and_context_takes_terms_and_none_is_in_both():
    templates, contexts = JudgedTemplates.packaged(), context_sentences()
    learnt = [*contexts.harmless, *contexts.coarse, *contexts.hateful]
    assert all(slot_of(text) for text in learnt)
    assert all("{statement}" in text for text in (*contexts.against, *contexts.agreeing))
    for judged in (*templates.harmless, *templates.hateful):
        own = words_of(judged)
        shared = [len(own & words_of(text)) / len(own | words_of(text)) for text in learnt]
        assert max(shared) < 0.65, judged


def test_contexts_are_seeded_labelled_by_policy_and_leave_held_out_terms_out():
    policies = ("hate", "offensive", "spam")
    targets = np.zeros((400, 3))
    targets[::4] = 1.0
    first, again = (balanced_texts(ENGLISH * 200, targets, policies, 0.5, 3) for _ in range(2))
    other = balanced_texts(ENGLISH * 200, targets, policies, 0.5, 4)
    assert first.texts == again.texts != other.texts
    assert len(first.texts) == len(first.targets) == 200
    hateful = first.targets[:, 0] == 1.0
    assert 0.08 < hateful.mean() < 0.25
    assert np.isnan(first.targets[:, 2]).all()
    assert np.isnan(first.targets[hateful, 1]).all()
    assert set(first.targets[~np.isnan(first.targets[:, 1]), 1]) == {0.0}
    held_out = TermMatcher([term for term in packaged_terms() if term.held_out])
    known = TermMatcher(packaged_terms())
    named = [known.names(text) for text in first.texts]
    assert not any(
        held_out.names(text) & names for text, names in zip(first.texts, named, strict=True)
    )
    assert len(set().union(*named)) > 60


def test_contexts_say_nothing_of_a_policy_that_posts_say_nothing_of():
    targets = np.full((400, 2), np.nan)
    targets[:, 1] = np.arange(400) % 3 == 0
    balanced = balanced_texts(ENGLISH * 200, targets, ("hate", "offensive"), 0.5, 3)
    assert np.isnan(balanced.targets[:, 0]).all()
    assert (balanced.targets[:, 1] == 0.0).sum() > 80
    assert balanced_texts(ENGLISH * 200, targets[:, :1], ("hate",), 0.5, 3).texts == []


def test_harmless_posts_are_repeated_with_other_terms_and_keep_their_labels():
    texts = ["the Muslim women and this is fine", "you are the worst of the Muslims", ENGLISH[0]]
    targets = np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    balanced = balanced_texts(texts * 10, np.tile(targets, (10, 1)), ("hate", "offensive"), 0.1, 1)
    swaps, labels = balanced.texts[3:], balanced.targets[3:]
    assert balanced.partners[3:] == [texts[0]] * 10
    assert len(swaps) == 10
    assert all(text.startswith("the ") and text.endswith(" and this is fine") for text in swaps)
    assert not any("Muslim women" in text for text in swaps)
    assert (labels == [0.0, 1.0]).all()


def test_a_context_and_its_partner_differ_in_the_term_alone():
    targets = (np.arange(400)[:, None] % 4 == 0).astype(float)
    balanced = balanced_texts(ENGLISH * 200, targets, ("hate",), 1.0, 3)
    pairs = list(zip(balanced.texts, balanced.partners, strict=True))
    paired = [(text, partner) for text, partner in pairs if partner]
    assert 0.8 < len(paired) / len(pairs) < 0.97
    shared = [len(words_of(a) & words_of(b)) / len(words_of(a) | words_of(b)) for a, b in paired]
    assert np.median(shared) > 0.5
    assert np.mean([text != partner for text, partner in paired]) > 0.9
    assert partner_places(3, ["a", "", "b"]).tolist() == [-1, -1, -1, 6, -1, 7]


@pytest.mark.parametrize(
    ("texts", "policies", "share"),
    [
        (["der Bus kam heute ganz spät", "wir fahren morgen"], ("hate",), 0.5),
        (ENGLISH, ("spam", "sexual"), 0.5),
        (ENGLISH, ("hate",), 0.0),
        ([], ("hate",), 0.5),
    ],
)
def test_other_languages_and_policies_get_no_contexts(
    texts: list[str], policies: tuple[str, ...], share: float
):
    targets = np.zeros((len(texts) * 50, len(policies)))
    targets[::4] = 1.0
    balanced = balanced_texts(texts * 50, targets, policies, share, 1)
    assert balanced.texts == []
    assert balanced.targets.shape == (0, len(policies))
    assert HATE_POLICIES < TREATMENT_POLICIES


def biased_posts() -> tuple[list[str], np.ndarray]:
    """Posts in which two terms stand in hateful ones alone."""
    rng = np.random.default_rng(5)
    texts, labels = [], []
    for _ in range(500):
        is_hateful = rng.random() < 0.4
        term = rng.choice(["gay", "white"] if is_hateful else ["tired", "late"])
        start = rng.choice(["this guy is", "they say you are", "the man was so", "my boss is"])
        end = rng.choice(["again", "today", "and that is it", "for real"])
        texts.append(f"{start} {term} {end}")
        labels.append([float(is_hateful)])
    return texts, np.array(labels)


def fitted(contexts: float, pairing: float = 0.0) -> TextModel:
    texts, targets = biased_posts()
    size = replace(
        TINY.text,
        pairing=pairing,
        learning=TrainingConfig(epochs=6, rate=5e-3),
        balanced_contexts=contexts,
        vocabulary=2000,
    )
    held_out = np.arange(0, len(texts), 5)
    return fit_text(texts, targets, ("hate",), held_out, size, Run(1, Runtime(threads=1)))


def test_balanced_contexts_narrow_the_gap_between_terms():
    templates = JudgedTemplates.packaged()
    terms = [t for t in packaged_terms() if t.name in {"gay", "white", "dutch", "deaf", "welsh"}]

    def bias(model: TextModel):
        return measure_bias(
            lambda texts: sigmoid(model.answer(texts).log_odds), {"hate": 0.5}, terms, templates, 1
        )[0]

    without, balanced = bias(fitted(0.0)), bias(fitted(1.0))
    assert without.false_positive_gap.value > 0.8
    assert balanced.false_positive_gap.value < without.false_positive_gap.value - 0.3
    assert balanced.mean_subgroup_auc > without.mean_subgroup_auc + 0.1


def test_pairing_draws_the_encoders_answers_to_terms_together():
    templates = JudgedTemplates.packaged()
    terms = [term for term in packaged_terms() if term.name in {"gay", "white", "dutch", "deaf"}]
    sentences = TemplateSentences.of(templates, terms)

    def spread(model: TextModel) -> float:
        _, odds = model.encoded(model.tokens(sentences.texts))
        numbers = range(len(templates.harmless))
        return float(np.mean([odds[sentences.template == k, 0].std() for k in numbers]))

    assert spread(fitted(1.0, pairing=2.0)) < 0.8 * spread(fitted(1.0))


def test_templates_are_filled_with_every_term_that_fits():
    terms = load_terms(OWN, "own.yaml")
    templates = JudgedTemplates(("I met {person}.",), ("A {adjective} fool.",))
    sentences = TemplateSentences.of(templates, terms)
    assert sentences.texts == [
        "I met a Zork.",
        "I met an Ulm.",
        "I met a person with gout.",
        "A Zork fool.",
    ]
    assert sentences.hateful.tolist() == [False, False, False, True]
    assert sentences.term.tolist() == [0, 1, 2, 0]
