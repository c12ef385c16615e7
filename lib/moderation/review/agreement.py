"""How far two reviewers agree beyond chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib.evaluation import Interval, bootstrap_interval
from lib.records.review import OpinionPair


@dataclass(frozen=True, slots=True)
class Agreement:
    """About one policy: over how many pairs, the plain share of equal answers, and kappa."""

    pairs: int
    equal: float
    kappa: Interval


def cohen_kappa(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Cohen's kappa of two raters of the same posts: 1 is full agreement, 0 what chance gives.

    Cohen, A coefficient of agreement for nominal scales, Educational and Psychological
    Measurement 20 (1960).

    Args:
        first: (n,) answers of any kind that compares, n >= 1.
        second: (n,) likewise.

    Raises:
        ValueError: lengths differ, there is no pair, or both gave one and the same answer
            throughout, where kappa is not defined.
    """
    left, right = np.asarray(first), np.asarray(second)
    if left.ndim != 1 or left.shape != right.shape or not len(left):
        raise ValueError(f"expected two (n,) of equal n >= 1, got {left.shape} and {right.shape}")
    answers, codes = np.unique(np.concatenate([left, right]), return_inverse=True)
    if len(answers) == 1:
        raise ValueError("kappa is not defined where both gave one and the same answer throughout")
    ours, right_codes = codes[: len(left)], codes[len(left) :]
    shares = [
        np.bincount(rater_codes, minlength=len(answers)) / len(left)
        for rater_codes in (ours, right_codes)
    ]
    by_chance = float(shares[0] @ shares[1])
    return (float((ours == right_codes).mean()) - by_chance) / (1.0 - by_chance)


def agreement_by_policy(
    pairs: Sequence[OpinionPair], seed: int, repeats: int = 500
) -> Mapping[str, Agreement]:
    """Agreement about each policy, with percentile intervals over posts drawn with replacement.

    Kappa is NaN where it is not defined. Give the pairs of rule `sample` for what holds of all
    posts; those of rule `severity` are the severe ones only.
    """
    policies = sorted({policy for pair in pairs for policy in pair.first})
    return {policy: _agreement(policy, pairs, seed, repeats) for policy in policies}


def _agreement(policy: str, pairs: Sequence[OpinionPair], seed: int, repeats: int) -> Agreement:
    about = [pair for pair in pairs if policy in pair.first]
    first = np.array([pair.first[policy] for pair in about])
    second = np.array([pair.second[policy] for pair in about])
    equal = float((first == second).mean())
    if len({*first.tolist(), *second.tolist()}) == 1:
        nan = float("nan")
        return Agreement(len(about), equal, Interval(nan, nan, nan))
    kappa = bootstrap_interval(
        lambda rows: cohen_kappa(first[rows], second[rows]),
        [pair.subject_id for pair in about],
        seed,
        repeats,
    )
    return Agreement(len(about), equal, kappa)
