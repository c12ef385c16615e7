"""All that a training tells of identity terms, and the part of its report about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lib.evaluation import Interval
from lib.moderation.identity.bias import (
    DEFAULT_GAP_LIMIT,
    PolicyBias,
    PostRates,
    TermRates,
    plain_values,
)
from lib.moderation.identity.functional_tests import CaseGroup, FunctionalResult
from lib.report import Block, Cell, KeyFigure, Note, Section, Table

_MOST_TERMS, _FEWEST_TERMS, _MOST_FUNCTIONS = 12, 3, 60
_ENGLISH = (
    "Terms, templates and contexts are English: nothing was measured in other languages unless "
    "terms and templates of your own were given."
)


@dataclass(frozen=True)
class ContextCost:
    """One policy with balanced contexts and, of a second training, without.

    Attributes:
        policy: id.
        precision, precision_without: average precision on the test posts.
        gap, gap_without: largest difference of false positive rates between terms.
    """

    policy: str
    precision: float
    precision_without: float
    gap: float
    gap_without: float


def context_costs(
    precisions: Mapping[str, float],
    bias: Sequence[PolicyBias],
    precisions_without: Mapping[str, float],
    bias_without: Sequence[PolicyBias],
) -> tuple[ContextCost, ...]:
    """By policy, what contexts cost and bring.

    Args:
        precisions: average precision by policy, with contexts.
        bias: of the model that learnt contexts.
        precisions_without: of the model that learnt none.
        bias_without: of that model.
    """
    gaps = {own.policy: own.false_positive_gap.value for own in bias_without}
    return tuple(
        ContextCost(
            own.policy,
            precisions[own.policy],
            precisions_without[own.policy],
            own.false_positive_gap.value,
            gaps[own.policy],
        )
        for own in bias
        if own.policy in gaps
    )


@dataclass(frozen=True)
class IdentityFindings:
    """What was measured.

    Attributes:
        bias: by policy, on templates.
        posts: by policy and term, on test posts that name it.
        functional: of each table of cases.
        limit: difference of false positive rates above which the report warns.
        contexts: balanced contexts for each training text; 0 where none were learnt.
        costs: by policy, what contexts cost, where a second model was trained without them.
    """

    bias: tuple[PolicyBias, ...] = ()
    posts: tuple[PostRates, ...] = ()
    functional: tuple[FunctionalResult, ...] = ()
    limit: float = DEFAULT_GAP_LIMIT
    contexts: float = 0.0
    costs: tuple[ContextCost, ...] = ()

    @property
    def metrics(self) -> dict[str, float]:
        """For the artifact's manifest."""
        metrics = {}
        for own in self.bias:
            metrics[f"identity_fpr_gap_{own.policy}"] = own.false_positive_gap.value
            metrics[f"identity_fnr_gap_{own.policy}"] = own.false_negative_gap.value
        for result in self.functional:
            for group in result.overall:
                metrics[f"auc_{result.source}_{group.policy}"] = group.auc.value
        return {name: value for name, value in metrics.items() if np.isfinite(value)}

    def key_figures(self) -> list[KeyFigure]:
        """The largest difference of all policies; none where nothing was measured."""
        if not self.bias:
            return []
        worst = max(self.bias, key=lambda own: own.false_positive_gap.value)
        return [
            KeyFigure(
                "between identity terms",
                f"{worst.false_positive_gap.value:.2f}",
                f"largest difference of false positive rates, by {worst.policy}",
            )
        ]

    def warnings(self) -> list[str]:
        """A sentence for each policy whose largest gap is above the limit."""
        lines = []
        for own in self.bias:
            if own.false_positive_gap.value > self.limit:
                above = [
                    term
                    for term in own.terms
                    if term.false_positives.value - own.lowest.false_positives.value > self.limit
                ]
                names = ", ".join(_share_of(term) for term in above[:5])
                more = f" and {len(above) - 5} more terms" if len(above) > 5 else ""
                lines.append(
                    f"Warning: {own.policy} flags harmless sentences by the group that they name: "
                    f"{names}{more}, but {_share_of(own.lowest)}. The largest difference is "
                    f"{own.false_positive_gap.value:.2f}, above the limit of {self.limit:g}."
                )
        return lines

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "limit": self.limit,
            "contexts_per_text": self.contexts,
            "language": "en",
            "policies": [own.to_json() for own in self.bias],
            "posts": [plain_values(asdict(rates)) for rates in self.posts],
            "context_costs": [plain_values(asdict(cost)) for cost in self.costs],
            "functional_tests": [plain_values(asdict(result)) for result in self.functional],
        }

    def sections(self) -> list[Section]:
        """Of the report of a training."""
        if not self.bias:
            return []
        blocks: list[Block] = [Note(self._preface()), self._gaps()]
        blocks += [_terms(own) for own in self.bias if own.false_positive_gap.value > 0.0][:2]
        if self.posts:
            blocks.append(_posts(self.posts))
        if self.costs:
            blocks.append(_costs(self.costs))
        sections = [Section("Identity terms", tuple(blocks))]
        return sections + [_functional(result) for result in self.functional]

    def _preface(self) -> str:
        own = self.bias[0]
        learnt = (
            f"Training learnt {self.contexts:g} balanced contexts for each text"
            if self.contexts
            else "Training learnt no balanced contexts"
        )
        return (
            f"Harmless sentences that differ in an identity term alone, {len(own.terms)} terms, at "
            "each policy's threshold. The gap is the highest less the lowest share of flagged "
            f"sentences of two terms. {learnt}; no template here was among them, and held-out "
            f"terms were in none. {_ENGLISH}"
        )

    def _gaps(self) -> Table:
        rows = tuple(
            (
                own.policy,
                own.threshold,
                own.mean_false_positives,
                *_cells(own.false_positive_gap),
                own.highest.name,
                own.lowest.name,
                _finite(own.held_out_gap.value),
                _finite(own.false_negative_gap.value),
                _finite(own.mean_subgroup_auc),
            )
            for own in self.bias
        )
        header = (
            "policy",
            "at",
            "flagged",
            "gap",
            "from",
            "to",
            "most",
            "fewest",
            "held-out gap",
            "missed gap",
            "AUC",
        )
        caption = (
            "at: threshold; flagged: share of harmless sentences; from, to: 95% interval of the "
            "gap over templates; held-out gap: of held-out terms; missed gap: the same difference "
            "of hateful sentences that are not flagged; AUC: within terms, their mean."
        )
        return Table(header, rows, caption=caption)


