"""How much more shares and means vary where entities, not rows, are drawn."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict

from lib.monitoring.bins import MISSING, Floats, Ints
from lib.monitoring.normal_scores import normal_scores


class DesignEffects(BaseModel):
    """Variance with entities drawn whole, over that of independent rows; 1 or more.

    Attributes:
        shares: of the share of a cell, on average.
        mean: of the mean of normal scores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shares: float = 1.0
    mean: float = 1.0


def design_effects(counts: Ints) -> DesignEffects:
    """Design effects within days, from random groups of entities.

    Rows of one entity are in one group, so groups differ as draws of entities do (the method of
    random groups, Wolter, Introduction to variance estimation, 2007, chapter 2). Shares: Pearson's
    statistic of groups by cells over its degrees of freedom, as Rao and Scott (1981) correct it.

    Args:
        counts: (days, groups, cells) rows.
    """
    return DesignEffects(shares=_of_shares(counts), mean=_of_mean(counts))


def _of_shares(counts: Ints) -> float:
    sizes = counts.sum(axis=2, keepdims=True)
    shares = counts.sum(axis=1, keepdims=True) / np.maximum(sizes.sum(axis=1, keepdims=True), 1)
    expected = sizes * shares
    chi_square = np.where(expected > 0, (counts - expected) ** 2 / np.maximum(expected, 1e-12), 0.0)
    groups = np.maximum((sizes[..., 0] > 0).sum(axis=1) - 1, 0)
    cells = np.maximum((shares[:, 0] > 0).sum(axis=1) - 1, 0)
    degrees = float((groups * cells).sum())
    return max(1.0, float(chi_square.sum()) / degrees) if degrees else 1.0


def _of_mean(counts: Ints) -> float:
    filled = np.delete(counts, MISSING, axis=2)
    scores = normal_scores(filled.sum(axis=(0, 1))).location
    sizes = filled.sum(axis=2)
    means = filled @ scores / np.maximum(sizes, 1)
    of_day: Floats = (filled.sum(axis=1) @ scores / np.maximum(sizes.sum(axis=1), 1))[:, None]
    spread = filled.sum(axis=1) @ scores**2 / np.maximum(sizes.sum(axis=1), 1) - of_day[:, 0] ** 2
    degrees = np.maximum((sizes > 0).sum(axis=1) - 1, 0)
    between = (sizes * (means - of_day) ** 2).sum(axis=1)
    total = float((degrees * spread).sum())
    return max(1.0, float(between[degrees > 0].sum()) / total) if total > 0 else 1.0
