"""Whether those who fail earlier were given less chance of surviving so long."""

from __future__ import annotations

import numpy as np

from lib.survival.curves import Curves
from lib.survival.outcomes import Floats, Outcomes, SurvivalError

_BLOCK = 256
_SAME = 1e-8


def concordance(outcomes: Outcomes, curves: Curves) -> float:
    """Time-dependent concordance: 1 is perfect, .5 is a guess.

    Of two subjects of whom one was seen to fail while the other was still at risk: how often the
    curve of the one that failed was lower at that time; a tie counts half. For proportional hazards
    this is Harrell's C. Antolini, Boracchi and Biganzoli, Statistics in Medicine 24 (2005).

    Args:
        outcomes: of n subjects; who entered later than another failed is not compared with it.
        curves: of the same subjects.

    Raises:
        SurvivalError: lengths differ, or no two subjects can be compared.
    """
    if len(outcomes) != len(curves):
        raise SurvivalError(f"expected {len(outcomes)} curves, got {len(curves)}")
    failed = np.flatnonzero(outcomes.failed)
    right, pairs = 0.0, 0
    for start in range(0, len(failed), _BLOCK):
        block = failed[start : start + _BLOCK]
        counts = _compared(outcomes, curves.at(outcomes.time[block]), block)
        right, pairs = right + counts[0], pairs + counts[1]
    if pairs == 0:
        raise SurvivalError("no two subjects can be compared: none failed while another was there")
    return right / pairs


def _compared(outcomes: Outcomes, survival: Floats, block: np.ndarray) -> tuple[float, int]:
    """Concordant and all pairs of the failures of `block`; `survival` is (n, block)."""
    when = outcomes.time[block]
    later = (outcomes.time[:, None] > when) | (
        (outcomes.time[:, None] == when) & ~outcomes.failed[:, None]
    )
    comparable = later & (outcomes.entry[:, None] < when)
    ahead = survival - survival[block, np.arange(len(block))]
    tied = np.abs(ahead) <= _SAME
    right = np.where(tied, 0.5, ahead > 0.0)
    return float(right[comparable].sum()), int(comparable.sum())
