"""The squared error of survival curves, weighted for those whose end was not seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lib.survival.curves import Curves
from lib.survival.kaplan_meier import KaplanMeier
from lib.survival.outcomes import Floats, Outcomes, SurvivalError


def brier_scores(
    outcomes: Outcomes,
    curves: Curves,
    times: npt.ArrayLike,
    censoring: KaplanMeier,
) -> Floats:
    """The Brier score at each of `times` (k,): 0 is perfect, .25 is S = .5 throughout.

    Subjects whose end was seen before a time weigh 1 / G(end), those still there 1 / G(time), those
    censored before it nothing. Graf, Schmoor, Sauerbrei and Schumacher, Statistics in Medicine 18
    (1999).

    Args:
        outcomes: of n subjects.
        curves: of the same subjects.
        times: below the largest of the outcomes.
        censoring: G, usually fitted on training outcomes.

    Raises:
        SurvivalError: a time is beyond all outcomes, or G is 0 where a weight is needed.
    """
    eval_times = np.atleast_1d(np.asarray(times, dtype=np.float64))
    last = outcomes.time.max()
    if (eval_times < 0).any() or (eval_times >= last).any():
        raise SurvivalError(f"expected times from 0 to below {last}, got {eval_times.max()}")
    ended = outcomes.time[:, None] <= eval_times
    failed = ended & outcomes.failed[:, None]
    survival = curves.at(eval_times)
    counted = outcomes.failed & (outcomes.time <= eval_times.max())
    own = _weights(np.where(counted, censoring.at(outcomes.time), 1.0), outcomes.time)
    squared = np.where(failed, survival**2 * own[:, None], 0.0)
    squared += np.where(
        ~ended, (1.0 - survival) ** 2 * _weights(censoring.at(eval_times), eval_times), 0.0
    )
    return np.asarray(squared.mean(axis=0), dtype=np.float64)


def integrated_brier_score(
    outcomes: Outcomes,
    curves: Curves,
    times: npt.ArrayLike,
    censoring: KaplanMeier | None = None,
) -> float:
    """The mean of the Brier score over `times` (two or more, ascending) by the trapezoid rule.

    `censoring` is fitted on these outcomes where none is given.
    """
    eval_times = np.asarray(times, dtype=np.float64)
    scores = brier_scores(
        outcomes, curves, eval_times, censoring or KaplanMeier.fit_censoring(outcomes)
    )
    return float(np.trapezoid(scores, eval_times) / (eval_times[-1] - eval_times[0]))


def _weights(probabilities: Floats, times: Floats) -> Floats:
    if (probabilities <= 0.0).any():
        at = times[np.flatnonzero(probabilities <= 0.0)[0]]
        raise SurvivalError(f"everybody is censored by {at}: score earlier times only")
    return np.asarray(1.0 / probabilities, dtype=np.float64)
