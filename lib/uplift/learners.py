"""What an intervention gains, customer by customer, as a change of the chance of the outcome.

A gain is more of an outcome that is wanted, or less of one that is not. Five learners, none of
which is best everywhere, each answer a number that should rise with it: the difference that a model
of both arms sees (S-learner), that of a model for each arm (T-learner; Kuenzel et al., Metalearners
for estimating heterogeneous treatment effects, PNAS 2019), a ridge regression of doubly robust
pseudo-outcomes (DR-learner; Kennedy, 2023), the chance of the outcome untreated, and in either arm:
where an intervention works in proportion to the chance.

Their mean, each in its standard deviations and weighed by how surely the effect rises with it on
customers that it did not see, is the index by which customers are told apart. The effect is its
best linear prediction (Chernozhukov et al., 2018) on those customers, drawn to the mean effect by
its own uncertainty (James and Stein): where outcomes do not tell customers apart, all have the mean
effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.boosting.boosted_trees import BoostedTrees
from lib.boosting.parameters import TreeSettings
from lib.static_table.fitting import fit_trees
from lib.uplift.comparison import Comparison, Flags, Floats

TREES = TreeSettings(
    trees=100, depth=3, learning_rate=0.05, min_child_weight=50.0, l2=10.0, boosters=1
)
"""Effects are small beside chance: few splits, and leaves of many customers."""
LEARNERS = ("both arms", "each arm", "doubly robust", "untreated chance", "chance in either arm")
_RIDGE = 0.05
_FOLDS = 4
_LEAST_SPREAD = 1e-12


@dataclass(frozen=True)
class Effects:
    """Fitted learners of one intervention.

    Attributes:
        both: trees of all customers, with whether they were treated as the last input.
        treated, untreated: trees of each arm.
        either: trees of all customers, without it.
        centre, scale: (attributes,) mean and deviation of each attribute.
        weights: (1 + attributes,) of the ridge regression, the constant first.
        sign: 1 where more outcomes are a gain, -1 where fewer are.
    """

    both: BoostedTrees
    treated: BoostedTrees
    untreated: BoostedTrees
    either: BoostedTrees
    centre: Floats
    scale: Floats
    weights: Floats
    sign: float

    def indices(self, matrix: Floats) -> Floats:
        """What each of `LEARNERS` answers (rows, learners)."""
        untreated = _probabilities(self.untreated, matrix)
        with_it, without = (
            _probabilities(self.both, np.column_stack([matrix, np.full(len(matrix), arm)]))
            for arm in (1.0, 0.0)
        )
        return np.column_stack(
            [
                self.sign * (with_it - without),
                self.sign * (_probabilities(self.treated, matrix) - untreated),
                (_inputs(matrix, self.centre, self.scale) * self.weights).sum(axis=1),
                untreated,
                _probabilities(self.either, matrix),
            ]
        )


@dataclass(frozen=True)
class UpliftModel:
    """Effects of one intervention by customer.

    Attributes:
        effects: the learners.
        usual, spread: (learners,) mean and deviation of their answers on customers not learnt from.
        shares: (learners,) weight of each in the index; they add up to 1.
        mean: effect over all customers.
        slope: by how much the effect rises with a deviation of the index; 0 where outcomes do not
            tell customers apart.
    """

    effects: Effects
    usual: Floats
    spread: Floats
    shares: Floats
    mean: float
    slope: float

    def index(self, matrix: Floats) -> Floats:
        """By how many deviations the learners place each customer (rows,) above the others."""
        return np.asarray(self._standardised(self.effects.indices(matrix)))

    def uplift(self, matrix: Floats) -> Floats:
        """What the intervention gains (rows,), as a change of the chance of the outcome."""
        return self.mean + self.slope * self.index(matrix)

    def _standardised(self, indices: Floats) -> Floats:
        # summed row by row, so that one customer and a million give the same bits
        return np.asarray(((indices - self.usual) / self.spread * self.shares).sum(axis=1))

    def to_arrays(self) -> Mapping[str, Floats]:
        """All numbers but those of the trees, by name."""
        return {
            "centre": self.effects.centre,
            "scale": self.effects.scale,
            "weights": self.effects.weights,
            "sign": np.array([self.effects.sign]),
            "usual": self.usual,
            "spread": self.spread,
            "shares": self.shares,
            "line": np.array([self.mean, self.slope]),
        }

    @property
    def boosters(self) -> Mapping[str, BoostedTrees]:
        """The trees, by name."""
        effects = self.effects
        return {name: getattr(effects, name) for name in BOOSTERS}

    @classmethod
    def from_parts(
        cls, boosters: Mapping[str, BoostedTrees], arrays: Mapping[str, Any]
    ) -> UpliftModel:
        """The model that `boosters` and `to_arrays` gave.

        Raises:
            KeyError: a part is missing.
        """
        effects = Effects(
            both=boosters["both"],
            treated=boosters["treated"],
            untreated=boosters["untreated"],
            either=boosters["either"],
            centre=np.asarray(arrays["centre"]),
            scale=np.asarray(arrays["scale"]),
            weights=np.asarray(arrays["weights"]),
            sign=float(arrays["sign"][0]),
        )
        mean, slope = (float(value) for value in arrays["line"])
        usual, spread, shares = (np.asarray(arrays[name]) for name in ("usual", "spread", "shares"))
        return cls(effects, usual, spread, shares, mean, slope)


BOOSTERS = ("both", "treated", "untreated", "either")


def fit_uplift(customers: Comparison, seed: int) -> UpliftModel:
    """Learn effects from the customers of an intervention and of its control group."""
    pseudo = pseudo_outcomes(customers, seed)
    indices = np.zeros((len(customers), len(LEARNERS)))
    for number, (learnt, others) in enumerate(customers.splits(_FOLDS, seed + 1)):
        fitted = _fit_effects(customers.take(learnt), pseudo[learnt], seed + number)
        indices[others] = fitted.indices(customers.matrix[others])
    usual = indices.mean(axis=0)
    spread = np.maximum(indices.std(axis=0), _LEAST_SPREAD)
    standard = (indices - usual) / spread
    shares = _shares(standard, pseudo)
    mean, slope = best_line((standard * shares).sum(axis=1), pseudo)
    return UpliftModel(_fit_effects(customers, pseudo, seed), usual, spread, shares, mean, slope)


def _shares(standard: Floats, pseudo: Floats) -> Floats:
    """Weights (learners,): in how many standard errors the effect rises with each; else equal."""
    surety = np.array([max(_surety(column, pseudo), 0.0) for column in standard.T])
    total = surety.sum()
    return surety / total if total > 0.0 else np.full(len(surety), 1.0 / len(surety))


def _surety(index: Floats, pseudo: Floats) -> float:
    slope, error = _slope(index, pseudo)
    return slope / error if error > 0.0 else 0.0


def pseudo_outcomes(customers: Comparison, seed: int) -> Floats:
    """Numbers (rows,) whose mean over any group is an unbiased estimate of its gain.

    Augmented inverse propensity weighting with chances from folds that did not see the customer.
    """
    probabilities = np.zeros((2, len(customers)))
    for number, (learnt, others) in enumerate(customers.splits(_FOLDS, seed)):
        for arm, members in enumerate((~customers.treated, customers.treated)):
            trees = _fit_trees(customers.take(learnt & members), seed + number)
            probabilities[arm, others] = _probabilities(trees, customers.matrix[others])
    residual = customers.outcomes - np.where(customers.treated, probabilities[1], probabilities[0])
    direction = np.where(customers.treated, 1.0, -1.0)
    changes = probabilities[1] - probabilities[0] + direction * customers.weights * residual
    return np.asarray(customers.sign * changes)


def best_line(index: Floats, pseudo: Floats) -> tuple[float, float]:
    """Mean effect, and by how much it rises with the index: never below 0.

    Args:
        index: (rows,) about 0.
        pseudo: (rows,) of `pseudo_outcomes`.
    """
    mean, (slope, error) = float(pseudo.mean()), _slope(index, pseudo)
    if slope <= error:
        return mean, 0.0
    return mean, slope * (1.0 - (error / slope) ** 2)


def _slope(index: Floats, pseudo: Floats) -> tuple[float, float]:
    """Slope of a regression on the index, and its standard error whatever the scatter (White)."""
    centred = index - index.mean()
    spread = float((centred**2).sum())
    if spread <= _LEAST_SPREAD:
        return 0.0, 0.0
    slope = float((centred * pseudo).sum()) / spread
    residual = pseudo - pseudo.mean() - slope * centred
    return slope, float(np.sqrt((centred**2 * residual**2).sum())) / spread


def _fit_effects(customers: Comparison, pseudo: Floats, seed: int) -> Effects:
    centre, scale = _usual(customers.matrix)
    inputs = _inputs(customers.matrix, centre, scale)
    penalty = np.full(inputs.shape[1], _RIDGE * len(customers))
    penalty[0] = 0.0
    weights = np.linalg.solve(inputs.T @ inputs + np.diag(penalty), inputs.T @ pseudo)
    arms = np.column_stack([customers.matrix, customers.treated.astype(np.float64)])
    return Effects(
        both=fit_trees(arms, customers.outcomes, TREES, TREES.trees, seed),
        treated=_fit_trees(customers.take(customers.treated), seed),
        untreated=_fit_trees(customers.take(~customers.treated), seed),
        either=_fit_trees(customers, seed),
        centre=centre,
        scale=scale,
        weights=np.asarray(weights),
        sign=customers.sign,
    )


def _fit_trees(customers: Comparison, seed: int) -> BoostedTrees:
    return fit_trees(customers.matrix, customers.outcomes, TREES, TREES.trees, seed)


def _usual(matrix: Floats) -> tuple[Floats, Floats]:
    """Mean and deviation of each column without missing values; 0 and 1 of one without any."""
    known: Flags = ~np.isnan(matrix)
    count = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, matrix, 0.0).sum(axis=0) / count
    variance = (np.where(known, matrix - centre, 0.0) ** 2).sum(axis=0) / count
    return centre, np.where(variance > _LEAST_SPREAD, np.sqrt(variance), 1.0)


def _inputs(matrix: Floats, centre: Floats, scale: Floats) -> Floats:
    """A constant and the attributes in deviations; missing ones are usual."""
    values = np.nan_to_num((matrix - centre) / scale)
    return np.column_stack([np.ones(len(matrix)), values])


def _probabilities(trees: BoostedTrees, matrix: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-trees.log_odds(matrix))))
