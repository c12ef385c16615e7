"""What the churn application counts."""

from __future__ import annotations

from serve.gateway import Instrument
from serve.gateway.archive import RECORD_FAULTS
from serve.gateway.gateway import REQUEST_MS, REQUESTS
from serve.gateway.redoing import RESCORE_FAULTS

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
    Instrument(EVENTS, "rows received, by table and what became of them", ("table", "outcome")),
    Instrument(CONTRADICTIONS, "rows that say the opposite of what is known"),
    Instrument(DECISIONS, "customers scored", ("decision", "method")),
    Instrument(BANDS, "customers scored, by colour of their health", ("band",)),
    Instrument(FALLBACKS, "answers of a fallback, by what was out", ("out",)),
    Instrument(RULE_HITS, "rules that fired", ("rule", "status")),
    Instrument(RESCORED, "fallbacks scored again"),
    Instrument(RELOADS, "loads of a model, of rules or of playbooks", ("part", "outcome")),
    Instrument(PLANS, "days planned", ("outcome",)),
    Instrument(INTERVENTIONS, "customers chosen, by playbook and arm", ("playbook", "arm")),
    Instrument(OUTCOMES, "outcomes of interventions", ("kind", "value")),
    Instrument(OVERRIDES, "health scores overridden by people"),
)
