"""News of machines in: checked, remembered, counted."""

import difflib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lib.concurrency.bounded_executor import BoundedExecutor
from lib.contract import ContractError
from lib.contract.unit import Linear, conversion
from lib.maintenance.feature_set import AssetFeatureSet
from lib.maintenance.history import UNKNOWN_US, History
from lib.maintenance.machine_store import MachineStoreError
from lib.maintenance.state_codec import (
    empty_state,
    with_errors,
    with_readings,
    with_services,
    with_waveforms,
)
from lib.maintenance.waveform import WaveformError, waveform_features
from serve.framework import FieldError, Problem, RequestContext
from serve.framework.decision import ServiceParts, unavailable
from serve.framework.validation import SECOND, to_micros
from serve.maintenance import metrics
from serve.maintenance.failures import record_failures
from serve.maintenance.machine_states import MachineStates, sensor_faults
from serve.maintenance.schemas import IngestCounts, MachineReadings, ReadingsResponse

_COUNTS = ("late", "repeated", "merged", "contradicting", "too_old")
"""Counts of readings that an answer takes as they are."""


class EventIngestor:
    """Takes news in.

    Args:
        parts: of the application.
        machines: what is known.
        register_unknown: whether a machine may become known by its first news.
    """

    def __init__(
        self, parts: ServiceParts, machines: MachineStates, register_unknown: bool
    ) -> None:
        self._machines, self._register = machines, register_unknown
        self._meter, self._clock = parts.meter, parts.clock
        self._decision_store = parts.decision_store
        self._measuring = BoundedExecutor("waveforms", 2)

    async def ingest(
        self, news: Sequence[MachineReadings], context: RequestContext
    ) -> ReadingsResponse:
        """Remembers all of it.

        Raises:
            Problem: 422 with every field at fault, and nothing is remembered; 404 for a machine
                that is not known where that is not allowed; 503 while the store, or for services
                after a failure the records, are out: the same can be sent again, what was
                remembered meanwhile is not counted twice.
        """
        self._check(news)
        context.log_fields["machines"] = len(news)
        with unavailable("readings cannot be stored temporarily", MachineStoreError):
            if not self._register:
                await self._refuse_unknown(news)
            machine_counts = [await self._take(machine) for machine in news]
        for machine in news:
            await self._record_failures(machine)
        return ReadingsResponse(machines=machine_counts, request_id=context.request_id)

    async def _take(self, machine: MachineReadings) -> IngestCounts:
        features = self._machines.features
        heard = (
            await self._measuring.run(_measured, features, machine) if machine.waveforms else None
        )
        counts = await self._machines.update(
            machine.machine_id, lambda past: _merge_news(features, past, machine, heard)
        )
        for outcome in ("late", "repeated", "merged", "contradicting", "too_old"):
            if count := getattr(counts, outcome):
                self._meter.count(metrics.READINGS, outcome, amount=count)
        if in_time := counts.readings - counts.late:
            self._meter.count(metrics.READINGS, "new", amount=in_time)
        for fault in counts.sensor_faults:
            self._meter.count(metrics.SENSOR_FAULTS, fault.sensor, fault.fault)
        return counts

    async def _record_failures(self, machine: MachineReadings) -> None:
        """A service after a failure says that the machine had failed; when it ran again stands."""
        times = [
            to_micros(service.event_time)
            for service in machine.services
            if service.maintenance_type == "corrective"
        ]
        now = self._clock.now()
        await record_failures(self._decision_store, machine.machine_id, times, "service", now)

    async def _refuse_unknown(self, news: Sequence[MachineReadings]) -> None:
        for machine in news:
            past = await self._machines.get(machine.machine_id)
            if past is None and machine.installed_at is None:
                raise Problem(
                    404,
                    "unknown-machine",
                    f"machine_id: machine {machine.machine_id!r} is unknown; send installed_at "
                    "with its first readings to register it",
                )

    def _check(self, news: Sequence[MachineReadings]) -> None:
        faults: list[FieldError] = []
        many = len(news) > 1
        for number, machine in enumerate(news):
            faults += self._faults(machine, f"{number}." if many else "")
        if faults:
            raise Problem.of_fields(faults)

    def _faults(self, machine: MachineReadings, head: str) -> list[FieldError]:
        features, now = self._machines.features, self._clock.now()
        faults = _unit_faults(features, machine, head)
        for index, reading in enumerate(machine.readings):
            for name in reading.sensors:
                if name not in features.sensor_names:
                    field = f"{head}readings.{index}.sensors.{name}"
                    faults.append(
                        FieldError(field, _unknown("sensor", features.sensor_names, name))
                    )
        for index, report in enumerate(machine.errors):
            if report.error_code not in features.error_codes:
                text = _unknown("error code", features.error_codes, report.error_code)
                faults.append(FieldError(f"{head}errors.{index}.error_code", text))
        for index, service in enumerate(machine.services):
            if service.component is not None and service.component not in features.components:
                text = _unknown("component", features.components, service.component)
                faults.append(FieldError(f"{head}services.{index}.component", text))
        if machine.waveforms and features.waveforms is None:
            text = "this kind of machine declares no waveforms"
            faults.append(FieldError(f"{head}waveforms", text))
        for kind in ("readings", "errors", "services", "waveforms"):
            for index, each in enumerate(getattr(machine, kind)):
                at_us = to_micros(each.event_time)
                if at_us >= now + self._clock.ahead + SECOND:
                    text = self._clock.future_text(at_us, now)
                    faults.append(FieldError(f"{head}{kind}.{index}.event_time", text))
        return faults


