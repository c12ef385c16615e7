"""What the maintenance application counts."""

from serve.framework import Metric
from serve.framework.metrics import common_metrics

SYSTEM = "maintenance"
READINGS = "forewarn_maintenance_readings"
SENSOR_FAULTS = "forewarn_maintenance_sensor_faults"
SCHEDULES = "forewarn_maintenance_schedules"
ORDERS = "forewarn_maintenance_orders"

INSTRUMENTS = (
    *common_metrics("maintenance"),
    Metric(READINGS, "readings received, by what became of them", ("outcome",)),
    Metric(SENSOR_FAULTS, "newest readings that are faulty", ("sensor", "fault")),
    Metric(SCHEDULES, "weeks planned", ("outcome",)),
    Metric(ORDERS, "outcomes of work orders", ("result",)),
)
