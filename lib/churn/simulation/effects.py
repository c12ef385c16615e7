"""What interventions do to simulated accounts: the truth that estimates are held against."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lib.churn.simulation.lifecycle import CAUSES, STRENGTH, Lifecycles
from lib.churn.target import Floats, Ints

TREATMENTS: Mapping[str, Mapping[str, float]] = {
    "success_call": {"support": 0.35, "competitor": 0.25, "champion": 0.20},
    "training": {"adoption": 0.75},
    "discount": {"price": 0.70, "competitor": 0.35, "payment": 0.25},
    "executive_sponsor": {"champion": 0.75, "competitor": 0.30},
    "support_review": {"support": 0.75},
}
"""By playbook, the share of each trouble's severity that it takes away."""
ANNOYANCE: Mapping[str, float] = {"success_call": 1.06, "discount": 1.10}
"""Hazard ratio for accounts without trouble: a discount tells a calm customer to ask for more."""
_CALM_BELOW = 0.15


def chances_to_leave(
    lives: Lifecycles, accounts: Ints, day: int, window: int, treatment: str | None
) -> Floats:
    """True chance of accounts to give notice within `(day, day + window]`, treated on that day.

    Args:
        lives: what happens.
        accounts: places of accounts that are there and have not given notice.
        day: of the simulation.
        window: days.
        treatment: a key of `TREATMENTS`; None for doing nothing.
    """
    ahead = slice(day + 1, day + 1 + window)
    hazard = -np.log1p(-lives.hazard[accounts, ahead])
    if treatment is None:
        return np.asarray(-np.expm1(-hazard.sum(axis=1)))
    severity = lives.severity[accounts][:, :, ahead]
    effect = np.array([TREATMENTS[treatment].get(cause, 0.0) for cause in CAUSES])
    relief = np.einsum("k,nkd->nd", STRENGTH * effect, severity)
    calm = severity[:, :, :1].max(axis=(1, 2)) < _CALM_BELOW
    factor = np.where(calm, ANNOYANCE.get(treatment, 1.0), 1.0)[:, None]
    return np.asarray(-np.expm1(-(hazard * np.exp(-relief) * factor).sum(axis=1)))
