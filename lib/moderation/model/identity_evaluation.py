"""A fitted model on identity terms, on functional tests and on texts that others labelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from lib.calibration import sigmoid
from lib.moderation.identity.bias import (
    DEFAULT_GAP_LIMIT,
    PolicyBias,
    Scorer,
    measure_bias,
    measure_posts,
)
from lib.moderation.identity.functional_tests import judge_cases
from lib.moderation.identity.report import IdentityFindings
from lib.moderation.identity.templates import JudgedTemplates
from lib.moderation.identity.terms import IdentityTerm, packaged_terms
from lib.moderation.model.comparison import FittedModel
from lib.moderation.model.inputs import PostInputs
from lib.moderation.model.model import ModerationModel
from lib.moderation.model.outputs import Floats

_AT_ONCE = 1024


@dataclass(frozen=True)
class IdentityMeasures:
    """By what a model is measured.

    Attributes:
        terms: identity terms.
        templates: sentences with slots for them.
        cases: tables of `TEXT_CASES` by the name of their source.
        limit: of the difference between two terms; above it a report warns.
        seed, repeats: of the draws of templates.
    """

    terms: Sequence[IdentityTerm] = field(default_factory=packaged_terms)
    templates: JudgedTemplates = field(default_factory=JudgedTemplates.packaged)
    cases: Mapping[str, pa.Table] = field(default_factory=dict)
    limit: float = DEFAULT_GAP_LIMIT
    seed: int = 7
    repeats: int = 300

    def findings(self, fit: FittedModel) -> IdentityFindings:
        """All measures of a training; none of a model without texts."""
        if fit.model.text is None:
            return IdentityFindings(limit=self.limit)
        scorer, thresholds = text_scorer(fit.model), policy_thresholds(fit.model)
        return IdentityFindings(
            bias=tuple(self.bias(fit.model)),
            posts=tuple(
                measure_posts(fit.texts, fit.targets, sigmoid(fit.log_odds), thresholds, self.terms)
            ),
            functional=tuple(
                judge_cases(table, scorer, thresholds, name) for name, table in self.cases.items()
            ),
            limit=self.limit,
            contexts=fit.model.text.size.balanced_contexts,
        )

    def bias(self, model: ModerationModel) -> list[PolicyBias]:
        """What a model makes of identity terms, of the policies that it learnt."""
        if model.text is None:
            return []
        thresholds = policy_thresholds(model)
        measured = measure_bias(
            text_scorer(model), thresholds, self.terms, self.templates, self.seed, self.repeats
        )
        return [own for own in measured if own.is_learnt]


def text_scorer(model: ModerationModel) -> Scorer:
    """Probabilities (n, policies) of texts alone."""

    def score(texts: Sequence[str]) -> Floats:
        parts = [
            model.log_odds([PostInputs(text) for text in texts[start : start + _AT_ONCE]])
            for start in range(0, len(texts), _AT_ONCE)
        ]
        return sigmoid(np.concatenate(parts)) if parts else np.zeros((0, len(model.policies)))

    return score


def policy_thresholds(model: ModerationModel) -> dict[str, float]:
    """Thresholds in the order of the policies."""
    return {name: float(model.thresholds[name]) for name in model.policies}
