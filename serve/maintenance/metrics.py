"""What the maintenance application counts."""

from serve.framework import Metric
from serve.framework.metrics import attribute_states, common_metrics, review_admissions

SYSTEM = "maintenance"
READINGS = "forewarn_maintenance_readings"
SENSOR_FAULTS = "forewarn_maintenance_sensor_faults"
ATTRIBUTES = "forewarn_maintenance_attributes"
SCHEDULES = "forewarn_maintenance_schedules"
CHANGES = "forewarn_maintenance_schedule_changes"
ORDERS = "forewarn_maintenance_orders"

INSTRUMENTS = (
    *common_metrics("maintenance"),
    review_admissions("maintenance"),
    Metric(READINGS, "readings received, by what became of them", ("outcome",)),
    Metric(SENSOR_FAULTS, "newest readings that are faulty", ("sensor", "fault")),
    attribute_states(ATTRIBUTES, "machines sent"),
    Metric(SCHEDULES, "weeks planned", ("outcome",)),
    Metric(CHANGES, "changes of planned weeks by people", ("action",)),
    Metric(ORDERS, "outcomes of work orders", ("result",)),
)
