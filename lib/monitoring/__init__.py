"""What a model remembers of its training rows, and what has changed since."""

from lib.monitoring.bins import MeasureBins, ReferenceBins, fit_bins
from lib.monitoring.budget import ErrorBudget, SmallestEffects
from lib.monitoring.drift import detect
from lib.monitoring.incident import Incident, Kind
from lib.monitoring.reference import (
    REFERENCE_FILE,
    SCORE,
    ModelReference,
    MonitoringError,
    read_reference,
)
from lib.monitoring.reference_sketch import ReferenceSketch
from lib.monitoring.request_columns import ANSWER, REQUEST
from lib.monitoring.training_rows import RowBlock, remember
from lib.monitoring.window import DailySketches, WindowSketch

__all__ = [
    "ANSWER",
    "REFERENCE_FILE",
    "REQUEST",
    "SCORE",
    "DailySketches",
    "ErrorBudget",
    "Incident",
    "Kind",
    "MeasureBins",
    "ModelReference",
    "MonitoringError",
    "ReferenceBins",
    "ReferenceSketch",
    "RowBlock",
    "SmallestEffects",
    "WindowSketch",
    "detect",
    "fit_bins",
    "read_reference",
    "remember",
]
