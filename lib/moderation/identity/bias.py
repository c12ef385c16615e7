"""How differently a policy's model treats sentences that differ in an identity term alone.

Rates at the policy's threshold by term, the largest differences between terms, and AUC by subgroup:
Dixon et al., Measuring and mitigating unintended bias in text classification (AIES 2018); Borkan et
al., Nuanced metrics for measuring unintended bias with real data for text classification (2019).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from lib.evaluation import Interval, roc_auc
from lib.moderation.identity.policy_names import HATE_POLICIES
from lib.moderation.identity.templates import JudgedTemplates, TemplateSentences
from lib.moderation.identity.terms import IdentityTerm, named_terms

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Scorer = Callable[[Sequence[str]], Floats]
"""Texts (n,) to calibrated probabilities (n, policies)."""

DEFAULT_GAP_LIMIT = 0.1
"""Difference of false positive rates between two terms above which a report warns."""
_LEAST_POSTS, _LEAST_OF_A_KIND = 20, 5
_LEVEL = 0.95


def share_interval(hits: int, count: int) -> Interval:
    """A share with its 95% interval: Wilson, JASA 22 (1927); NaN of nothing."""
    if not count:
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = binomtest(hits, count).proportion_ci(_LEVEL, "wilson")
    return Interval(hits / count, float(low), float(high))


@dataclass(frozen=True)
class TermRates:
    """How one policy treats the sentences of one term.

    Attributes:
        name, group: of the term.
        held_out: whether balanced training left it out.
        harmless, hateful: number of sentences.
        false_positives: share of the harmless ones that are flagged.
        false_negatives: share of the hateful ones that are not; NaN where the policy has none.
        subgroup_auc: hateful against harmless ones of this term.
        bpsn_auc: hateful ones of other terms against harmless ones of this term (background
            positive, subgroup negative): low where harmless ones rank high.
        bnsp_auc: hateful ones of this term against harmless ones of others.
    """

    name: str
    group: str
    held_out: bool
    harmless: int
    hateful: int
    false_positives: Interval
    false_negatives: Interval
    subgroup_auc: float
    bpsn_auc: float
    bnsp_auc: float


@dataclass(frozen=True)
class PolicyBias:
    """What a policy's model makes of identity terms in templates.

    Attributes:
        policy: id.
        threshold: probability from which on a sentence counts as flagged.
        terms: rates, most false positives first.
        false_positive_gap: highest less lowest false positive rate of two terms, with its 95%
            interval over templates drawn with replacement.
        held_out_gap: the same among the terms that balanced training left out.
        false_negative_gap: the same of false negative rates; NaN where the policy has no hateful
            sentences.
        is_learnt: whether sentences differ at all.
    """

    policy: str
    threshold: float
    terms: tuple[TermRates, ...]
    false_positive_gap: Interval
    held_out_gap: Interval
    false_negative_gap: Interval
    is_learnt: bool

    @property
    def highest(self) -> TermRates:
        """The term with most false positives."""
        return self.terms[0]

    @property
    def lowest(self) -> TermRates:
        """The term with fewest false positives."""
        return self.terms[-1]

    @property
    def mean_false_positives(self) -> float:
        """Mean over terms."""
        return float(np.mean([term.false_positives.value for term in self.terms]))

    @property
    def mean_subgroup_auc(self) -> float:
        """Mean over terms; NaN where no sentence is hateful."""
        return float(np.mean([term.subgroup_auc for term in self.terms]))

    def to_json(self) -> dict[str, Any]:
        """Plain values, None for what is not defined."""
        return {name: plain_values(value) for name, value in asdict(self).items()}


def plain_values(value: Any) -> Any:
    """Nested values as JSON takes them: lists for tuples, None for NaN."""
    if isinstance(value, dict):
        return {key: plain_values(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(inner) for inner in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def measure_bias(
    scorer: Scorer,
    thresholds: Mapping[str, float],
    terms: Sequence[IdentityTerm],
    templates: JudgedTemplates,
    seed: int,
    repeats: int = 300,
) -> list[PolicyBias]:
    """Rates, gaps and AUC of each policy on templates with every term.

    Harmless templates violate no policy; hateful ones those of `HATE_POLICIES` and say nothing of
    the others.

    Args:
        scorer: see `Scorer`.
        thresholds: by policy, in the order of the scorer's columns.
        terms: two or more.
        templates: with their slots.
        seed: of the draws of templates.
        repeats: draws.
    """
    sentences = TemplateSentences.of(templates, terms)
    scores = scorer(sentences.texts)
    return [
        _PolicyScores(name, threshold, scores[:, column], sentences, terms, seed, repeats).bias()
        for column, (name, threshold) in enumerate(thresholds.items())
    ]


@dataclass(frozen=True)
class _PolicyScores:
    """Scores (n,) of template sentences by one policy."""

    policy: str
    threshold: float
    scores: Floats
    sentences: TemplateSentences
    terms: Sequence[IdentityTerm]
    seed: int
    repeats: int

    def bias(self) -> PolicyBias:
        """Rates of each term, and gaps."""
        own = sorted(
            (self._rates(index, term) for index, term in enumerate(self.terms)),
            key=lambda rates: (-np.nan_to_num(rates.false_positives.value, nan=-1.0), rates.name),
        )
        held_out = np.array([term.held_out for term in self.terms])
        everywhere = np.ones(len(self.terms), dtype=bool)
        harmless, hateful = ~self.sentences.hateful, self.sentences.hateful & self._hates
        return PolicyBias(
            policy=self.policy,
            threshold=self.threshold,
            terms=tuple(own),
            false_positive_gap=self._gap(harmless, self._flagged, everywhere),
            held_out_gap=self._gap(harmless, self._flagged, held_out),
            false_negative_gap=self._gap(hateful, ~self._flagged, everywhere),
            is_learnt=bool(np.ptp(self.scores) > 0.0),
        )

    @property
    def _hates(self) -> bool:
        return self.policy in HATE_POLICIES

    @property
    def _flagged(self) -> Flags:
        return np.asarray(self.scores >= self.threshold)

    def _rates(self, index: int, term: IdentityTerm) -> TermRates:
        is_own, hateful = self.sentences.term == index, self.sentences.hateful
        positive, negative = hateful & self._hates, ~hateful
        flagged = self._flagged
        own_negative, own_positive = is_own & negative, is_own & positive
        return TermRates(
            name=term.name,
            group=term.group,
            held_out=term.held_out,
            harmless=int(own_negative.sum()),
            hateful=int(own_positive.sum()),
            false_positives=share_interval(
                int(flagged[own_negative].sum()), int(own_negative.sum())
            ),
            false_negatives=share_interval(
                int((~flagged)[own_positive].sum()), int(own_positive.sum())
            ),
            subgroup_auc=auc_between(self.scores, own_positive, own_negative),
            bpsn_auc=auc_between(self.scores, positive & ~is_own, own_negative),
            bnsp_auc=auc_between(self.scores, own_positive, negative & ~is_own),
        )

    def _gap(self, rows: Flags, outcome: Flags, among: Flags) -> Interval:
        """Largest difference of shares between terms, with templates drawn with replacement."""
        sentences, places = self.sentences, np.flatnonzero(among)
        if len(places) < 2 or not rows.any():
            return Interval(float("nan"), float("nan"), float("nan"))
        numbers, template = np.unique(sentences.template[rows], return_inverse=True)
        hits = np.zeros((len(numbers), len(self.terms)))
        counts = np.zeros_like(hits)
        np.add.at(hits, (template, sentences.term[rows]), outcome[rows])
        np.add.at(counts, (template, sentences.term[rows]), 1.0)
        draws = np.random.default_rng(self.seed).multinomial(
            len(numbers), np.full(len(numbers), 1.0 / len(numbers)), self.repeats
        )
        weights = np.concatenate([np.ones((1, len(numbers))), draws])
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = (weights @ hits[:, places]) / (weights @ counts[:, places])
        gaps = np.nanmax(shares, axis=1) - np.nanmin(shares, axis=1)
        edge = (1.0 - _LEVEL) / 2.0
        low, high = np.quantile(gaps[1:], [edge, 1.0 - edge])
        return Interval(float(gaps[0]), float(low), float(high))


def auc_between(scores: Floats, positive: Flags, negative: Flags) -> float:
    """AUC of some rows against others; NaN where either are none."""
    if not positive.any() or not negative.any():
        return float("nan")
    rows = positive | negative
    return roc_auc(positive[rows], scores[rows])


@dataclass(frozen=True)
class PostRates:
    """How one policy treats the posts that name a term.

    Attributes:
        policy, name, group: which.
        posts: that name it and have a label; violating: how many of them.
        false_positives: share of those that do not violate that is flagged.
        subgroup_auc, bpsn_auc, bnsp_auc: see `TermRates`; the others are posts that do not name it.
    """

    policy: str
    name: str
    group: str
    posts: int
    violating: int
    false_positives: Interval
    subgroup_auc: float
    bpsn_auc: float
    bnsp_auc: float


def measure_posts(
    texts: Sequence[str],
    targets: Floats,
    scores: Floats,
    thresholds: Mapping[str, float],
    terms: Sequence[IdentityTerm],
) -> list[PostRates]:
    """Rates and AUC of labelled posts that name a term, where enough do.

    Args:
        texts: (n,).
        targets: (n, policies) within 0 and 1; NaN unknown.
        scores: (n, policies) probabilities.
        thresholds: by policy, in the order of columns.
        terms: that are looked for.
    """
    named = named_terms(texts, terms)
    rates = []
    for column, (policy, threshold) in enumerate(thresholds.items()):
        is_known = ~np.isnan(targets[:, column])
        violating = is_known & (targets[:, column] >= 0.5)
        harmless = is_known & ~violating
        own_scores = scores[:, column]
        for index, term in enumerate(terms):
            own = named[:, index]
            own_harmless, own_violating = own & harmless, own & violating
            if (own & is_known).sum() < _LEAST_POSTS:
                continue
            enough = min(own_harmless.sum(), own_violating.sum()) >= _LEAST_OF_A_KIND
            nowhere = np.zeros(len(texts), dtype=bool)
            rates.append(
                PostRates(
                    policy,
                    term.name,
                    term.group,
                    int((own & is_known).sum()),
                    int(own_violating.sum()),
                    share_interval(
                        int((own_scores[own_harmless] >= threshold).sum()), int(own_harmless.sum())
                    ),
                    auc_between(own_scores, own_violating if enough else nowhere, own_harmless),
                    auc_between(own_scores, violating & ~own, own_harmless),
                    auc_between(own_scores, own_violating if enough else nowhere, harmless & ~own),
                )
            )
    return rates
