"""How much of one model's curves and how much of another's, judged on subjects new to both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib.survival.brier import integrated_brier_score
from lib.survival.curves import Curves, blend
from lib.survival.kaplan_meier import KaplanMeier
from lib.survival.outcomes import Floats, Outcomes, SurvivalError

Rows = npt.NDArray[np.int64]
Predict = Callable[[Rows], Curves]


@dataclass(frozen=True)
class BlendWeight:
    """The weight of the first model, and what its blend comes to.

    Attributes:
        weight: of the first model's S, from 0 to 1.
        ibs: integrated Brier score of that blend, on the subjects it was fitted on.
        ibs_first, ibs_second: of either model alone.
    """

    weight: float
    ibs: float
    ibs_first: float
    ibs_second: float


def fit_weight(
    outcomes: Outcomes, first: Curves, second: Curves, times: npt.ArrayLike
) -> BlendWeight:
    """The weight with the least integrated Brier score; give out-of-fold curves.

    The score is a parabola in the weight, so three values of it give its lowest point exactly.
    """
    eval_times = np.asarray(times, dtype=np.float64)
    censoring = KaplanMeier.fit_censoring(outcomes)
    grid = np.append(0.0, eval_times[eval_times > 0])

    def score(weight: float) -> float:
        return integrated_brier_score(
            outcomes, blend(first, second, weight, grid), eval_times, censoring
        )

    at_0, at_half, at_1 = score(0.0), score(0.5), score(1.0)
    bend = 2.0 * (at_0 + at_1 - 2.0 * at_half)
    slope = at_1 - at_0 - bend
    if bend <= 1e-15:
        weight = 1.0 if at_1 < at_0 else 0.0
    else:
        weight = float(np.clip(-slope / (2.0 * bend), 0.0, 1.0))
    return BlendWeight(weight, score(weight), at_1, at_0)


def folds(groups: npt.ArrayLike, count: int, seed: int) -> Iterator[tuple[Rows, Rows]]:
    """Rows to fit on and rows to predict, `count` times; a group is never in both.

    Raises:
        SurvivalError: there are fewer groups than folds.
    """
    names, owners = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < count:
        raise SurvivalError(f"expected {count} groups or more for {count} folds, got {len(names)}")
    fold_by_group = np.random.default_rng(seed).permutation(len(names)) % count
    for fold in range(count):
        in_fold = fold_by_group[owners] == fold
        yield np.flatnonzero(~in_fold), np.flatnonzero(in_fold)


def out_of_fold(
    fit: Callable[[Rows], Predict],
    groups: npt.ArrayLike,
    times: npt.ArrayLike,
    count: int = 5,
    seed: int = 0,
) -> Curves:
    """Curves of every subject by a model that saw none of its group.

    Args:
        fit: takes the rows to fit on, answers a function from rows to curves.
        groups: (n,) whose row each is.
        times: (k,) at which curves are kept, ascending from 0.
        count: of folds.
        seed: of the folds.
    """
    eval_times = np.asarray(times, dtype=np.float64)
    survival = np.empty((len(np.asarray(groups)), len(eval_times)))
    for train, rest in folds(groups, count, seed):
        survival[rest] = fit(train)(rest).at(eval_times)
    return Curves(eval_times, survival)


def likely_range(curves: Curves, outside: float, horizon: float) -> tuple[Floats, Floats]:
    """(n,) ends of the times between which failures come, `outside` / 2 left out on each side.

    Ends beyond `horizon` are `horizon`: "at least so long".
    """
    low, high = curves.quantile(1.0 - outside / 2.0), curves.quantile(outside / 2.0)
    return np.minimum(low, horizon), np.minimum(high, horizon)


def fit_outside(
    outcomes: Outcomes,
    curves: Curves,
    level: float,
    horizon: float,
    weights: npt.ArrayLike | None = None,
    owners: npt.ArrayLike | None = None,
) -> float:
    """What `likely_range` has to leave out so that it holds a share of `level`.

    Split conformal prediction on distance from the median in probability: Chernozhukov, Wuethrich
    and Zhu, PNAS 118 (2021). The level holds for subjects that are exchangeable with these, which
    must be new to the model. An end beyond the horizon counts as covered by a range that reaches
    it; subjects censored before the horizon cannot say, and are left out.

    Args:
        outcomes: of subjects new to the model.
        curves: of the same subjects.
        level: share to be held, between 0 and 1.
        horizon: see `likely_range`.
        weights: (n,) how much likelier each is among those to be predicted than here, where ages
            or the like differ: Tibshirani, Barber, Candes and Ramdas, NeurIPS 2019.
        owners: (n,) whose row each is, where several are one machine's: each owner then counts
            alike, and it is owners that are exchangeable, not rows: Lee, Barber and Willett,
            Distribution-free inference with hierarchical data (2023).

    Raises:
        SurvivalError: nobody's end is known.
    """
    is_known = (outcomes.event > 0) | (outcomes.time >= horizon)
    if not is_known.any():
        raise SurvivalError("no subject's end is known: nothing to fit intervals on")
    known_outcomes = outcomes.take(is_known)
    probabilities = 1.0 - curves.take(is_known).own(np.minimum(known_outcomes.time, horizon))
    far = np.abs(2.0 * probabilities - 1.0)
    beyond = known_outcomes.time >= horizon
    far[beyond] = np.maximum(2.0 * probabilities[beyond] - 1.0, 0.0)
    mass = np.ones(len(is_known)) if weights is None else np.asarray(weights, dtype=np.float64)
    mass, count = mass[is_known], len(far)
    if owners is not None:
        _, owner_index, rows = np.unique(
            np.asarray(owners)[is_known], return_inverse=True, return_counts=True
        )
        mass, count = mass / rows[owner_index], len(rows)
    order = np.argsort(far, kind="stable")
    share = np.cumsum(mass[order])
    rank = min(1.0, level * (count + 1) / count) * share[-1]
    position = min(int(np.searchsorted(share, rank * (1.0 - 1e-12))), len(far) - 1)
    return float(1.0 - far[order][position])
