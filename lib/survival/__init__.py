"""Time to an event: outcomes, curves, estimators and measures, for censored and truncated data."""

from lib.survival.brier import brier_scores, integrated_brier_score, score_times
from lib.survival.calibration import (
    DCalibration,
    HorizonGroup,
    calibration_error,
    d_calibration,
    horizon_calibration,
)
from lib.survival.concordance import concordance
from lib.survival.curves import Curves, blend
from lib.survival.kaplan_meier import KaplanMeier
from lib.survival.outcomes import CENSORED, FAILURE, Outcomes, SurvivalError

__all__ = [
    "CENSORED",
    "FAILURE",
    "Curves",
    "DCalibration",
    "HorizonGroup",
    "KaplanMeier",
    "Outcomes",
    "SurvivalError",
    "blend",
    "brier_scores",
    "calibration_error",
    "concordance",
    "d_calibration",
    "horizon_calibration",
    "integrated_brier_score",
    "score_times",
]
