"""Real outcomes that ship with lifelines, with curves that any program can compute."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from lifelines.datasets import load_gbsg2, load_lung

from lib.survival.curves import Curves
from lib.survival.outcomes import Outcomes

Sample = tuple[Outcomes, Curves, np.ndarray]


def breast_cancer() -> Sample:
    """686 women, 299 recurrences; the more nodes were positive, the sooner."""
    table = load_gbsg2()
    outcomes = Outcomes(table["time"].to_numpy(), table["cens"].to_numpy())
    return _exponential(outcomes, 0.05 * table["pnodes"].to_numpy(), 3000.0)


def lung_cancer() -> Sample:
    """228 patients, 165 deaths; the worse the ECOG score, the sooner."""
    table = load_lung().dropna(subset=["ph.ecog"])
    outcomes = Outcomes(table["time"].to_numpy(), table["status"].to_numpy())
    return _exponential(outcomes, 0.4 * table["ph.ecog"].to_numpy(), 600.0)


def _exponential(outcomes: Outcomes, risk: np.ndarray, scale: float) -> Sample:
    times = np.unique(np.append(0.0, outcomes.time))
    survival = np.exp(-times / scale * np.exp(risk)[:, None])
    return outcomes, Curves(times, survival, "hazard"), risk


SAMPLES: dict[str, Callable[[], Sample]] = {
    "breast cancer": breast_cancer,
    "lung cancer": lung_cancer,
}
