"""An experiment whose true effects are known: drawn at random, with a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lib.uplift.comparison import Comparison, Floats


@dataclass(frozen=True)
class SimulatedExperiment:
    """Customers of both arms, and by how much the intervention changes each one's chance."""

    customers: Comparison
    effects: Floats


def prevention(seed: int, rows: int = 4_000) -> SimulatedExperiment:
    """The same customers, and the opposite outcome, which is to be prevented."""
    original = experiment(seed, rows)
    customers = replace(
        original.customers, outcomes=1.0 - original.customers.outcomes, is_unwanted=True
    )
    return SimulatedExperiment(customers, original.effects)


def experiment(
    seed: int, rows: int = 4_000, reach: float = 0.3, share: float = 0.5
) -> SimulatedExperiment:
    """A wanted outcome whose chance rises by up to `reach`, for half of the customers alone."""
    draw = np.random.default_rng(seed)
    matrix = draw.normal(0.0, 1.0, (rows, 4))
    matrix[draw.random((rows, 4)) < 0.05] = np.nan
    known = np.nan_to_num(matrix)
    base = 0.15 + 0.2 / (1.0 + np.exp(-2.0 * known[:, 1]))
    effects = np.where(known[:, 0] > 0.0, reach, 0.0)
    treated = draw.random(rows) < share
    outcomes = (draw.random(rows) < base + effects * treated).astype(np.float64)
    propensity = np.full(rows, share)
    places = np.arange(rows)
    return SimulatedExperiment(
        Comparison(matrix, treated, outcomes, propensity, places, rows), effects
    )
