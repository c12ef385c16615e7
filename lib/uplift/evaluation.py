"""Whether effects by customer are worth anything: uplift curves, Qini, and effects by fifth.

Customers are sorted by a score, the highest first. The curve says, for each share that would get
the intervention, how many outcomes a customer of the base would be gained (prevented, of an outcome
that is not wanted)
(Radcliffe, Using control groups to target on predicted lift, 2007), weighted by propensities. AUUC
is the area below it, Qini the area between it and the straight line to its end, which is what a
random order of the customers comes to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lib.evaluation import Interval, entity_draws
from lib.uplift.comparison import Comparison, Floats
from lib.uplift.learners import LEARNERS, UpliftModel, fit_uplift

OURS = "ours"
S_LEARNER = "S-learner"
HIGHEST_FIRST = "highest response first"
RANDOM = "random"
"""The straight line, whose Qini is 0: all scores are equal."""
FOLDS = 5
FIFTHS = 5


@dataclass(frozen=True)
class Method:
    """A way to sort customers, measured.

    Attributes:
        scores: (rows,) by models that did not see the customer.
        qini, auuc: outcomes a customer of the base, with 95% intervals over customers.
        behind: how far the Qini of ours lies above, with its interval; None of ours.
    """

    scores: Floats
    qini: Interval
    auuc: Interval
    behind: Interval | None


@dataclass(frozen=True)
class FifthEffect:
    """The effect among a fifth of the customers.

    Attributes:
        expected: mean effect that the model expects.
        measured: effect seen, with its 95% interval.
        customers: how many.
    """

    expected: float
    measured: Interval
    customers: int


@dataclass(frozen=True)
class UpliftEvaluation:
    """Effects of one intervention, measured on customers that taught nothing.

    Attributes:
        mean: gain over all customers.
        methods: by name, ours first.
        draws: (draws, 2) Qini and AUUC of each way, of the same drawn customers in all
            interventions of an experiment.
        fifths: of the customers, those with the largest expected effect first.
        treated, untreated: customers of the two arms.
        outcomes: share of customers with the outcome, untreated.
    """

    mean: Interval
    methods: Mapping[str, Method]
    draws: Mapping[str, Floats]
    fifths: Sequence[FifthEffect]
    treated: int
    untreated: int
    outcomes: float

    @property
    def suffices(self) -> bool:
        """Whether the outcomes tell customers apart: the Qini's interval lies above 0."""
        return self.methods[OURS].qini.low > 0.0


def uplift_curve(customers: Comparison, scores: Floats, times: Floats | None = None) -> Floats:
    """Outcomes gained, a customer of the base, at each share treated.

    Args:
        customers: of both arms.
        scores: (rows,) the highest are treated first; customers of equal scores come together.
        times: (rows,) how often each customer counts; default: once.

    Returns:
        (rows,) after each customer in the order of the scores.
    """
    order = np.argsort(-scores, kind="stable")
    weight = customers.weights * (1.0 if times is None else times)
    treated = np.where(customers.treated, weight, 0.0)[order]
    untreated = np.where(customers.treated, 0.0, weight)[order]
    outcomes = customers.outcomes[order]
    many, few = np.cumsum(treated), np.cumsum(untreated)
    gained = np.cumsum(treated * outcomes)
    usual = np.cumsum(untreated * outcomes) * many / np.maximum(few, 1e-300)
    curve = customers.sign * np.where(few > 0.0, gained - usual, gained) / many[-1]
    return _joined(curve, scores[order], None if times is None else times[order])


def _joined(curve: Floats, scores: Floats, times: Floats | None) -> Floats:
    """The curve with a straight line over customers of equal scores, who have no order."""
    starts = np.flatnonzero(np.append(True, scores[1:] != scores[:-1]))
    if len(starts) == len(scores):
        return curve
    ends = np.append(starts[1:], len(scores)) - 1
    done = np.cumsum(np.ones(len(scores)) if times is None else times)
    return np.asarray(np.interp(done, np.append(0.0, done[ends]), np.append(0.0, curve[ends])))


def areas(curve: Floats, times: Floats | None = None) -> tuple[float, float]:
    """Qini and AUUC of a curve; `times` says how often each of its customers counts."""
    between = (curve + np.append(0.0, curve[:-1])) / 2.0
    area = float(np.average(between, weights=times))
    return area - float(curve[-1]) / 2.0, area


