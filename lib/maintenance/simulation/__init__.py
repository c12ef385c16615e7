"""A simulated fleet with known truth, that runs on under any policy."""

from lib.maintenance.simulation.config import COMPONENTS, SENSORS, Component, FleetConfig
from lib.maintenance.simulation.fleet import Event, Fleet, Passed, Service
from lib.maintenance.simulation.policies import FixedInterval, Year, run, run_to_failure
from lib.maintenance.simulation.readings import (
    SAMPLING_RATE_HZ,
    SHAFT_HZ,
    SimulatedReadings,
    hour_us,
    machine_ids,
    observe,
    waveform,
)

__all__ = [
    "COMPONENTS",
    "SAMPLING_RATE_HZ",
    "SENSORS",
    "SHAFT_HZ",
    "Component",
    "Event",
    "FixedInterval",
    "Fleet",
    "FleetConfig",
    "Passed",
    "Service",
    "SimulatedReadings",
    "Year",
    "hour_us",
    "machine_ids",
    "observe",
    "run",
    "run_to_failure",
    "waveform",
]
