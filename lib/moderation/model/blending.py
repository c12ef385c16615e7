"""Two members' log-odds as one, weighted by how they did on rows that neither learnt from."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from lib.calibration import sigmoid
from lib.moderation.model.outputs import Floats

# draws the weights together where few rows speak, as if each member were half of the answer
_RIDGE = 2.0


def fit_blend(members: Floats, targets: Floats) -> Floats:
    """Weights and offset of each policy (policies, members + 1).

    Logistic regression with weights of at least 0: stacking after Wolpert (1992), which Breiman,
    Stacked regressions (1996), restrains so for stability. Equal weights where a policy has
    outcomes of one kind only.

    Args:
        members: (members, n, policies) log-odds on held-out rows.
        targets: (n, policies) within 0 and 1; NaN unknown.
    """
    count, _, policies = members.shape
    fitted = [_policy_weights(members[:, :, p], targets[:, p]) for p in range(policies)]
    return np.stack(fitted).reshape(policies, count + 1)


def blended(members: Floats, blend: Floats) -> Floats:
    """Log-odds (n, policies) of members (members, n, policies) under the weights of `fit_blend`.

    A policy of which no member learnt anything (all exactly 0) stays exactly 0.
    """
    mixed = np.einsum("mnp,pm->np", members, blend[:, :-1]) + blend[:, -1]
    return np.asarray(np.where((members == 0.0).all(axis=0), 0.0, mixed))


def _policy_weights(members: Floats, targets: Floats) -> Floats:
    count = len(members)
    even = np.append(np.full(count, 1.0 / count), 0.0)
    is_known = ~np.isnan(targets)
    flags, inputs = targets[is_known], members[:, is_known].T
    if not len(flags) or flags.max() <= 0.0 or flags.min() >= 1.0 or not np.any(inputs):
        return even

    def loss(weights: Floats) -> tuple[float, Floats]:
        fitted = inputs @ weights[:-1] + weights[-1]
        apart = weights[:-1] - even[:-1]
        error = sigmoid(fitted) - flags
        value = np.sum(np.logaddexp(0.0, fitted) - flags * fitted) + 0.5 * _RIDGE * apart @ apart
        return float(value), np.append(inputs.T @ error + _RIDGE * apart, error.sum())

    bounds = [(0.0, None)] * count + [(None, None)]
    return np.asarray(minimize(loss, even, jac=True, method="L-BFGS-B", bounds=bounds).x)
