"""Whether the arms have the entities that they should: a test of its own, at every look.

An arm that loses entities (a crash, a filter, rows that are not written) is not comparable any
more, whatever its money. The test is a Bayes factor of a Dirichlet-multinomial against the declared
shares; under those it exceeds 1 / alpha at any time with probability alpha at most (Ville), so it
may be looked at after each entity.

Reference: M. Lindon and A. Malek (2022), Anytime-valid inference for multinomial count data,
NeurIPS 35 (arXiv 2011.03567), section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from lib.experiment.errors import ExperimentError

FALSE_STOPS = 0.001
"""Probability that arms of the declared shares are ever called uneven."""
_CONCENTRATION = 100.0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RatioCheck:
    """Entities by arm, and whether that fits the shares.

    Attributes:
        champion, challenger: entities.
        expected_challenger: entities that were to be expected.
        p_value: always valid: under the declared shares it is ever at most p with probability p.
    """

    champion: int
    challenger: int
    expected_challenger: float
    p_value: float

    @property
    def is_even(self) -> bool:
        """Whether the arms have the entities that they should."""
        return self.p_value > FALSE_STOPS


def log_bayes_factor(
    counts: npt.ArrayLike, shares: npt.ArrayLike, concentration: float = _CONCENTRATION
) -> Floats:
    """(...,) log evidence of counts (..., arms) against shares (arms,), above 0 against them.

    Args:
        counts: entities by arm, so far.
        shares: expected, above 0, with the sum 1.
        concentration: how near to the declared shares the prior expects the true ones, in entities.

    Raises:
        ExperimentError: shares or counts are none.
    """
    n = np.asarray(counts, dtype=np.float64)
    theta = np.asarray(shares, dtype=np.float64)
    if not (theta > 0.0).all() or abs(float(theta.sum()) - 1.0) > 1e-9:
        raise ExperimentError(f"shares: expected above 0 with the sum 1, got {theta.tolist()}")
    if not (n >= 0.0).all():
        raise ExperimentError("counts: expected 0 or more")
    prior = concentration * theta
    return np.asarray(
        gammaln(concentration)
        - gammaln(concentration + n.sum(axis=-1))
        + (gammaln(prior + n) - gammaln(prior) - n * np.log(theta)).sum(axis=-1)
    )


def check_ratio(counts: Sequence[tuple[int, int]], shares: Sequence[float]) -> RatioCheck:
    """Check the entities of an experiment whose share may have been raised.

    The factors of the pieces between raises multiply: each is a bet with what the former won.

    Args:
        counts: for each piece, entities first seen in it: of the champion, of the challenger.
        shares: for each piece, the challenger's share, between 0 and 1.
    """
    factors = [
        float(log_bayes_factor(pair, (1.0 - share, share)))
        for pair, share in zip(counts, shares, strict=True)
    ]
    totals = np.asarray(counts, dtype=np.int64).reshape(-1, 2)
    expected = float(totals.sum(axis=1) @ np.asarray(shares, dtype=np.float64))
    champion, challenger = totals.sum(axis=0).tolist()
    return RatioCheck(champion, challenger, expected, float(np.exp(min(0.0, -sum(factors)))))
