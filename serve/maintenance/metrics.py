"""What the maintenance application counts."""

from __future__ import annotations

from serve.framework import Metric
from serve.framework.decision_store import RECORD_FAULTS
from serve.framework.gateway import REQUEST_MS, REQUESTS
from serve.framework.rescoring import RESCORE_FAULTS

SYSTEM = "maintenance"
READINGS = "forewarn_maintenance_readings"
SENSOR_FAULTS = "forewarn_maintenance_sensor_faults"
DECISIONS = "forewarn_maintenance_decisions"
FALLBACKS = "forewarn_maintenance_fallbacks"
RULE_HITS = "forewarn_maintenance_rule_hits"
RESCORED = "forewarn_maintenance_rescored"
RELOADS = "forewarn_maintenance_reloads"
SCHEDULES = "forewarn_maintenance_schedules"
ORDERS = "forewarn_maintenance_orders"

INSTRUMENTS = (
    REQUESTS,
    REQUEST_MS,
    RECORD_FAULTS,
    RESCORE_FAULTS,
    Metric(READINGS, "readings received, by what became of them", ("outcome",)),
    Metric(SENSOR_FAULTS, "newest readings that are faulty", ("sensor", "fault")),
    Metric(DECISIONS, "predictions", ("decision", "method")),
    Metric(FALLBACKS, "predictions of a fallback, by what was out", ("out",)),
    Metric(RULE_HITS, "rules that fired", ("rule", "status")),
    Metric(RESCORED, "fallbacks predicted again"),
    Metric(RELOADS, "loads of a model or of rules", ("part", "outcome")),
    Metric(SCHEDULES, "weeks planned", ("outcome",)),
    Metric(ORDERS, "outcomes of work orders", ("result",)),
)
