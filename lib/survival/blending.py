"""How much of one model's curves and how much of another's, judged on subjects new to both."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from lib.survival.curves import Curves
from lib.survival.kaplan_meier import KaplanMeier
from lib.survival.measures import integrated_brier_score
from lib.survival.outcomes import Outcomes, SurvivalError

Rows = npt.NDArray[np.int64]


def blend(first: Curves, second: Curves, weight: float, times: npt.ArrayLike) -> Curves:
    """`weight` of the first and the rest of the second, S by S, at `times` that begin with 0.

    Raises:
        SurvivalError: the weight is not within [0, 1], or these are curves of other subjects.
    """
    if not 0.0 <= weight <= 1.0:
        raise SurvivalError(f"expected a weight from 0 to 1, got {weight}")
    if len(first) != len(second):
        raise SurvivalError(f"expected as many curves, got {len(first)} and {len(second)}")
    common = np.asarray(times, dtype=np.float64)
    mixed = weight * first.at(common) + (1.0 - weight) * second.at(common)
    return Curves(common, mixed, "hazard")


def fit_weight(outcomes: Outcomes, first: Curves, second: Curves, times: npt.ArrayLike) -> float:
    """The first model's weight with the least integrated Brier score; give out-of-fold curves.

    The score is a parabola in the weight, so three values of it give its lowest point exactly.
    """
    eval_times = np.asarray(times, dtype=np.float64)
    censoring = KaplanMeier.fit_censoring(outcomes)
    grid = np.append(0.0, eval_times[eval_times > 0])
    at_0, at_half, at_1 = (
        integrated_brier_score(outcomes, blend(first, second, weight, grid), eval_times, censoring)
        for weight in (0.0, 0.5, 1.0)
    )
    bend = 2.0 * (at_0 + at_1 - 2.0 * at_half)
    if bend <= 1e-15:
        return 1.0 if at_1 < at_0 else 0.0
    return float(np.clip(-(at_1 - at_0 - bend) / (2.0 * bend), 0.0, 1.0))


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
