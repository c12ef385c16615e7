"""A calibrator: a rising broken line from raw log-odds to calibrated log-odds, and its fitting.

All three methods end in this one form, so they are stored alike (JSON arrays), answer alike for one
row and for many, and keep the order of scores: no two different scores become equal.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Method = Literal["auto", "temperature", "platt", "isotonic"]
PLATT_FROM = 30
ISOTONIC_FROM = 1000
_LEAST_SLOPE = 1e-3


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


def choose_method(positives: int) -> Method:
    """Temperature below 30 positives, Platt below 1,000, isotonic from there.

    Niculescu-Mizil and Caruana, Predicting good probabilities with supervised learning (2005),
    section 5: isotonic overtakes Platt at about a thousand examples of the rarer class.
    """
    if positives < PLATT_FROM:
        return "temperature"
    return "platt" if positives < ISOTONIC_FROM else "isotonic"


def fit_calibrator(
    logits: npt.ArrayLike, labels: npt.ArrayLike, method: Method = "auto"
) -> Calibrator:
    """Calibrator from raw log-odds and what happened, on rows that no model was fitted on.

    Args:
        logits: (n,) finite raw log-odds.
        labels: (n,) 0/1. With one class only the answer is the identity, as nothing can be learnt.
        method: one of the three, or auto for `choose_method`.
    """
    raw = np.asarray(logits, dtype=np.float64)
    flags = np.asarray(labels, dtype=np.bool_)
    if raw.ndim != 1 or raw.shape != flags.shape or not len(raw):
        raise ValueError(f"expected two vectors of one length, got {raw.shape} and {flags.shape}")
    if not np.isfinite(raw).all():
        raise ValueError("logits: expected finite numbers")
    positives = int(flags.sum())
    if positives in {0, len(flags)}:
        return Calibrator("temperature", (0.0,), (0.0,))
    chosen = choose_method(positives) if method == "auto" else method
    if chosen == "isotonic":
        return _isotonic(raw, flags)
    return _temperature(raw, flags) if chosen == "temperature" else _platt(raw, flags)


def _temperature(raw: Floats, flags: npt.NDArray[np.bool_]) -> Calibrator:
    """One slope: Guo et al., On calibration of modern neural networks (2017)."""
    from scipy.optimize import minimize  # noqa: PLC0415  (who only applies one never waits for it)

    def loss(log_slope: Floats) -> float:
        return _log_loss(np.exp(log_slope[0]) * raw, flags.astype(np.float64))

    slope = float(np.exp(minimize(loss, [0.0], method="L-BFGS-B", bounds=[(-5.0, 3.0)]).x[0]))
    return Calibrator("temperature", (0.0,), (0.0,), slope, slope)


def _platt(raw: Floats, flags: npt.NDArray[np.bool_]) -> Calibrator:
    """Slope and intercept on softened targets: Platt (1999); Lin, Lin and Weng (2007)."""
    from scipy.optimize import minimize  # noqa: PLC0415  (who only applies one never waits for it)

    positives, negatives = flags.sum(), (~flags).sum()
    targets = np.where(flags, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss_and_gradient(line: Floats) -> tuple[float, Floats]:
        fitted = line[0] * raw + line[1]
        error = (sigmoid(fitted) - targets) / len(raw)
        return _log_loss(fitted, targets), np.array([error @ raw, error.sum()])

    start = [1.0, 0.0]
    bounds = [(_LEAST_SLOPE, None), (None, None)]
    slope, offset = minimize(
        loss_and_gradient, start, jac=True, method="L-BFGS-B", bounds=bounds
    ).x.tolist()
    return Calibrator("platt", (0.0,), (offset,), slope, slope)


def _isotonic(raw: Floats, flags: npt.NDArray[np.bool_]) -> Calibrator:
    """Rising steps joined at their centres, so that order inside a step is kept.

    Zadrozny and Elkan (2002) for the steps; Oron and Flournoy, Centered isotonic regression (2017)
    for joining centres. Each step's rate is drawn to the base rate by the weight of one row, so
    none is 0 or 1, and a step of few rows does not stand above its neighbours where the class is
    rare; steps that this turns around are pooled.
    """
    ordered, tie = np.unique(raw, return_inverse=True)
    count, hits = np.bincount(tie), np.bincount(tie, weights=flags)
    step_index = _steps(hits / count, count)
    rows, step_hits = np.bincount(step_index, weights=count), np.bincount(step_index, weights=hits)
    centres = np.bincount(step_index, weights=count * ordered) / rows
    drawn = (step_hits + flags.mean()) / (rows + 1.0)
    pooled = _steps(drawn, rows + 1.0)
    weights = np.bincount(pooled, weights=rows)
    centres = np.bincount(pooled, weights=rows * centres) / weights
    rates = np.bincount(pooled, weights=(rows + 1.0) * drawn) / np.bincount(
        pooled, weights=rows + 1.0
    )
    return Calibrator("isotonic", tuple(centres.tolist()), tuple(logit(rates).tolist()), 1.0, 1.0)


def _steps(rates: Floats, weights: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """The step of each rate, counted from 0, where neighbours that fall are pooled."""
    from scipy.optimize import isotonic_regression  # noqa: PLC0415  (who only applies one never waits for it)

    rising = isotonic_regression(rates, weights=weights).x
    return np.asarray(np.unique(rising, return_inverse=True)[1])


def _log_loss(logits: Floats, targets: Floats) -> float:
    """Mean cross-entropy of targets in [0, 1] from log-odds."""
    return float(np.mean(np.logaddexp(0.0, logits) - targets * logits))
