"""How far two reviewers agree beyond chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib.evaluation import Interval, bootstrap_interval
from lib.records.review import OpinionPair

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Agreement:
    """About one policy: over how many pairs, the plain share of equal answers, and kappa."""

    pairs: int
    equal: float
    kappa: Interval


def cohen_kappa(first: Bools, second: Bools) -> float:
    """Cohen's kappa of two raters of the same subjects: 1 is full agreement, 0 what chance gives.

    Cohen, A coefficient of agreement for nominal scales, Educational and Psychological
    Measurement 20 (1960).

    Args:
        first: (n,) whether each one violates, n >= 1.
        second: (n,) likewise.

    Raises:
        ValueError: both gave one and the same answer throughout, where kappa is not defined.
    """
    if (first == first[0]).all() and (second == first[0]).all():
        raise ValueError("kappa is not defined where both gave one and the same answer throughout")
    yes, other = float(first.mean()), float(second.mean())
    by_chance = yes * other + (1.0 - yes) * (1.0 - other)
    return (float((first == second).mean()) - by_chance) / (1.0 - by_chance)


def agreement_by_policy(
    pairs: Sequence[OpinionPair], seed: int, repeats: int = 500
) -> Mapping[str, Agreement]:
    """Agreement about each policy, with percentile intervals over subjects drawn with replacement.

    Kappa is NaN where it is not defined. Give the pairs of rule `sample` for what holds of all
    subjects; those of rule `severity` are the severe ones only.
    """
    policies = sorted({policy for pair in pairs for policy in pair.first})
    return {policy: _agreement(policy, pairs, seed, repeats) for policy in policies}


def _agreement(policy: str, pairs: Sequence[OpinionPair], seed: int, repeats: int) -> Agreement:
    about = [pair for pair in pairs if policy in pair.first]
    first = np.array([pair.first[policy] for pair in about])
    second = np.array([pair.second[policy] for pair in about])
    equal = float((first == second).mean())
    if len({*first.tolist(), *second.tolist()}) == 1:
        return Agreement(len(about), equal, Interval(*[float("nan")] * 3))
    kappa = bootstrap_interval(
        lambda rows: cohen_kappa(first[rows], second[rows]),
        [pair.subject_id for pair in about],
        seed,
        repeats,
    )
    return Agreement(len(about), equal, kappa)
