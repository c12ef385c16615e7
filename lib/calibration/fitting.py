"""Fitting a calibrator, with as much freedom as the number of positives can bear."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression, minimize

from lib.calibration.calibrator import Calibrator, Floats, logit, sigmoid

Method = Literal["auto", "temperature", "platt", "isotonic"]
PLATT_FROM = 30
ISOTONIC_FROM = 1000
_LEAST_SLOPE = 1e-3


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

    def loss(log_slope: Floats) -> float:
        return _log_loss(np.exp(log_slope[0]) * raw, flags.astype(np.float64))

    slope = float(np.exp(minimize(loss, [0.0], method="L-BFGS-B", bounds=[(-5.0, 3.0)]).x[0]))
    return Calibrator("temperature", (0.0,), (0.0,), slope, slope)


def _platt(raw: Floats, flags: npt.NDArray[np.bool_]) -> Calibrator:
    """Slope and intercept on softened targets: Platt (1999); Lin, Lin and Weng (2007)."""
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
    rising = isotonic_regression(rates, weights=weights).x
    return np.asarray(np.unique(rising, return_inverse=True)[1])


def _log_loss(logits: Floats, targets: Floats) -> float:
    """Mean cross-entropy of targets in [0, 1] from log-odds."""
    return float(np.mean(np.logaddexp(0.0, logits) - targets * logits))
