"""What the churn application counts."""

from serve.framework import Metric
from serve.framework.metrics import attribute_states, common_metrics, review_admissions

EVENTS = "forewarn_churn_events"
CONTRADICTIONS = "forewarn_churn_contradictions"
ATTRIBUTES = "forewarn_churn_attributes"
BANDS = "forewarn_churn_bands"
PLANS = "forewarn_churn_plans"
INTERVENTIONS = "forewarn_churn_interventions"
OUTCOMES = "forewarn_churn_outcomes"
OVERRIDES = "forewarn_churn_overrides"

INSTRUMENTS = (
    *common_metrics("churn"),
    review_admissions("churn"),
    Metric(EVENTS, "rows received, by table and what became of them", ("table", "outcome")),
    Metric(CONTRADICTIONS, "rows that say the opposite of what is known"),
    attribute_states(ATTRIBUTES, "rows of customers"),
    Metric(BANDS, "customers scored, by colour of their health", ("band",)),
    Metric(PLANS, "days planned", ("outcome",)),
    Metric(INTERVENTIONS, "customers chosen, by playbook and arm", ("playbook", "arm")),
    Metric(OUTCOMES, "outcomes of interventions", ("kind", "value")),
    Metric(OVERRIDES, "health scores overridden by people"),
)
