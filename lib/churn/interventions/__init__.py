"""What to do about customers who may leave: playbooks, the plan of a day, and what it changed."""

from lib.churn.interventions.effects import Effect, estimate_effect, revised
from lib.churn.interventions.holdout import is_held_out
from lib.churn.interventions.plan import (
    Budget,
    Candidates,
    Plan,
    candidates_of,
    expected_value,
    highest_risk_first,
    plan_interventions,
    random_plan,
    violations,
)
from lib.churn.interventions.playbooks import (
    PLAYBOOKS_FILE,
    Playbook,
    PlaybookError,
    Playbooks,
    load_playbooks,
)
from lib.churn.interventions.uplift import (
    UpliftModel,
    area_under_uplift,
    fit_uplift,
    qini_coefficient,
    qini_curve,
)

__all__ = [
    "PLAYBOOKS_FILE",
    "Budget",
    "Candidates",
    "Effect",
    "Plan",
    "Playbook",
    "PlaybookError",
    "Playbooks",
    "UpliftModel",
    "area_under_uplift",
    "candidates_of",
    "estimate_effect",
    "expected_value",
    "fit_uplift",
    "highest_risk_first",
    "is_held_out",
    "load_playbooks",
    "plan_interventions",
    "qini_coefficient",
    "qini_curve",
    "random_plan",
    "revised",
    "violations",
]
