"""The survival models of machines: fitted, blended, judged, kept and asked.

What needs torch is imported when it is first asked for: it takes seconds, and most need it not.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lib.maintenance.model.prediction import HORIZONS, Driver, Prediction
from lib.maintenance.model.rows import TrainingRows
from lib.maintenance.model.settings import Costs, ModelSettings

if TYPE_CHECKING:
    from lib.maintenance.model.model import SYSTEM, Half, SurvivalModel

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


def __getattr__(name: str) -> Any:
    """Import what needs torch."""
    if name not in {"SYSTEM", "Half", "SurvivalModel"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.model"), name)
