"""CUPED: what was known of an entity before the experiment explains part of its outcome.

The arms are drawn independently of the past, so taking out what the past explains leaves the
expected difference as it is and cuts its variance by the squared correlation with it.

References:
    A. Deng, Y. Xu, R. Kohavi and T. Walker (2013), Improving the sensitivity of online controlled
    experiments by utilizing pre-experiment data, WSDM, 123-132.
    W. Lin (2013), Agnostic notes on regression adjustments to experimental data, Annals of Applied
    Statistics 7(1), 295-318 (valid whatever the true relation is).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.business.outcomes import Flags, Floats


@dataclass(frozen=True)
class Adjustment:
    """Outcomes without what the past explains.

    Attributes:
        values: (entities,) with the mean of the outcomes.
        variance_cut: share of the variance within arms that was explained, 0 to 1.
    """

    values: Floats
    variance_cut: float


def adjust(outcome: Floats, covariates: Floats, challenger: Flags) -> Adjustment:
    """Take out of outcomes what covariates explain within arms.

    Args:
        outcome: (entities,) e.g. money.
        covariates: (entities, any) known before the experiment; none adjusts nothing.
        challenger: (entities,) whether an entity is in the challenger's arm.
    """
    if covariates.shape[1] == 0 or len(outcome) <= covariates.shape[1] + 2:
        return Adjustment(outcome, 0.0)
    within = _centred(outcome[:, None], challenger)[:, 0]
    explaining = _centred(covariates, challenger)
    theta = np.linalg.lstsq(explaining, within, rcond=None)[0]
    left = within - explaining @ theta
    total = float(within @ within)
    cut = 1.0 - float(left @ left) / total if total > 0.0 else 0.0
    values = outcome - (covariates - covariates.mean(axis=0)) @ theta
    return Adjustment(values, max(0.0, cut))


def before_columns(before: Floats) -> Floats:
    """(entities, 2) covariates of the time before: the amount, and whether there is none.

    Args:
        before: (entities,) money, NaN for an entity that was not known before.
    """
    is_new = np.isnan(before)
    return np.column_stack([np.where(is_new, 0.0, before), is_new.astype(np.float64)])


def _centred(values: Floats, challenger: Flags) -> Floats:
    """Values (entities, any) less the mean of their arm."""
    centred = values.copy()
    for arm in (challenger, ~challenger):
        if arm.any():
            centred[arm] -= values[arm].mean(axis=0)
    return centred
