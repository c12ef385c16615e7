"""The survival models of machines: fitted, blended, judged, kept and asked."""

from lib.maintenance.model.prediction import HORIZONS, Driver, Prediction
from lib.maintenance.model.rows import TrainingRows
from lib.maintenance.model.settings import Costs, ModelSettings
from lib.maintenance.model.survival_model import SYSTEM, Half, SurvivalModel

__all__ = [
    "HORIZONS",
    "SYSTEM",
    "Costs",
    "Driver",
    "Half",
    "ModelSettings",
    "Prediction",
    "SurvivalModel",
    "TrainingRows",
]
