"""What the maintenance application counts."""

from __future__ import annotations

from serve.gateway import Instrument
from serve.gateway.archive import RECORD_FAULTS
from serve.gateway.gateway import REQUEST_MS, REQUESTS
from serve.gateway.redoing import RESCORE_FAULTS

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
    Instrument(READINGS, "readings received, by what became of them", ("outcome",)),
    Instrument(SENSOR_FAULTS, "newest readings that are faulty", ("sensor", "fault")),
    Instrument(DECISIONS, "predictions", ("decision", "method")),
    Instrument(FALLBACKS, "predictions of a fallback, by what was out", ("out",)),
    Instrument(RULE_HITS, "rules that fired", ("rule", "status")),
    Instrument(RESCORED, "fallbacks predicted again"),
    Instrument(RELOADS, "loads of a model or of rules", ("part", "outcome")),
    Instrument(SCHEDULES, "weeks planned", ("outcome",)),
    Instrument(ORDERS, "outcomes of work orders", ("result",)),
)
