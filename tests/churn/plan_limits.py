"""The limits of a plan, checked anew."""

from __future__ import annotations

import numpy as np

from lib.churn.interventions.plan import NO_PLAYBOOK, Budget, Candidates, Plan


def violations(candidates: Candidates, limits: Budget, plan: Plan) -> list[str]:
    """Constraints that a plan breaks, counted anew: none of one that was solved."""
    customers = np.flatnonzero(plan.chosen != NO_PLAYBOOK)
    books, slack = plan.chosen[customers], 1e-6
    violations = []
    if not np.isfinite(candidates.value[customers, books]).all():
        violations.append("an intervention that is not open to the customer")
    if candidates.hours[books].sum() > limits.hours + slack:
        violations.append("hours")
    if candidates.cost[customers, books].sum() > limits.budget + slack:
        violations.append("budget")
    if limits.most is not None and len(customers) > limits.most:
        violations.append("most interventions")
    count = np.bincount(books, minlength=len(candidates.most))
    violations += [
        f"most of playbook {k}" for k in np.flatnonzero(count > candidates.most).tolist()
    ]
    return violations
