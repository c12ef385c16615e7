"""How much each day speaks for a change of each measure: what incidents rest on, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib.monitoring.budget import ErrorBudget
from lib.monitoring.figures import Figure
from lib.monitoring.window import DAY, WindowSketch

_LOG10 = float(np.log(10.0))


@dataclass(frozen=True)
class EvidenceMap:
    """Evidence of single days.

    Attributes:
        measures: names (m,).
        days: since 1970 (d,).
        values: (m, d) log10 of the largest e-value of any figure of the measure; at least 0, NaN
            where the day says nothing.
        threshold: log10 of the e-value that opens an incident, over its days together.
    """

    measures: tuple[str, ...]
    days: tuple[int, ...]
    values: npt.NDArray[np.float64]
    threshold: float


def evidence_map(
    figures: Sequence[Figure], windows: Sequence[WindowSketch], budget: ErrorBudget
) -> EvidenceMap:
    """The evidence of each day and measure; see `lib.monitoring.budget`.

    Args:
        figures: `lib.monitoring.figures.watch` of the windows.
        windows: in order of time.
        budget: of the installation.
    """
    measures = tuple(dict.fromkeys(figure.measure for figure in figures))
    values = np.full((len(measures), len(windows)), np.nan)
    for figure in figures:
        row = values[measures.index(figure.measure)]
        np.fmax(row, np.maximum(figure.log_e, 0.0) / _LOG10, out=row)
    return EvidenceMap(
        measures=measures,
        days=tuple(window.since // DAY for window in windows),
        values=values,
        threshold=budget.log_threshold(len(figures)) / _LOG10,
    )
