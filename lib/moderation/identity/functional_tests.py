"""Functional tests: texts that each test one ability of a model, with the answer that is expected.

Roettger et al., HateCheck: functional tests for hate speech detection models (ACL 2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import rankdata

from lib.evaluation import Interval, average_precision
from lib.moderation.identity.bias import Scorer, share_interval

_NONE = Interval(float("nan"), float("nan"), float("nan"))
_NORMAL_97_5 = 1.959964
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class CaseGroup:
    """What a model is worth on some cases.

    Attributes:
        policy: id.
        name: of the function or identity; `all` of all cases.
        cases, violating: how many.
        accuracy: share answered right at the policy's threshold, with Wilson's interval.
        auc: its cases against all cases of the policy with the other outcome (where the group has
            both outcomes, against each other), with DeLong's interval.
    """

    policy: str
    name: str
    cases: int
    violating: int
    accuracy: Interval
    auc: Interval


@dataclass(frozen=True)
class CaseFigures:
    """Precision and recall at the policy's threshold, and average precision; NaN undefined."""

    precision: float
    recall: float
    average_precision: float


@dataclass(frozen=True)
class FunctionalResult:
    """What a table of cases came to.

    Attributes:
        source: of the table.
        skipped: cases of policies that the model does not know.
        overall: by policy.
        functions: by policy and function, the least accurate first.
        identities: the same by identity, of the cases that violate.
        figures: by policy.
    """

    source: str
    skipped: int
    overall: tuple[CaseGroup, ...]
    functions: tuple[CaseGroup, ...]
    identities: tuple[CaseGroup, ...]
    figures: Mapping[str, CaseFigures]


def judge_cases(
    table: pa.Table, scorer: Scorer, thresholds: Mapping[str, float], source: str
) -> FunctionalResult:
    """A model on a table of `TEXT_CASES`.

    Args:
        table: its rows.
        scorer: see `Scorer`.
        thresholds: by policy, in the order of the scorer's columns.
        source: of the table, in words.
    """
    policies = list(thresholds)
    rows = [row for row in table.to_pylist() if row["policy"] in thresholds]
    scores = scorer([row["text"] for row in rows]) if rows else np.zeros((0, len(policies)))
    overall: list[CaseGroup] = []
    functions: list[CaseGroup] = []
    identities: list[CaseGroup] = []
    figures: dict[str, CaseFigures] = {}
    for column, policy in enumerate(policies):
        own = [k for k, row in enumerate(rows) if row["policy"] == policy]
        if not own:
            continue
        cases = _Cases.of([rows[k] for k in own], scores[own, column], policy, thresholds[policy])
        all_cases = np.ones(len(own), dtype=np.bool_)
        overall.append(cases.group("all", all_cases))
        functions += cases.groups("function", all_cases)
        identities += cases.groups("identity", cases.violates)
        figures[policy] = cases.figures()
    return FunctionalResult(
        source,
        table.num_rows - len(rows),
        tuple(overall),
        tuple(functions),
        tuple(identities),
        figures,
    )


@dataclass(frozen=True)
class _Cases:
    """Cases (n,) of one policy."""

    policy: str
    threshold: float
    scores: Floats
    violates: Flags
    function: NDArray[Any]
    identity: NDArray[Any]

    @classmethod
    def of(
        cls, rows: Sequence[Mapping[str, Any]], scores: Floats, policy: str, threshold: float
    ) -> _Cases:
        return cls(
            policy,
            threshold,
            scores,
            np.array([row["violates"] for row in rows], dtype=np.bool_),
            np.array([row.get("function") for row in rows], dtype=object),
            np.array([row.get("identity") for row in rows], dtype=object),
        )

    def group(self, name: str, inside: Flags) -> CaseGroup:
        """Figures of some cases."""
        right = (self.scores >= self.threshold) == self.violates
        violating, harmless = inside & self.violates, inside & ~self.violates
        positive = violating if violating.any() else self.violates
        negative = harmless if harmless.any() else ~self.violates
        return CaseGroup(
            self.policy,
            name,
            int(inside.sum()),
            int(violating.sum()),
            share_interval(int(right[inside].sum()), int(inside.sum())),
            auc_interval(self.scores[positive], self.scores[negative]),
        )

    def groups(self, kind: str, among: Flags) -> list[CaseGroup]:
        """Figures by function or identity, the least accurate first."""
        values = getattr(self, kind)
        names = sorted({str(value) for value in values[among] if value is not None})
        entries = [self.group(name, among & (values == name)) for name in names]
        return sorted(entries, key=lambda entry: (entry.accuracy.value, entry.name))

    def figures(self) -> CaseFigures:
        """Precision, recall and average precision of all cases."""
        flagged = self.scores >= self.threshold
        hits = float((flagged & self.violates).sum())
        both = 0 < self.violates.sum() < len(self.violates)
        return CaseFigures(
            hits / float(flagged.sum()) if flagged.any() else float("nan"),
            hits / float(self.violates.sum()) if self.violates.any() else float("nan"),
            average_precision(self.violates, self.scores) if both else float("nan"),
        )


def auc_interval(positive: Floats, negative: Floats) -> Interval:
    """AUC with its 95% interval: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988).

    NaN where either has no row; without an interval where either has one.
    """
    count_positive, count_negative = len(positive), len(negative)
    if not count_positive or not count_negative:
        return _NONE
    ranks = rankdata(np.concatenate([positive, negative]))
    above = (ranks[:count_positive] - rankdata(positive)) / count_negative
    below = 1.0 - (ranks[count_positive:] - rankdata(negative)) / count_positive
    value = float(above.mean())
    if min(count_positive, count_negative) < 2:
        return Interval(value, float("nan"), float("nan"))
    variance = above.var(ddof=1) / count_positive + below.var(ddof=1) / count_negative
    half = _NORMAL_97_5 * float(np.sqrt(variance))
    return Interval(value, max(0.0, value - half), min(1.0, value + half))
