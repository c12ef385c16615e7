"""Evidence against a bound that may be looked at after every decision.

An e-process is a number that starts at 1 and whose mean never grows while the bound is kept; by
Ville's inequality (1939) it ever reaches 1 / alpha with a probability of at most alpha, however
often it is looked at (Ramdas, Grünwald, Vovk, Shafer 2023, Game-theoretic statistics and safe
anytime-valid inference). Three bounds are tested:

- a share of events (Robbins 1970; Howard, Ramdas, McAuliffe, Sekhon 2021): the likelihood ratio,
  averaged over the shares above the bound;
- a mean difference of two decisions about the same subject (Waudby-Smith, Ramdas 2023, Estimating
  means of bounded random variables by betting): the wealth of bets, averaged over their sizes;
- which of two arms slow answers come from: the likelihood ratio of odds above those of the traffic,
  averaged over the odds. What slows all answers down speaks for neither arm.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincc, betaln

Floats = NDArray[np.float64]
_LEAST_SHARE = 1e-6
_BETS = 32
_ODDS = np.array([2.0, 4.0, 8.0, 16.0, 32.0])


def share_evidence(counts: Floats, bound: float) -> float:
    """Log evidence that a share is above its bound.

    Args:
        counts: (2,) of trials without and with the event.
        bound: 0 to below 1.
    """
    p = max(bound, _LEAST_SHARE)
    misses, hits = float(counts[0]), float(counts[1])
    above = float(betaincc(hits + 1.0, misses + 1.0, p))
    if above <= 0.0:
        return -np.inf
    average = float(betaln(hits + 1.0, misses + 1.0)) + np.log(above) - np.log1p(-p)
    return float(average - hits * np.log(p) - misses * np.log1p(-p))


def increase_evidence(counts: Floats, bound: float) -> float:
    """Log evidence that the mean of differences of -1, 0 and 1 is above its bound.

    Args:
        counts: (3,) of the differences -1, 0 and 1.
        bound: 0 to below 1.
    """
    wealth = counts @ _log_returns(bound)
    return _log_mean(np.asarray(wealth))


@cache
def _log_returns(bound: float) -> Floats:
    """Log of what bets (3, bets) bring at the differences -1, 0 and 1."""
    bets = (np.arange(_BETS) + 0.5) / _BETS / (1.0 + bound)
    return np.log1p(bets * (np.array([[-1.0], [0.0], [1.0]]) - bound))


def arm_evidence(wealth: Floats, _: float = 0.0) -> float:
    """Log evidence that slow answers come from the challenger's arm more than the traffic does.

    Args:
        wealth: (5,) sum of `arm_wealth` over slow answers.
    """
    return _log_mean(wealth)


def _log_mean(logs: Floats) -> float:
    """Log of the mean of numbers, from their logs."""
    highest = float(logs.max())
    return highest + math.log(float(np.exp(logs - highest).mean()))


def arm_wealth(is_challenger: bool, share: float) -> Floats:
    """What a slow answer adds to the log likelihood ratios (5,) of odds above those of the traffic.

    Args:
        is_challenger: whose answer it was.
        share: of the traffic in the challenger's arm, known before the answer, 0 to 1 exclusive.
    """
    raised = _ODDS * share / (1.0 - share + _ODDS * share)
    if is_challenger:
        return np.asarray(np.log(raised / share))
    return np.asarray(np.log((1.0 - raised) / (1.0 - share)))


class WindowedEvidence:
    """Evidence over all trials and over windows, so that a late change counts as a fresh one.

    Half of the weight is on all trials since the start; window j = 1, 2, ... has
    1 / (2 j (j + 1)). The weighted sum of e-processes is one, whatever the number of windows, and
    a window that begins anew does not owe for what was good before. A window lasts `seconds`, and
    longer until it has `least` trials.

    Args:
        value: log evidence of sums and a bound, e.g. `share_evidence`.
        size: of the vector of sums.
        bound: that is tested.
        seconds: length of a window.
        least: trials of a window, at least.
    """

    def __init__(
        self,
        value: Callable[[Floats, float], float],
        size: int,
        bound: float,
        seconds: float,
        least: int,
    ) -> None:
        self._value, self._bound = value, bound
        self._seconds, self._least = seconds, least
        self._total, self._window = np.zeros(size), np.zeros(size)
        self._trials_in_window = 0
        self._number = 1
        self._began: float | None = None
        self._finished = -np.inf
        self.trials = 0

    @property
    def total(self) -> Floats:
        """Sums over all trials (size,)."""
        return self._total

    def add(self, increments: Floats, now: float) -> None:
        """Counts a trial.

        Args:
            increments: (size,) that it adds to the sums.
            now: monotonic seconds.
        """
        self._began = now if self._began is None else self._began
        if now - self._began >= self._seconds and self._trials_in_window >= self._least:
            self._finished = float(np.logaddexp(self._finished, self._of_window()))
            self._number += 1
            self._began, self._trials_in_window = now, 0
            self._window = np.zeros_like(self._window)
        self._total += increments
        self._window += increments
        self.trials += 1
        self._trials_in_window += 1

    def log_value(self) -> float:
        """Log of the evidence; the bound is broken where it reaches log(1 / alpha)."""
        windows = np.logaddexp(self._finished, self._of_window())
        half = np.log(0.5)
        return float(half + np.logaddexp(self._value(self._total, self._bound), windows))

    def _of_window(self) -> float:
        weight = -np.log(self._number) - np.log(self._number + 1.0)
        return float(weight + self._value(self._window, self._bound))
