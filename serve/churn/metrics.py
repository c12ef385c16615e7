"""What the churn application counts."""

from __future__ import annotations

from serve.framework import Metric
from serve.framework.decision_store import RECORD_FAULTS
from serve.framework.gateway import REQUEST_MS, REQUESTS
from serve.framework.rescoring import RESCORE_FAULTS

EVENTS = "forewarn_churn_events"
CONTRADICTIONS = "forewarn_churn_contradictions"
DECISIONS = "forewarn_churn_decisions"
BANDS = "forewarn_churn_bands"
FALLBACKS = "forewarn_churn_fallbacks"
RULE_HITS = "forewarn_churn_rule_hits"
RESCORED = "forewarn_churn_rescored"
RELOADS = "forewarn_churn_reloads"
PLANS = "forewarn_churn_plans"
INTERVENTIONS = "forewarn_churn_interventions"
OUTCOMES = "forewarn_churn_outcomes"
OVERRIDES = "forewarn_churn_overrides"

INSTRUMENTS = (
    REQUESTS,
    REQUEST_MS,
    RECORD_FAULTS,
    RESCORE_FAULTS,
    Metric(EVENTS, "rows received, by table and what became of them", ("table", "outcome")),
    Metric(CONTRADICTIONS, "rows that say the opposite of what is known"),
    Metric(DECISIONS, "customers scored", ("decision", "method")),
    Metric(BANDS, "customers scored, by colour of their health", ("band",)),
    Metric(FALLBACKS, "answers of a fallback, by what was out", ("out",)),
    Metric(RULE_HITS, "rules that fired", ("rule", "status")),
    Metric(RESCORED, "fallbacks scored again"),
    Metric(RELOADS, "loads of a model, of rules or of playbooks", ("part", "outcome")),
    Metric(PLANS, "days planned", ("outcome",)),
    Metric(INTERVENTIONS, "customers chosen, by playbook and arm", ("playbook", "arm")),
    Metric(OUTCOMES, "outcomes of interventions", ("kind", "value")),
    Metric(OVERRIDES, "health scores overridden by people"),
)