def _unit_faults(features: AssetFeatureSet, news: MachineReadings, head: str) -> list[FieldError]:
    faults = []
    for name, unit in news.units.items():
        field = f"{head}units.{name}"
        if name not in features.sensor_names:
            faults.append(FieldError(field, _unknown("sensor", features.sensor_names, name)))
            continue
        declared = features.sensors[features.column_of(name)].unit
        try:
            if not declared and unit:
                raise ContractError("the kind of machine declares no unit for this sensor")
            conversion(unit, declared)
        except ContractError as error:
            faults.append(FieldError(field, f"expected a unit as {declared or 'none'}: {error}"))
    return faults


def _conversions(features: AssetFeatureSet, news: MachineReadings) -> dict[str, Linear]:
    """How to bring values to the declared units, of sensors that come in others."""
    declared = {sensor.name: sensor.unit for sensor in features.sensors}
    pairs = {name: conversion(unit, declared[name]) for name, unit in news.units.items()}
    return {name: linear for name, linear in pairs.items() if linear is not None}


def _unknown(kind: str, names: Sequence[str], name: str) -> str:
    near = difflib.get_close_matches(name, names, 1)
    if near:
        return f"unknown {kind}; did you mean {near[0]!r}?"
    return f"unknown {kind}; declared are {', '.join(names) or 'none'}"


def _merge_news(
    features: AssetFeatureSet,
    past: History | None,
    machine: MachineReadings,
    heard: npt.NDArray[np.float64] | None,
) -> tuple[History, IngestCounts]:
    """The past with the news in it."""
    installed = UNKNOWN_US if machine.installed_at is None else to_micros(machine.installed_at)
    history = empty_state(features, machine.machine_id, installed) if past is None else past
    linear = _conversions(features, machine)
    values = np.array(
        [[_value(reading.sensors.get(name), linear.get(name)) for name in features.sensor_names]
         for reading in machine.readings], dtype=np.float64
    ).reshape(len(machine.readings), len(features.sensors))  # fmt: skip
    times = np.array(
        [to_micros(reading.event_time) for reading in machine.readings], dtype=np.int64
    )
    history, received = with_readings(features, history, times, values)
    before = len(history.error_times_us), len(history.service_times_us)
    history = with_errors(
        features, history, [to_micros(each.event_time) for each in machine.errors],
        [each.error_code for each in machine.errors],
    )  # fmt: skip
    history = with_services(
        features, history, [to_micros(each.event_time) for each in machine.services],
        [each.component for each in machine.services],
    )  # fmt: skip
    if heard is not None:
        times = np.array([to_micros(each.event_time) for each in machine.waveforms], dtype=np.int64)
        history = with_waveforms(features, history, times, heard)
    return history, IngestCounts(
        **{name: getattr(received, name) for name in _COUNTS},
        machine_id=machine.machine_id,
        new_machine=past is None,
        readings=received.new,
        errors=max(0, len(history.error_times_us) - before[0]),
        services=len(machine.services),
        waveforms=len(machine.waveforms),
        sensor_faults=sensor_faults(features, history),
    )


def _measured(features: AssetFeatureSet, machine: MachineReadings) -> npt.NDArray[np.float64]:
    """(n, measures) of the waveforms.

    Raises:
        Problem: 422 for one that cannot be a sensor's.
    """
    bearing = None if features.waveforms is None else features.waveforms.bearing
    rows = []
    for index, each in enumerate(machine.waveforms):
        try:
            rows.append(
                waveform_features(each.samples, each.sampling_rate_hz, each.shaft_hz, bearing)
            )
        except WaveformError as error:
            raise Problem.of_field(f"waveforms.{index}", str(error)) from None
    return np.array(rows)


def _value(value: float | None, linear: Linear | None) -> float:
    if value is None:
        return float("nan")
    return value if linear is None else value * linear.scale + linear.offset
