"""Gaps between identity terms, functional tests and flag rates are measured as the words say."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from lib.evaluation import roc_auc
from lib.moderation.contracts import TEXT_CASES
from lib.moderation.identity.bias import measure_bias, measure_posts, share_interval
from lib.moderation.identity.flag_rates import flag_rates_by_term
from lib.moderation.identity.functional_tests import auc_interval, judge_cases
from lib.moderation.identity.report import IdentityFindings
from lib.moderation.identity.templates import JudgedTemplates
from lib.moderation.identity.terms import packaged_terms
from lib.report import Report, render_page

TERMS = [term for term in packaged_terms() if term.name in {"gay", "woman", "deaf", "welsh"}]
THRESHOLDS = {"hate": 0.5, "spam": 0.9}


def by_company(texts: Sequence[str]) -> np.ndarray:
    """A fair model: hateful words alone count."""
    hateful = [
        any(w in text for w in ("sick", "die", "into the sea", "less than")) for text in texts
    ]
    return np.stack([np.where(hateful, 0.8, 0.1), np.full(len(texts), 0.2)], axis=1)


def by_term(texts: Sequence[str]) -> np.ndarray:
    """An unfair one: it adds to that what it thinks of one word."""
    named = ["gay" in text.lower() for text in texts]
    return np.clip(by_company(texts) + 0.6 * np.array(named)[:, None] * [1.0, 0.0], 0.0, 1.0)


def test_a_model_that_goes_by_a_word_shows_a_gap_and_a_fair_one_none():
    templates = JudgedTemplates.packaged()
    unfair, spam = measure_bias(by_term, THRESHOLDS, TERMS, templates, seed=1)
    fair, _ = measure_bias(by_company, THRESHOLDS, TERMS, templates, seed=1)
    assert unfair.false_positive_gap.value == unfair.false_positive_gap.low == 1.0
    assert unfair.highest.name == "gay"
    assert unfair.highest.false_positives.value == 1.0
    assert unfair.highest.bpsn_auc < 0.6 < unfair.lowest.bpsn_auc
    assert unfair.highest.bnsp_auc > unfair.lowest.bnsp_auc
    assert fair.false_positive_gap.value == 0.0
    assert fair.mean_subgroup_auc == pytest.approx(unfair.mean_subgroup_auc, abs=0.05)
    assert 0.5 < fair.mean_subgroup_auc <= 1.0
    assert fair.is_learnt
    assert not spam.is_learnt
    assert np.isnan(spam.false_negative_gap.value)


def test_the_gap_of_held_out_terms_is_of_them_alone():
    (own, _) = measure_bias(by_term, THRESHOLDS, TERMS, JudgedTemplates.packaged(), seed=1)
    assert [term.name for term in own.terms if term.held_out] == ["welsh"]
    assert np.isnan(own.held_out_gap.value)
    both = [*TERMS, next(term for term in packaged_terms() if term.name == "cuban")]
    (own, _) = measure_bias(by_term, THRESHOLDS, both, JudgedTemplates.packaged(), seed=1)
    assert own.held_out_gap.value == 0.0


def test_the_report_warns_on_its_first_screen_above_the_limit():
    (own, _) = measure_bias(by_term, THRESHOLDS, TERMS, JudgedTemplates.packaged(), seed=1)
    findings = IdentityFindings((own,), limit=0.1)
    (line,) = findings.warnings()
    assert "hate flags harmless sentences by the group that they name: 100% of those about" in line
    assert "'gay'" in line
    assert IdentityFindings((own,), limit=1.0).warnings() == []
    assert findings.metrics["identity_fpr_gap_hate"] == 1.0
    facts = findings.to_json()
    json.dumps(facts, allow_nan=False)
    assert facts["language"] == "en"
    page = render_page(Report("t", "s", findings.sections(), facts))
    assert "nothing was measured in other languages" in page
    assert "BPSN" in page
    assert IdentityFindings().sections() == []


def test_posts_that_name_a_term_are_compared_where_enough_do():
    texts = ["gay and happy"] * 30 + ["a woman sings"] * 30 + ["a deaf dog"] * 5
    targets = np.zeros((65, 2))
    targets[:10, 0], targets[30:40, 0] = 1.0, 1.0
    scores = np.zeros((65, 2))
    scores[:30, 0] = 0.9
    rates = measure_posts(texts, targets, scores, THRESHOLDS, TERMS)
    by_name = {own.name: own for own in rates if own.policy == "hate"}
    assert set(by_name) == {"gay", "woman"}
    assert (by_name["gay"].posts, by_name["gay"].violating) == (30, 10)
    assert by_name["gay"].false_positives.value == 1.0
    assert by_name["woman"].false_positives.value == 0.0
    assert by_name["gay"].bpsn_auc == 0.0
    assert by_name["gay"].subgroup_auc == 0.5


def test_shares_have_wilsons_interval():
    interval = share_interval(0, 20)
    assert interval.low == 0.0
    assert interval.high == pytest.approx(0.1611, abs=1e-3)
    assert np.isnan(share_interval(0, 0).value)


def test_the_auc_is_that_of_ranks_and_its_interval_holds_it():
    rng = np.random.default_rng(2)
    inside = 0
    for _ in range(200):
        positive, negative = rng.normal(1.0, 1.0, 60), rng.normal(0.0, 1.0, 90)
        interval = auc_interval(positive, negative)
        labels = np.concatenate([np.ones(60), np.zeros(90)])
        assert interval.value == pytest.approx(
            roc_auc(labels, np.concatenate([positive, negative])), abs=1e-12
        )
        inside += interval.low <= 0.76025 <= interval.high  # of normals one deviation apart
    assert 0.9 <= inside / 200 <= 0.99
    assert np.isnan(auc_interval(np.zeros(0), np.ones(3)).value)
    assert auc_interval(np.ones(3), np.ones(3)).value == 0.5


def cases() -> pa.Table:
    rows = [
        ("1", "I hope you die", "hate", True, "threat", "deaf"),
        ("2", "Down with them", "hate", True, "exclusion", "deaf"),
        ("3", "They should die", "hate", True, "threat", "gay"),
        ("4", "A fine day", "hate", False, "plain", None),
        ("5", "I am sick", "hate", False, "health", None),
        ("6", "Buy now", "scam", True, None, None),
    ]
    names = TEXT_CASES.names
    return pa.table({name: [row[k] for row in rows] for k, name in enumerate(names)})


def test_functional_tests_are_judged_by_function_and_identity():
    result = judge_cases(cases(), by_company, THRESHOLDS, "cases")
    assert result.skipped == 1
    (overall,) = result.overall
    assert (overall.cases, overall.violating) == (5, 3)
    assert overall.accuracy.value == pytest.approx(0.6)
    assert overall.auc.value == pytest.approx((2 * 1.5 + 0.5) / 6)
    right = {own.name: own.accuracy.value for own in result.functions}
    assert right == {"exclusion": 0.0, "health": 0.0, "plain": 1.0, "threat": 1.0}
    assert result.functions[0].name == "exclusion"
    assert {own.name: own.accuracy.value for own in result.identities} == {"deaf": 0.5, "gay": 1.0}
    figures = result.figures["hate"]
    assert (figures.precision, figures.recall) == pytest.approx((2 / 3, 2 / 3))
    (bias, _) = measure_bias(by_company, THRESHOLDS, TERMS, JudgedTemplates.packaged(), 1)
    findings = IdentityFindings((bias,), functional=(result,))
    page = render_page(Report("t", "s", findings.sections(), findings.to_json()))
    assert "1 cases are of policies that the model lacks" in page
    assert "exclusion" in page


def test_live_posts_are_compared_by_the_terms_that_they_name():
    texts = ["a gay couple"] * 60 + ["two women"] * 60 + ["nothing"] * 30
    flagged = np.zeros((150, 1), dtype=bool)
    flagged[:30] = True
    authors = np.arange(150) % 50
    table = flag_rates_by_term(texts, flagged, authors, ("hate",), TERMS)
    rates = {row[1]: row[3] for row in table.rows}
    assert str(rates["gay"]).startswith("0.5")
    assert str(rates["woman"]).startswith("0")
    (figure,) = table.figures
    assert figure.name == "identity gap hate"
    assert figure.value == 0.5
    assert figure.low < 0.5 < figure.high
    few = flag_rates_by_term(texts[:80], flagged[:80], authors[:80], ("hate",), TERMS)
    assert few.rows == ()
    assert "fewer than two identity terms" in few.notes[0]
