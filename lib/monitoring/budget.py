"""How many false incidents an installation may have, and evidence that adds up over windows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from lib.records.systems import SYSTEMS

Floats = npt.NDArray[np.float64]

_SHIFTS = np.array([1.0, 2.0, 3.0, 4.5, 7.0, 11.0, 20.0])
_WEIGHTS = np.array([0.05, 0.15, 0.25, 0.25, 0.15, 0.1, 0.05])


@dataclass(frozen=True)
class SmallestEffects:
    """Changes below these wake nobody, however sure they are.

    Attributes:
        mean: standard deviations (of normal scores).
        spread: change of the variance of normal scores.
        missing: share of rows.
        new_value: share of rows.
        share: share of rows by which a category, decision, rule or label moves; besides, its odds
            must move by `odds`.
        odds: factor.
        rows: factor by which rows or entities a window are fewer or more.
        duplicates: share of rows.
        clock: share of rows whose times are shifted.
    """

    mean: float = 0.1
    spread: float = 0.3
    missing: float = 0.01
    new_value: float = 0.005
    share: float = 0.01
    odds: float = 1.25
    rows: float = 1.5
    duplicates: float = 0.01
    clock: float = 0.5


@dataclass(frozen=True)
class ErrorBudget:
    """At most `false_incidents` in `days` of daily windows, over everything that is watched.

    Each figure that is watched has an e-detector of Shiryaev-Roberts (Shin, Ramdas and Rinaldo,
    E-detectors: a nonparametric framework for sequential change detection, 2023, arXiv
    2203.03532): R = (R + 1) * e for each window, where e has a mean of at most 1 while nothing has
    changed. Then R - windows is a supermartingale, so R reaches a threshold A at most once in A
    windows on average, whatever the dependence between figures; A = days / false_incidents *
    systems * figures shares the budget out.

    Attributes:
        days: of the budget.
        false_incidents: in so many days.
        systems: of the installation, which share it in equal parts.
        effects: the smallest that are worth waking somebody for.
        single_window: share of the threshold's logarithm that one window can reach. Below 1 an
            incident needs two windows that agree; only overwhelming evidence opens one at once.
        overwhelming: multiple of the threshold's logarithm that a single window needs.
        least_rows: smaller windows are pooled with those after them until they have as many rows.
        warm_up: windows from which a figure's variation is learnt that the reference lacks.
    """

    days: float = 90.0
    false_incidents: float = 1.0
    systems: int = len(SYSTEMS)
    effects: SmallestEffects = field(default_factory=SmallestEffects)
    single_window: float = 0.6
    overwhelming: float = 2.0
    least_rows: int = 200
    warm_up: int = 14

    def __post_init__(self) -> None:
        if self.days <= 0 or self.false_incidents <= 0 or self.systems < 1:
            raise ValueError(f"budget: expected days, false_incidents and systems above 0: {self}")
        if not 0 < self.single_window <= 1 <= self.overwhelming:
            raise ValueError(f"budget: expected single_window <= 1 <= overwhelming: {self}")

    def log_threshold(self, figures: int) -> float:
        """Natural logarithm of what an e-detector must reach, where a system watches `figures`."""
        return float(np.log(self.days / self.false_incidents * self.systems * max(figures, 1)))


def log_e_values(scores: npt.ArrayLike, degrees: npt.ArrayLike, temper: npt.ArrayLike) -> Floats:
    """Natural logarithms of e-values against the null that each score is Student's t.

    The likelihood ratio of a mixture of shifts upwards to no shift; its mean under the null is 1.
    Raised to a power `temper` below 1 (where days follow each other) its mean is at most 1.

    Args:
        scores: (...,) standardised; positive in the direction that is watched.
        degrees: (...,) of freedom, of the reference's days.
        temper: (...,) within 0 and 1.
    """
    score = np.asarray(scores, dtype=np.float64)[..., None]
    freedom = np.asarray(degrees, dtype=np.float64)[..., None]
    ratio = _log_density(score - _SHIFTS, freedom) - _log_density(score, freedom)
    mixed = logsumexp(ratio + np.log(_WEIGHTS), axis=-1)
    return np.asarray(mixed * np.asarray(temper))


def _log_density(values: Floats, freedom: Floats) -> Floats:
    """Student's t, without the part that does not depend on the value."""
    return np.asarray(-0.5 * (freedom + 1.0) * np.log1p(values**2 / freedom))


@dataclass
class Detector:
    """An e-detector of many figures at once, window by window.

    Attributes:
        log_r: (figures,) logarithm of each e-detector.
        log_c: (figures,) logarithm of the largest product of e-values up to now (Page's CUSUM).
        since: (figures,) index of the window at which that product begins.
    """

    log_r: Floats
    log_c: Floats
    since: npt.NDArray[np.int64]

    @classmethod
    def start(cls, figures: int) -> Detector:
        """Before the first window."""
        zeros = np.zeros(figures)
        return cls(np.full(figures, -np.inf), zeros, np.zeros(figures, dtype=np.int64))

    def step(self, log_e: Floats, window: int) -> None:
        """Take the e-values (figures,) of the next window; NaN where a figure says nothing."""
        says = np.isfinite(log_e)
        self.log_r = np.where(says, np.logaddexp(0.0, self.log_r) + log_e, self.log_r)
        begins = says & (self.log_c <= 0.0)
        self.since = np.where(begins, window, self.since)
        self.log_c = np.where(says, np.maximum(self.log_c, 0.0) + log_e, self.log_c)

    def reset(self, figures: npt.NDArray[np.bool_]) -> None:
        """Forget what spoke for a change of some figures."""
        self.log_r = np.where(figures, -np.inf, self.log_r)
        self.log_c = np.where(figures, 0.0, self.log_c)
