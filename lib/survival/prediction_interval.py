"""Between which times failures come, among subjects whose predictions are alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib.survival.curves import Curves
from lib.survival.outcomes import Floats, Outcomes, SurvivalError

_LEAST_KNOWN = 50
_GROUPS = 5


def likely_range(curves: Curves, outside: float, horizon: float) -> tuple[Floats, Floats]:
    """(n,) ends of the times between which failures come, `outside` / 2 left out on each side.

    Ends beyond `horizon` are `horizon`: "at least so long".
    """
    low, high = curves.quantile(1.0 - outside / 2.0), curves.quantile(outside / 2.0)
    return np.minimum(low, horizon), np.minimum(high, horizon)


def fit_outside(
    outcomes: Outcomes,
    curves: Curves,
    level: float,
    horizon: float,
    mass: Floats,
    owners: npt.NDArray[np.generic],
) -> float:
    """What `likely_range` has to leave out so that it holds a share of `level`.

    Split conformal prediction on distance from the median in probability: Chernozhukov, Wuethrich
    and Zhu, PNAS 118 (2021). The level holds for subjects that are exchangeable with these, which
    must be new to the model. An end beyond the horizon counts as covered by a range that reaches
    it.

    Args:
        outcomes: of subjects whose end is known, or lies beyond the horizon.
        curves: of the same subjects.
        level: share to be held, between 0 and 1.
        horizon: see `likely_range`.
        mass: (n,) weight of each, see `PredictionInterval.fit`.
        owners: (n,) whose row each is, see `PredictionInterval.fit`.
    """
    probabilities = 1.0 - curves.own(np.minimum(outcomes.time, horizon))
    far = np.abs(2.0 * probabilities - 1.0)
    beyond = outcomes.time >= horizon
    far[beyond] = np.maximum(2.0 * probabilities[beyond] - 1.0, 0.0)
    _, owner_index, rows = np.unique(owners, return_inverse=True, return_counts=True)
    count = len(rows)
    order = np.argsort(far, kind="stable")
    share = np.cumsum((mass / rows[owner_index])[order])
    rank = min(1.0, level * (count + 1) / count) * share[-1]
    position = min(int(np.searchsorted(share, rank * (1.0 - 1e-12))), len(far) - 1)
    return float(1.0 - far[order][position])


@dataclass(frozen=True)
class PredictionInterval:
    """Intervals that hold their share of failures before the horizon, where predictions are alike.

    One width for all would hold its share on average only: subjects whose failure lies beyond the
    horizon are covered for free, and those whose failure comes pay for it. So only failures count,
    and each group of like predictions has a width of its own. Label-conditional and Mondrian
    conformal prediction: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World (2005),
    4.5 and 4.6. With few failures all whose end is known count.

    Attributes:
        edges: (k - 1,) of the mean time, restricted to the horizon, that part the groups.
        outside: (k,) what each group's interval leaves out, see `likely_range`.
        horizon: the last time; an end there says "or later".
    """

    edges: Floats
    outside: Floats
    horizon: float

    def __post_init__(self) -> None:
        if len(self.outside) != len(self.edges) + 1 or (np.diff(self.edges) < 0).any():
            raise SurvivalError("expected ascending edges, and one share more than these")

    @classmethod
    def fit(
        cls,
        outcomes: Outcomes,
        curves: Curves,
        level: float,
        horizon: float,
        weights: npt.ArrayLike | None = None,
        owners: npt.ArrayLike | None = None,
    ) -> PredictionInterval:
        """From subjects new to the model; groups of about as many whose end is known.

        Args:
            outcomes: of subjects new to the model.
            curves: of the same subjects.
            level: share of failures to be held, between 0 and 1.
            horizon: the last time that is told.
            weights: (n,) how much likelier each is among those to be predicted than here, where
                ages or the like differ: Tibshirani, Barber, Candes and Ramdas, NeurIPS 2019.
            owners: (n,) whose row each is, where several are one machine's: each owner then counts
                alike, and it is owners that are exchangeable, not rows: Lee, Barber and Willett,
                Distribution-free inference with hierarchical data (2023).

        Raises:
            SurvivalError: nobody's end is known.
        """
        is_known = (outcomes.event > 0) & (outcomes.time < horizon)
        if is_known.sum() < _LEAST_KNOWN:
            is_known = (outcomes.event > 0) | (outcomes.time >= horizon)
        if not is_known.any():
            raise SurvivalError("no subject's end is known: nothing to fit intervals on")
        mean = curves.restricted_mean(horizon)
        edges = _edges(mean[is_known])
        group_index = np.where(is_known, np.searchsorted(edges, mean, side="right"), -1)
        mass = np.ones(len(mean)) if weights is None else np.asarray(weights, dtype=np.float64)
        owner_ids = np.arange(len(mean)) if owners is None else np.asarray(owners)
        outside = [
            fit_outside(
                outcomes.take(rows), curves.take(rows), level, horizon, mass[rows], owner_ids[rows]
            )
            for rows in (group_index == group for group in range(len(edges) + 1))
        ]
        return cls(edges, np.array(outside), horizon)

    def of(self, curves: Curves) -> tuple[Floats, Floats]:
        """(n,) ends of each subject's interval."""
        group_index = np.searchsorted(
            self.edges, curves.restricted_mean(self.horizon), side="right"
        )
        low, high = np.empty(len(curves)), np.empty(len(curves))
        for group in np.unique(group_index):
            rows = group_index == group
            low[rows], high[rows] = likely_range(
                curves.take(rows), float(self.outside[group]), self.horizon
            )
        return low, high


def _edges(mean: Floats) -> Floats:
    """Ascending edges between groups of about as many, none of them with fewer than the least."""
    kept: list[float] = []
    left = len(mean)
    for edge in np.unique(np.quantile(mean, np.linspace(0.0, 1.0, _GROUPS + 1)[1:-1])):
        above = int((mean >= edge).sum())
        if min(left - above, above) >= _LEAST_KNOWN:
            kept.append(float(edge))
            left = above
    return np.array(kept)
