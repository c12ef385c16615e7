"""A calibrator: a rising broken line from raw log-odds to calibrated log-odds.

All three methods end in this one form, so they are stored alike (JSON arrays), answer alike for one
row and for many, and keep the order of scores: no two different scores become equal.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibrator:
    """Broken line through (inputs, outputs), with its own slope below and above.

    Args:
        method: temperature, platt or isotonic: how it was fitted.
        inputs: raw log-odds of the knots, rising, at least one.
        outputs: calibrated log-odds of the knots, rising.
        slope_below: slope left of the first knot, above 0.
        slope_above: slope right of the last knot, above 0.
    """

    method: str
    inputs: tuple[float, ...]
    outputs: tuple[float, ...]
    slope_below: float = 1.0
    slope_above: float = 1.0

    def __post_init__(self) -> None:
        if not self.inputs or len(self.inputs) != len(self.outputs):
            raise ValueError(
                f"calibrator: {len(self.inputs)} inputs and {len(self.outputs)} outputs; "
                "expected as many of each, at least one"
            )
        numbers = (*self.inputs, *self.outputs, self.slope_below, self.slope_above)
        if not np.isfinite(numbers).all():
            raise ValueError("calibrator: every knot and slope must be a finite number")
        if not (_rising(self.inputs) and _rising(self.outputs)):
            raise ValueError("calibrator: inputs and outputs must rise from knot to knot")
        if self.slope_below <= 0 or self.slope_above <= 0:
            raise ValueError("calibrator: slopes must be above 0")

    def log_odds(self, logits: npt.ArrayLike) -> Floats:
        """Calibrated log-odds of raw log-odds, of the same shape."""
        raw = np.asarray(logits, dtype=np.float64)
        first, last = self.inputs[0], self.inputs[-1]
        inside = np.interp(raw, self.inputs, self.outputs)
        below = np.minimum(raw - first, 0.0) * self.slope_below
        above = np.maximum(raw - last, 0.0) * self.slope_above
        return np.asarray(inside + below + above)

    def probabilities(self, logits: npt.ArrayLike) -> Floats:
        """Calibrated probabilities of raw log-odds, of the same shape."""
        return sigmoid(self.log_odds(logits))

    def probability(self, log_odds: float) -> float:
        """Calibrated probability of one raw log-odds, equal to that of `probabilities`."""
        knots, levels = self.inputs, self.outputs
        if log_odds <= knots[0]:
            return _sigmoid((log_odds - knots[0]) * self.slope_below + levels[0])
        if log_odds >= knots[-1]:
            return _sigmoid((log_odds - knots[-1]) * self.slope_above + levels[-1])
        right = bisect_right(knots, log_odds)
        left = right - 1
        slope = (levels[right] - levels[left]) / (knots[right] - knots[left])
        return _sigmoid(slope * (log_odds - knots[left]) + levels[left])

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and lists, for a manifest or a JSON file."""
        return {
            "method": self.method,
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "slope_below": self.slope_below,
            "slope_above": self.slope_above,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Calibrator":
        """The calibrator that `to_json` described; a missing key is a KeyError naming it."""
        return cls(
            method=str(stored["method"]),
            inputs=tuple(float(number) for number in stored["inputs"]),
            outputs=tuple(float(number) for number in stored["outputs"]),
            slope_below=float(stored["slope_below"]),
            slope_above=float(stored["slope_above"]),
        )


def logit(probabilities: npt.ArrayLike) -> Floats:
    """Log-odds (natural log) of probabilities, held within about +-36 so that 0 and 1 stay finite.

    >>> logit([0.5, 1.0]).round(2).tolist()
    [0.0, 36.04]
    """
    values = np.clip(np.asarray(probabilities, dtype=np.float64), 2.0**-52, 1.0 - 2.0**-52)
    return np.asarray(np.log(values) - np.log1p(-values))


def sigmoid(logits: npt.ArrayLike) -> Floats:
    """Probabilities of log-odds; large values of either sign give 0 or 1 without overflow."""
    values = np.asarray(logits, dtype=np.float64)
    small = np.exp(-np.abs(values))
    return np.asarray(np.where(values >= 0, 1.0, small) / (1.0 + small))


def _sigmoid(log_odds: float) -> float:
    """One probability of one log-odds."""
    small = math.exp(-abs(log_odds))
    return (1.0 if log_odds >= 0 else small) / (1.0 + small)


def _rising(numbers: Sequence[float]) -> bool:
    """Whether each number is above the one before."""
    return bool(np.all(np.diff(numbers) > 0))