def evaluate_uplift(customers: Comparison, seed: int, repeats: int) -> UpliftEvaluation:
    """Measure effects of models that did not see the customer, beside simpler ways.

    Args:
        customers: of an intervention and of its control group.
        seed: of folds, fits and draws.
        repeats: draws of the intervals.
    """
    expected = np.zeros(len(customers))
    scores = {name: np.zeros(len(customers)) for name in (OURS, S_LEARNER, HIGHEST_FIRST)}
    for number, (learnt, others) in enumerate(customers.splits(FOLDS, seed)):
        model = fit_uplift(customers.take(learnt), seed + number)
        matrix = customers.matrix[others]
        expected[others] = model.uplift(matrix)
        answers = _answers(model, matrix)
        for name, own in scores.items():
            own[others] = answers[name]
    scores[RANDOM] = np.zeros(len(customers))
    draws = _drawn_areas(customers, scores, seed, repeats)
    values = {name: areas(uplift_curve(customers, own)) for name, own in scores.items()}
    return UpliftEvaluation(
        mean=_mean_effect(customers, seed, repeats),
        methods=_methods(scores, values, draws),
        draws=draws,
        fifths=_fifths(customers, scores[OURS], expected, seed, repeats),
        treated=int(customers.treated.sum()),
        untreated=int((~customers.treated).sum()),
        outcomes=float(customers.outcomes[~customers.treated].mean()),
    )


def _answers(model: UpliftModel, matrix: Floats) -> dict[str, Floats]:
    indices = model.effects.indices(matrix)
    return {
        OURS: model.index(matrix),
        S_LEARNER: indices[:, LEARNERS.index("both arms")],
        HIGHEST_FIRST: indices[:, LEARNERS.index("chance in either arm")],
    }


def _drawn_areas(
    customers: Comparison, scores: Mapping[str, Floats], seed: int, repeats: int
) -> dict[str, Floats]:
    """Qini and AUUC (draws, 2) of each way, customers drawn with replacement."""
    orders = {name: np.argsort(-own, kind="stable") for name, own in scores.items()}
    drawn: dict[str, list[tuple[float, float]]] = {name: [] for name in scores}
    for counts in entity_draws(np.arange(customers.among), seed, repeats):
        times = counts[customers.places].astype(np.float64)
        for name, own in scores.items():
            curve = uplift_curve(customers, own, times)
            drawn[name].append(areas(curve, times[orders[name]]))
    return {name: np.array(values) for name, values in drawn.items()}


def _methods(
    scores: Mapping[str, Floats],
    values: Mapping[str, tuple[float, float]],
    draws: Mapping[str, Floats],
) -> dict[str, Method]:
    methods = {}
    for name, (qini, auuc) in values.items():
        ahead = draws[OURS][:, 0] - draws[name][:, 0]
        methods[name] = Method(
            scores=scores.get(name, np.zeros(0)),
            qini=_interval(qini, draws[name][:, 0]),
            auuc=_interval(auuc, draws[name][:, 1]),
            behind=None if name == OURS else _interval(values[OURS][0] - qini, ahead),
        )
    return methods


def pooled(evaluations: Sequence[UpliftEvaluation]) -> dict[str, Method]:
    """The ways to sort customers in the mean over an experiment's interventions."""
    names = list(evaluations[0].methods)
    draws = {
        name: np.mean([evaluation.draws[name] for evaluation in evaluations], axis=0)
        for name in names
    }
    values = {}
    for name in names:
        own = [evaluation.methods[name] for evaluation in evaluations]
        values[name] = (
            float(np.mean([method.qini.value for method in own])),
            float(np.mean([method.auuc.value for method in own])),
        )
    return _methods({}, values, draws)


def _interval(value: float, draws: Floats) -> Interval:
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def mean_effect(customers: Comparison, times: Floats | None = None) -> float:
    """What is gained: the outcomes' shares of the arms apart, weighted by propensities."""
    weight = customers.weights * (1.0 if times is None else times)
    shares = []
    for arm in (customers.treated, ~customers.treated):
        total = weight[arm].sum()
        if total <= 0.0:
            return float("nan")
        shares.append(float((weight[arm] * customers.outcomes[arm]).sum() / total))
    return customers.sign * (shares[0] - shares[1])


def _mean_effect(customers: Comparison, seed: int, repeats: int) -> Interval:
    draws = [
        mean_effect(customers, counts.astype(np.float64))
        for counts in entity_draws(np.arange(len(customers)), seed, repeats)
    ]
    return _interval(mean_effect(customers), np.array(draws)[np.isfinite(draws)])


def _fifths(
    customers: Comparison, scores: Floats, expected: Floats, seed: int, repeats: int
) -> list[FifthEffect]:
    order = np.argsort(-scores, kind="stable")
    return [
        FifthEffect(
            expected=float(expected[rows].mean()),
            measured=_mean_effect(customers.take(rows), seed, repeats),
            customers=len(rows),
        )
        for rows in np.array_split(order, FIFTHS)
    ]
