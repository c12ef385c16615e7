"""Who is changed by an intervention: T- and X-learner, and how well an order by uplift does.

Kuenzel, Sekhon, Bickel, Yu: Metalearners for estimating heterogeneous treatment effects using
machine learning (2019), as EconML has them. They are fitted where they are used and never stored.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lib.churn.target import Floats
from lib.churn.vocabulary import ChurnError

_FEWEST = 20
Flags = NDArray[np.bool_]
Learner = Literal["t", "x"]
Uplift = Callable[[Floats], Floats]
"""(rows,) fall of the chance of (rows, features); below 0 where treatment makes it rise."""


def fit_uplift(learner: Learner, matrix: Floats, left: Floats, treated: Flags, seed: int) -> Uplift:
    """How far treatment lowers the chance to leave, learnt where it was given by chance.

    Args:
        learner: `t`, one model of each side; `x`, which also learns imputed effects and does better
            where one side is small.
        matrix: (n, features); missing values count as 0.
        left: (n,) 1 where the customer left.
        treated: (n,).
        seed: of the fits.

    Raises:
        ChurnError: too few left or stayed on a side to learn from.
    """
    # they cost seconds to import
    from econml.metalearners import TLearner, XLearner  # noqa: PLC0415
    from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    for group, group_mask in (("treated", treated), ("not treated", ~treated)):
        leavers = int(left[group_mask].sum())
        if min(leavers, int(group_mask.sum()) - leavers) < _FEWEST:
            raise ChurnError(
                f"of the {group}, {leavers} left and {int(group_mask.sum()) - leavers} stayed: at "
                f"least {_FEWEST} of each are needed to learn who is changed"
            )
    trees = HistGradientBoostingRegressor(
        max_depth=3, max_iter=60, learning_rate=0.05, min_samples_leaf=2 * _FEWEST,
        l2_regularization=10.0, early_stopping=False, random_state=seed,
    )  # fmt: skip
    model = (
        TLearner(models=trees)
        if learner == "t"
        # who was treated was decided by chance: a constant is the right propensity
        else XLearner(models=trees, propensity_model=LogisticRegression(C=1e-9))
    )
    model.fit(left, treated.astype(np.int64), X=_filled(matrix))
    return lambda rows: np.asarray(-model.effect(_filled(rows)), dtype=np.float64).ravel()


def qini_curve(uplift: Floats, left: Floats, treated: Flags) -> tuple[Floats, Floats]:
    """Leavers saved by treating the first k percent in the order of uplift.

    Radcliffe, Using control groups to target on predicted lift (2007): untreated leavers, scaled to
    the treated ones' number, less treated leavers.

    Returns:
        share of customers (n + 1,), and saved leavers as a share of the treated (n + 1,).
    """
    order = np.argsort(-uplift, kind="stable")
    has_left, is_treated = left[order], treated[order]
    count_treated, count_others = np.cumsum(is_treated), np.cumsum(~is_treated)
    gone_treated, gone_others = np.cumsum(has_left * is_treated), np.cumsum(has_left * ~is_treated)
    scaled = gone_others * count_treated / np.maximum(count_others, 1)
    saved = np.where(count_others > 0, scaled - gone_treated, 0.0) / max(int(treated.sum()), 1)
    share = np.arange(len(order) + 1) / max(len(order), 1)
    return share, np.concatenate([[0.0], saved])


def qini_coefficient(uplift: Floats, left: Floats, treated: Flags) -> float:
    """Area between the curve and the straight line of random order; above 0 beats chance."""
    share, saved = qini_curve(uplift, left, treated)
    return float(np.trapezoid(saved - saved[-1] * share, share))


def _filled(matrix: Floats) -> Floats:
    return np.nan_to_num(np.asarray(matrix, dtype=np.float64))
