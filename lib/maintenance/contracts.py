"""The contracts of machines: telemetry, waveforms, maintenance, failures, error codes, machines."""

from typing import Any

import pyarrow as pa

from lib.contract import Column, Contract, choice_column, measure_column, text_column, time_column
from lib.maintenance.waveform import FEWEST_SAMPLES

MAINTENANCE_TYPES = ("scheduled", "corrective", "emergency")


def _amount(name: str, description: str, unit: str = "") -> Column:
    return measure_column(name, description, 0.0, unit=unit)


_MACHINE = text_column("machine_id", "names the machine")


def _events(
    name: str, when: str, *columns: Column, key: tuple[str, ...] = (), **options: Any
) -> Contract:
    """A table of what happened to machines at times."""
    return Contract(
        name=name,
        columns=(_MACHINE, time_column("event_time", when), *columns),
        key=("machine_id", "event_time", *key),
        **options,
    )


def _measured(description: str) -> Column:
    return measure_column("", description)


TELEMETRY = _events(
    "telemetry", "when the sensors were read", extras=_measured("a sensor's reading"), merges=True
)

WAVEFORMS = _events(
    "waveforms",
    "when recording ended",
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
    _amount("shaft_hz", "turns of the shaft a second", "Hz"),
)

WAVEFORM_FEATURES = _events(
    "waveform features", "when recording ended", extras=_measured("a measure of the waveform")
)

MAINTENANCE = _events(
    "maintenance",
    "when the machine was back in service",
    text_column("component", "what was serviced or replaced", required=False),
    choice_column(
        "maintenance_type",
        "planned ahead, after a failure, or at once to prevent harm",
        MAINTENANCE_TYPES,
        required=False,
    ),
    text_column("failure_mode", "what had failed, where something had", required=False),
    _amount("downtime_hours", "how long the machine stood", "h"),
    _amount("cost", "labour and parts, in the settlement currency"),
    text_column("parts_replaced", "parts, separated by commas", required=False),
    key=("component",),
)

FAILURES = _events(
    "failures",
    "when the machine failed",
    text_column("failure_mode", "what failed"),
    key=("failure_mode",),
)

ERRORS = _events(
    "errors",
    "when the controller reported it",
    text_column("error_code", "the code that it reported"),
    key=("error_code",),
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
        measure_column(
            "criticality", "production lost while it stands, as a share of its line's", 0.0, 1.0
        ),
    ),
    key=("machine_id",),
    takes_attributes=True,
)

CONTRACTS = (TELEMETRY, WAVEFORMS, MAINTENANCE, FAILURES, ERRORS, MACHINES)
