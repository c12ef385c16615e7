"""Time to an event: outcomes, curves, estimators and measures, for censored and truncated data."""

from lib.survival.blending import (
    BlendWeight,
    fit_outside,
    fit_weight,
    folds,
    likely_range,
    out_of_fold,
)
from lib.survival.brier import brier_scores, integrated_brier_score, score_times
from lib.survival.calibration import (
    DCalibration,
    HorizonGroup,
    calibration_error,
    d_calibration,
    horizon_calibration,
)
from lib.survival.concordance import concordance
from lib.survival.cox import CoxModel, fit_cox
from lib.survival.curves import Curves, blend
from lib.survival.kaplan_meier import KaplanMeier
from lib.survival.likely import LikelyRange
from lib.survival.network import HazardNetwork
from lib.survival.outcomes import CENSORED, FAILURE, Outcomes, SurvivalError
from lib.survival.training import HazardEpoch, HazardSettings, Prepared, fit_network, prepare

__all__ = [
    "CENSORED",
    "FAILURE",
    "BlendWeight",
    "CoxModel",
    "Curves",
    "DCalibration",
    "HazardEpoch",
    "HazardNetwork",
    "HazardSettings",
    "HorizonGroup",
    "KaplanMeier",
    "LikelyRange",
    "Outcomes",
    "Prepared",
    "SurvivalError",
    "blend",
    "brier_scores",
    "calibration_error",
    "concordance",
    "d_calibration",
    "fit_cox",
    "fit_network",
    "fit_outside",
    "fit_weight",
    "folds",
    "horizon_calibration",
    "integrated_brier_score",
    "likely_range",
    "out_of_fold",
    "prepare",
    "score_times",
]
