"""The contracts of machines: telemetry, waveforms, maintenance, failures, error codes, machines."""

from __future__ import annotations

import pyarrow as pa

from lib.contract import Column, Contract, text_column, time_column
from lib.maintenance.waveform import FEWEST_SAMPLES

MAINTENANCE_TYPES = ("scheduled", "corrective", "emergency")


def _amount(name: str, description: str, unit: str = "") -> Column:
    return Column(name, pa.float64(), description, required=False, unit=unit, low=0.0, lenient=True)


_MACHINE = text_column("machine_id", "names the machine")

TELEMETRY = Contract(
    name="telemetry",
    columns=(_MACHINE, time_column("event_time", "when the sensors were read")),
    key=("machine_id", "event_time"),
    extras=Column("", pa.float64(), "a sensor's reading", required=False, lenient=True),
    merges=True,
)

WAVEFORMS = Contract(
    name="waveforms",
    columns=(
        _MACHINE,
        time_column("event_time", "when recording ended"),
        Column(
            "sampling_rate_hz",
            pa.float64(),
            "samples a second; a waveform without it says nothing about frequencies",
            unit="Hz",
            low=1.0,
            high=1e7,
        ),
        Column(
            "samples",
            pa.list_(pa.float64()),
            "acceleration or velocity, in order",
            low=FEWEST_SAMPLES,
        ),
        Column(
            "shaft_hz", pa.float64(), "turns of the shaft a second", required=False, unit="Hz",
            low=0.0, lenient=True,
        ),
    ),
    key=("machine_id", "event_time"),
)  # fmt: skip

WAVEFORM_FEATURES = Contract(
    name="waveform features",
    columns=(_MACHINE, time_column("event_time", "when recording ended")),
    key=("machine_id", "event_time"),
    extras=Column("", pa.float64(), "a measure of the waveform", required=False, lenient=True),
)

MAINTENANCE = Contract(
    name="maintenance",
    columns=(
        _MACHINE,
        time_column("event_time", "when the machine was back in service"),
        text_column("component", "what was serviced or replaced", required=False),
        Column(
            "maintenance_type",
            pa.string(),
            "planned ahead, after a failure, or at once to prevent harm",
            values=MAINTENANCE_TYPES,
            required=False,
        ),
        text_column("failure_mode", "what had failed, where something had", required=False),
        _amount("downtime_hours", "how long the machine stood", "h"),
        _amount("cost", "labour and parts, in the settlement currency"),
        text_column("parts_replaced", "parts, separated by commas", required=False),
    ),
    key=("machine_id", "event_time", "component"),
)

FAILURES = Contract(
    name="failures",
    columns=(
        _MACHINE,
        time_column("event_time", "when the machine failed"),
        text_column("failure_mode", "what failed"),
    ),
    key=("machine_id", "event_time", "failure_mode"),
)

ERRORS = Contract(
    name="errors",
    columns=(
        _MACHINE,
        time_column("event_time", "when the controller reported it"),
        text_column("error_code", "the code that it reported"),
    ),
    key=("machine_id", "event_time", "error_code"),
)

MACHINES = Contract(
    name="machines",
    columns=(
        _MACHINE,
        text_column("model", "make and model", required=False),
        time_column("installed_at", "when it was put into service", required=False, lenient=True),
        _amount("age_years", "age where no date is known; taken as it stands", "years"),
        text_column("plant", "where it stands", required=False),
        text_column("line", "the production line that it belongs to", required=False),
        Column(
            "criticality",
            pa.float64(),
            "production lost while it stands, as a share of its line's",
            required=False,
            low=0.0,
            high=1.0,
            lenient=True,
        ),
    ),
    key=("machine_id",),
)

CONTRACTS = (TELEMETRY, WAVEFORMS, MAINTENANCE, FAILURES, ERRORS, MACHINES)
