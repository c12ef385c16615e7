"""The product-limit estimator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib.survival.curves import Curves
from lib.survival.outcomes import Floats, Outcomes


@dataclass(frozen=True)
class KaplanMeier:
    """S of a population as a step function: Kaplan and Meier, JASA 53 (1958).

    Attributes:
        times: (m,) ascending, beginning with 0: where S falls.
        survival: (m,) S from each time on.
        variance: (m,) Greenwood's estimate of the variance of S.
    """

    times: Floats
    survival: Floats
    variance: Floats

    @classmethod
    def fit(cls, outcomes: Outcomes) -> KaplanMeier:
        """Of failures; other causes count as censored."""
        return cls._product_limit(outcomes, outcomes.failed)

    @classmethod
    def fit_censoring(cls, outcomes: Outcomes) -> KaplanMeier:
        """Of being censored: G(t), for weights by the inverse of its probability.

        A subject that fails at the time at which another is censored counts as not at risk of
        being censored any more, as in Graf et al., Statistics in Medicine 18 (1999).
        """
        return cls._product_limit(outcomes, ~outcomes.failed, failures_first=True)

    def at(self, times: npt.ArrayLike) -> Floats:
        """S at `times` (k,); before the first fall 1, after the last one as there."""
        eval_times = np.asarray(times, dtype=np.float64)
        return self.survival[np.searchsorted(self.times, eval_times, side="right") - 1]

    def curves(self, count: int) -> Curves:
        """The same curve for `count` subjects."""
        times, survival = self.times, self.survival
        if len(times) == 1:  # nothing ever happened
            times, survival = np.array([0.0, 1.0]), np.ones(2)
        return Curves(times, np.broadcast_to(survival, (count, len(times))), "step")

    @classmethod
    def _product_limit(
        cls, outcomes: Outcomes, ended: npt.NDArray[np.bool_], failures_first: bool = False
    ) -> KaplanMeier:
        times, events = np.unique(outcomes.time[ended], return_counts=True)
        exits = np.searchsorted(np.sort(outcomes.time), times, side="left")
        at_risk = (len(outcomes) - exits).astype(np.float64)
        if failures_first:
            other = np.sort(outcomes.time[~ended])
            at_risk -= np.searchsorted(other, times, side="right") - np.searchsorted(
                other, times, side="left"
            )
        survival = np.cumprod(1.0 - events / at_risk)
        with np.errstate(divide="ignore", invalid="ignore"):
            growth = np.cumsum(events / (at_risk * (at_risk - events)))
            variance = np.nan_to_num(survival**2 * growth, nan=0.0, posinf=0.0)
        return cls(np.append(0.0, times), np.append(1.0, survival), np.append(0.0, variance))
