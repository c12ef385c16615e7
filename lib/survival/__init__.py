"""Time to an event: outcomes, curves, estimators and measures, for censored and truncated data.

What needs torch is imported when it is first asked for: it takes seconds, and most need it not.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lib.survival.blending import (
    BlendWeight,
    fit_outside,
    fit_weight,
    folds,
    likely_range,
    out_of_fold,
)
from lib.survival.brier import brier_scores, integrated_brier_score
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
from lib.survival.outcomes import CENSORED, FAILURE, Outcomes, SurvivalError
from lib.survival.prediction_interval import PredictionInterval
from lib.survival.settings import HazardSettings

if TYPE_CHECKING:
    from lib.survival.network import HazardNetwork
    from lib.survival.training import HazardEpoch, TrainingBatches, fit_network, prepare

_WITH_TORCH = {
    "HazardEpoch": "training",
    "HazardNetwork": "network",
    "TrainingBatches": "training",
    "fit_network": "training",
    "prepare": "training",
}

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
    "Outcomes",
    "PredictionInterval",
    "SurvivalError",
    "TrainingBatches",
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
]


def __getattr__(name: str) -> Any:
    """Import what needs torch."""
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WITH_TORCH[name]}"), name)