def _share_of(term: TermRates) -> str:
    return f"{term.false_positives.value:.0%} of those about '{term.name}'"


def _terms(own: PolicyBias) -> Table:
    chosen = own.terms
    if len(chosen) > _MOST_TERMS + _FEWEST_TERMS:
        chosen = (*own.terms[:_MOST_TERMS], *own.terms[-_FEWEST_TERMS:])
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            term.name,
            term.group,
            "yes" if term.held_out else "",
            *_cells(term.false_positives),
            _finite(term.false_negatives.value),
            *_aucs(term),
        )
        for term in chosen
    )
    header = (
        f"{own.policy}: term",
        "group",
        "held out",
        "flagged",
        "from",
        "to",
        "missed",
        "subgroup AUC",
        "BPSN AUC",
        "BNSP AUC",
    )
    caption = (
        f"The {_MOST_TERMS} terms with most false positives and the {_FEWEST_TERMS} with fewest; "
        "all are in report.json. BPSN: hateful sentences of other terms against harmless ones of "
        "this; BNSP the other way round (Borkan et al., 2019). Intervals: Wilson, 95%."
    )
    return Table(header, rows, caption=caption)


def _posts(posts: tuple[PostRates, ...]) -> Table:
    ranked = sorted(posts, key=lambda own: -np.nan_to_num(own.false_positives.value, nan=-1.0))
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (own.policy, own.name, own.posts, own.violating, *_cells(own.false_positives), *_aucs(own))
        for own in ranked[:_MOST_TERMS]
    )
    header = (
        "policy",
        "test posts that name",
        "posts",
        "violate",
        "flagged of the rest",
        "from",
        "to",
        "subgroup AUC",
        "BPSN AUC",
        "BNSP AUC",
    )
    caption = "Words are counted whatever they describe, so 'white' may be a wall."
    return Table(header, rows, caption=caption)


def _costs(costs: tuple[ContextCost, ...]) -> Table:
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            cost.policy,
            *map(_finite, (cost.precision, cost.precision_without)),
            *map(_finite, (cost.gap, cost.gap_without)),
        )
        for cost in costs
    )
    header = ("policy", "average precision", "without contexts", "gap", "gap without contexts")
    caption = "On the same test posts and templates; the second model learnt no balanced contexts."
    return Table(header, rows, caption=caption)


def _functional(result: FunctionalResult) -> Section:
    header = ("policy", "cases", "violate", "AUC", "from", "to", "precision", "recall", "AP")
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            own.policy,
            own.cases,
            own.violating,
            *_cells(own.auc),
            *map(_finite, vars(result.figures[own.policy]).values()),
        )
        for own in result.overall
    )
    blocks: list[Block] = []
    if result.skipped:
        blocks.append(Note(f"{result.skipped:,} cases are of policies that the model lacks."))
    if rows:
        blocks.append(Table(header, rows, caption="Nothing here was learnt from."))
    for words, groups in (("function", result.functions), ("about", result.identities)):
        if groups:
            blocks.append(_groups(words, groups))
    return Section(f"Other texts: {result.source}", tuple(blocks))


def _groups(words: str, groups: tuple[CaseGroup, ...]) -> Table:
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (own.policy, own.name, own.cases, own.violating, *_cells(own.accuracy), *_cells(own.auc))
        for own in groups[:_MOST_FUNCTIONS]
    )
    header = (
        "policy",
        words,
        "cases",
        "violate",
        "right",
        "from",
        "to",
        "AUC",
        "AUC from",
        "AUC to",
    )
    caption = (
        "right: at the policy's threshold, least first; AUC: against all cases of the other "
        "outcome."
    )
    if words == "about":
        caption = f"Cases that violate, by the group that they are about; {caption}"
    return Table(header, rows, caption=caption)


def _cells(interval: Interval) -> tuple[float | None, float | None, float | None]:
    return _finite(interval.value), _finite(interval.low), _finite(interval.high)


def _aucs(own: TermRates | PostRates) -> tuple[float | None, ...]:
    return _finite(own.subgroup_auc), _finite(own.bpsn_auc), _finite(own.bnsp_auc)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
