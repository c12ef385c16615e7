"""Group-sequential tests: how large an effect has to be at each of many looks.

A test that is looked at often and stopped when it seems to have won is wrong far more often than
it says: |Z| > 1.96 at 14 equal looks has a chance of 22% instead of 5%. Lan and DeMets (1983) spend
the allowed error over time instead: a function of the share of the experiment that has passed says
how much may have been spent by then, and the boundary of a look is what spends the difference. How
many looks there are and when need not be known before; only that nobody chooses the next look by
the result.

The O'Brien-Fleming type function spends nearly nothing early, so that the last look is almost as
sharp as a single test.

References:
    K. K. G. Lan and D. L. DeMets (1983), Discrete sequential boundaries for clinical trials,
    Biometrika 70(3), 659-663.
    P. Armitage, C. K. McPherson and B. C. Rowe (1969), Repeated significance tests on accumulating
    data, JRSS A 132(2), 235-244 (the recursion).
    C. Jennison and B. W. Turnbull (2000), Group Sequential Methods, Chapman and Hall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr, ndtri

from lib.declaration import require_share
from lib.experiment.errors import ExperimentError

Floats = npt.NDArray[np.float64]
WIDEST = 8.0
"""The largest boundary in standard errors: beyond it the error is 1e-15."""
_NODES_PER_DEVIATION = 6
_LEAST_NODES, _MOST_NODES = 64, 1200
_LEAST_INCREMENT = 1e-4


def spent_alpha(fraction: float, alpha: float = 0.05) -> float:
    """How much of the error may have been spent: 4 - 4 Phi(z(1 - alpha / 4) / sqrt(fraction)).

    This is twice Lan and DeMets' one-sided function for alpha / 2, as two-sided tests use it; from
    the planned end on, all is spent.

    Args:
        fraction: of the experiment that has passed, 0 or more.
        alpha: probability of a wrong conclusion on either side.

    >>> round(spent_alpha(0.5), 6), spent_alpha(1.2)
    (0.003051, 0.05)
    """
    if fraction <= 0.0:
        return 0.0
    if fraction >= 1.0:
        return alpha
    return float(4.0 * ndtr(ndtri(alpha / 4.0) / np.sqrt(fraction)))


@dataclass(frozen=True)
class Look:
    """One look at the outcomes.

    Attributes:
        fraction: of the planned experiment that had passed; more than 1 where it was late.
        correlation: of the estimate's standardised error with that of the look before, 0 to 1; for
            outcomes of new entities alone it is the root of the ratio of their numbers. It is
            measured, since entities that stay add to what they brought before.
        boundary: standard errors that the estimate had to exceed.
    """

    fraction: float
    correlation: float
    boundary: float


class Continuation:
    """The density of the standardised estimate while no boundary was crossed.

    Nodes and weights are those of Gauss and Legendre between the boundaries of the last look.

    Args:
        alpha: total error on both sides.
    """

    def __init__(self, alpha: float = 0.05) -> None:
        require_share("alpha", alpha, ExperimentError)
        self.alpha = alpha
        self.looks: list[Look] = []
        self._spent = 0.0
        self._nodes: Floats = np.zeros(1)
        self._mass: Floats = np.ones(1)

    def boundary(self, fraction: float, correlation: float = 0.0) -> float:
        """Add a look and return its boundary, `WIDEST` where nothing may be spent at it.

        Args:
            fraction: of the experiment that has passed, larger than before.
            correlation: with the look before; of no meaning at the first.

        Raises:
            ExperimentError: the look is not after the one before, or the correlation is none.
        """
        self._check(fraction, correlation)
        increment = spent_alpha(fraction, self.alpha) - self._spent
        kernel = _Kernel(self._nodes, self._mass, correlation if self.looks else 0.0)
        bound = WIDEST
        if increment > 1e-14 and kernel.deviation > 0.0:
            bound = kernel.bound_of(increment)
            self._spent += kernel.outside(bound)
        if kernel.deviation > 0.0:
            self._nodes, self._mass = kernel.inside(bound)
        else:  # the same outcomes again
            bound = self.looks[-1].boundary
        self.looks.append(Look(fraction, correlation if self.looks else 0.0, bound))
        return bound

    def _check(self, fraction: float, correlation: float) -> None:
        before = self.looks[-1].fraction if self.looks else 0.0
        if not fraction > before:
            raise ExperimentError(f"look: expected after {before:.4f} of the time, got {fraction}")
        if self.looks and not 0.0 <= correlation <= 1.0:
            raise ExperimentError(f"correlation: expected 0 to 1, got {correlation}")


@dataclass(frozen=True)
class _Kernel:
    """From the estimate at one look to that at the next: normal with mean `correlation * z`."""

    nodes: Floats
    mass: Floats
    correlation: float
    shift: float = 0.0

    @cached_property
    def deviation(self) -> float:
        """Standard deviation of the step; 0 where nothing new was learnt."""
        free = 1.0 - self.correlation**2
        return 0.0 if free < _LEAST_INCREMENT else float(np.sqrt(free))

    @cached_property
    def means(self) -> Floats:
        return self.correlation * self.nodes + self.shift

    def above(self, bound: float) -> float:
        """Probability to go on until now and be at or above the bound at this look."""
        return float(self.mass @ ndtr((self.means - bound) / self.deviation))

    def below(self, bound: float) -> float:
        """The same at or below the bound."""
        return float(self.mass @ ndtr((bound - self.means) / self.deviation))

    def outside(self, bound: float) -> float:
        return self.above(bound) + self.below(-bound)

    def bound_of(self, probability: float) -> float:
        """The bound that is crossed with this probability."""
        if self.outside(WIDEST) >= probability:
            return WIDEST
        if self.outside(0.0) <= probability:
            return 0.0
        return float(brentq(lambda z: self.outside(z) - probability, 0.0, WIDEST, xtol=1e-10))

    def inside(self, upper: float, lower: float | None = None) -> tuple[Floats, Floats]:
        """Nodes between the bounds, and the probability at each to go on there."""
        low = -upper if lower is None else lower
        count = int(np.clip(_NODES_PER_DEVIATION * (upper - low) / self.deviation,
                            _LEAST_NODES, _MOST_NODES))  # fmt: skip
        points, weights = np.polynomial.legendre.leggauss(count)
        nodes = 0.5 * (upper - low) * points + 0.5 * (upper + low)
        distance = (nodes[:, None] - self.means[None, :]) / self.deviation
        density = np.exp(-0.5 * distance**2) @ self.mass / (self.deviation * np.sqrt(2.0 * np.pi))
        return nodes, density * weights * 0.5 * (upper - low)


def boundaries(
    fractions: Sequence[float],
    alpha: float = 0.05,
    correlations: Sequence[float] | None = None,
) -> Floats:
    """(looks,) boundaries in standard errors, two-sided.

    Args:
        fractions: (looks,) of the planned experiment, ascending.
        alpha: total error.
        correlations: (looks,) each with the look before, the first of no meaning; None takes those
            of independent increments, sqrt(fractions[k - 1] / fractions[k]).

    >>> boundaries([0.2, 0.4, 0.6, 0.8, 1.0]).round(3).tolist()
    [4.877, 3.357, 2.68, 2.29, 2.031]
    """
    used = _independent(fractions) if correlations is None else correlations
    running = Continuation(alpha)
    return np.array([running.boundary(*look) for look in zip(fractions, used, strict=True)])


def crossing_probabilities(
    bounds: npt.ArrayLike, fractions: Sequence[float], drift: float = 0.0
) -> Floats:
    """(looks, 2) probability to cross the upper and the lower bound first at each look.

    Args:
        bounds: (looks,) in standard errors, applied on both sides.
        fractions: (looks,) information at each look, as a share of that at the end.
        drift: expected standardised estimate at the end: 2.80 for a power of .80 at 5%.

    >>> float(crossing_probabilities([1.96] * 5, [0.2, 0.4, 0.6, 0.8, 1.0]).sum().round(3))
    0.142
    """
    nodes, mass = np.zeros(1), np.ones(1)
    probabilities = []
    before = 0.0
    for bound, fraction, rho in zip(
        np.asarray(bounds, float), fractions, _independent(fractions), strict=True
    ):
        shift = drift * (np.sqrt(fraction) - rho * np.sqrt(before))
        kernel = _Kernel(nodes, mass, rho, float(shift))
        probabilities.append((kernel.above(bound), kernel.below(-bound)))
        nodes, mass = kernel.inside(float(bound))
        before = fraction
    return np.array(probabilities)


def _independent(fractions: Sequence[float]) -> list[float]:
    before = [0.0, *fractions[:-1]]
    return [float(np.sqrt(b / f)) for b, f in zip(before, fractions, strict=True)]


def conditional_power(z: float, fraction: float, drift: float, final_bound: float) -> float:
    """Probability that the end crosses the upper bound, were the drift this.

    Stopping where it is low (futility) is non-binding: boundaries are computed as if nobody
    stopped for it, so that ignoring it costs no error.

    Args:
        z: standardised estimate now.
        fraction: of the information at the end that there is now, 0 to 1.
        drift: expected standardised estimate at the end under the smallest gain worth having.
        final_bound: boundary of the last look.

    Reference: Lan, Simon and Halperin (1982), Communications in Statistics C 1, 207-219.
    """
    left = 1.0 - fraction
    if left <= 0.0:
        return float(z >= final_bound)
    reached = z * np.sqrt(fraction) + drift * left
    return float(np.exp(log_ndtr((reached - final_bound) / np.sqrt(left))))
