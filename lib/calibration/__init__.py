"""Probabilities that mean what they say: fitting, storing and measuring calibration."""

from lib.calibration.calibrator import (
    Calibrator,
    Method,
    choose_method,
    fit_calibrator,
    logit,
    sigmoid,
)
from lib.calibration.measures import (
    ReliabilityBin,
    calibration_error_by_chance,
    expected_calibration_error,
    reliability,
)

__all__ = [
    "Calibrator",
    "Method",
    "ReliabilityBin",
    "calibration_error_by_chance",
    "choose_method",
    "expected_calibration_error",
    "fit_calibrator",
    "logit",
    "reliability",
    "sigmoid",
]
