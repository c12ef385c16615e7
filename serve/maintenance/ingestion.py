"""News of machines in: checked, remembered, counted."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from lib.concurrency.bounded_executor import SizedExecutor
from lib.concurrency.piecewise_release import release_rows
from lib.contract import ContractError
from lib.contract.unit import Linear, conversion
from lib.feature.attribute_values import AttributeValue, attribute_states
from lib.maintenance.feature_set import AssetFeatureSet
from lib.maintenance.history import UNKNOWN_US, Floats, History, Ints
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
from serve.maintenance.schemas import (
    IngestCounts,
    MachineReadings,
    Reading,
    ReadingsResponse,
    WaveformRecording,
)

_COUNTS = ("late", "repeated", "merged", "contradicting", "too_old")
"""Counts of readings that an answer takes as they are."""
_LONG_ROWS, _LONG_AT_ONCE, _SAMPLES_AT_ONCE = 200, 2, 50_000
_REPORT_BYTES = 16


@dataclass(frozen=True)
class _MachineNews:
    """The rows of one machine in a request, as arrays.

    Attributes:
        machine_id: of the machine.
        installed_us: when it was put into operation; UNKNOWN_US if the request does not say.
        times_us, readings: (n,) and (n, sensors) in the declared units, NaN where none is given.
        error_times_us, error_codes: of reports of the controller.
        service_times_us, components: of services; None is the whole machine.
        failed_us: of the services after a failure, when they ended.
        wave_times_us, wave_measures: of waveforms, (n,) and (n, measures).
        attributes: of the machine, by name; None if the request has none.
    """

    machine_id: str
    installed_us: int
    times_us: Ints
    readings: Floats
    error_times_us: list[int]
    error_codes: list[str]
    service_times_us: list[int]
    components: list[str | None]
    failed_us: list[int]
    wave_times_us: Ints
    wave_measures: Floats | None
    attributes: dict[str, AttributeValue] | None

    @property
    def stored_bytes(self) -> int:
        """Bytes that it adds to the stored state, at most."""
        reports = len(self.error_codes) + len(self.components)
        return self.times_us.nbytes + self.readings.nbytes + _REPORT_BYTES * reports


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
        self._reading = SizedExecutor("readings", _LONG_AT_ONCE, _LONG_ROWS)

    async def ingest(
        self, news: Sequence[MachineReadings], context: RequestContext
    ) -> ReadingsResponse:
        """Stores all rows, and empties the lists of `news` as soon as they are read.

        Raises:
            Problem: 422 with every field at fault, and nothing is remembered; 404 for a machine
                that is not known where that is not allowed; 503 while the store, or for services
                after a failure the records, are out: the same can be sent again, what was
                remembered meanwhile is not counted twice.
        """
        await self._reading.run_sized(self._check, news, sum(map(_rows_of, news)))
        context.log_fields["machines"] = len(news)
        machine_counts, failures = [], []
        with unavailable("readings cannot be stored temporarily", MachineStoreError):
            if not self._register:
                await self._refuse_unknown(news)
            for machine in news:
                counts, failed_us = await self._take(machine)
                machine_counts.append(counts)
                failures.append((machine.machine_id, failed_us))
        now = self._clock.now()
        for machine_id, failed_us in failures:
            # a service after a failure says that the machine had failed; when it ran again stands
            await record_failures(self._decision_store, machine_id, failed_us, "service", now)
        return ReadingsResponse(machines=machine_counts, request_id=context.request_id)

    async def _take(self, machine: MachineReadings) -> tuple[IngestCounts, list[int]]:
        """Counts of what was stored of a machine, and the times of its failures."""
        features = self._machines.features
        read = partial(_columns, features)
        news = await self._reading.run_sized(read, machine, _rows_of(machine))
        counts = await self._machines.update(
            news.machine_id, lambda past: _merge_news(features, past, news), news.stored_bytes
        )
        for outcome in ("late", "repeated", "merged", "contradicting", "too_old"):
            if count := getattr(counts, outcome):
                self._meter.count(metrics.READINGS, outcome, amount=count)
        if in_time := counts.readings - counts.late:
            self._meter.count(metrics.READINGS, "new", amount=in_time)
        for fault in counts.sensor_faults:
            self._meter.count(metrics.SENSOR_FAULTS, fault.sensor, fault.fault)
        if news.attributes is not None:
            for name, state in attribute_states(features.attributes, news.attributes):
                self._meter.count(metrics.ATTRIBUTES, name, state)
        return counts, news.failed_us

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


def _rows_of(machine: MachineReadings) -> int:
    """Number of rows and of samples of waveforms."""
    rows = len(machine.readings) + len(machine.errors) + len(machine.services)
    return rows + sum(len(each.samples) for each in machine.waveforms)


def _columns(features: AssetFeatureSet, machine: MachineReadings) -> _MachineNews:
    """The rows of a machine as arrays; its lists are emptied.

    Raises:
        Problem: 422 for a waveform that cannot be a sensor's.
    """
    linear, names = _conversions(features, machine), features.sensor_names
    values = np.empty((len(machine.readings), len(names)))
    for row, reading in enumerate(machine.readings):
        values[row] = [_value(reading.sensors.get(name), linear.get(name)) for name in names]
    installed = machine.installed_at
    news = _MachineNews(
        machine_id=machine.machine_id,
        installed_us=UNKNOWN_US if installed is None else to_micros(installed),
        times_us=_times(machine.readings),
        readings=values,
        error_times_us=[to_micros(each.event_time) for each in machine.errors],
        error_codes=[each.error_code for each in machine.errors],
        service_times_us=[to_micros(each.event_time) for each in machine.services],
        components=[each.component for each in machine.services],
        failed_us=[
            to_micros(service.event_time)
            for service in machine.services
            if service.maintenance_type == "corrective"
        ],
        wave_times_us=_times(machine.waveforms),
        wave_measures=_measured(features, machine) if machine.waveforms else None,
        attributes=machine.sent_attributes,
    )
    for rows in (machine.readings, machine.errors, machine.services, machine.waveforms):
        release_rows(rows)
    return news


def _times(rows: Sequence[Reading] | Sequence[WaveformRecording]) -> Ints:
    """(n,) microseconds UTC."""
    return np.array([to_micros(row.event_time) for row in rows], dtype=np.int64)


def _merge_news(
    features: AssetFeatureSet, past: History | None, news: _MachineNews
) -> tuple[History, IngestCounts]:
    """The past with the news in it."""
    history = empty_state(features, news.machine_id, news.installed_us) if past is None else past
    history, received = with_readings(features, history, news.times_us, news.readings)
    before = len(history.error_times_us), len(history.service_times_us)
    history = with_errors(features, history, news.error_times_us, news.error_codes)
    history = with_services(features, history, news.service_times_us, news.components)
    if news.wave_measures is not None:
        history = with_waveforms(features, history, news.wave_times_us, news.wave_measures)
    if news.attributes is not None:
        history = replace(history, attributes=news.attributes)
    return history, IngestCounts(
        **{name: getattr(received, name) for name in _COUNTS},
        machine_id=news.machine_id,
        new_machine=past is None,
        readings=received.new,
        errors=max(0, len(history.error_times_us) - before[0]),
        services=len(news.components),
        waveforms=len(news.wave_times_us),
        sensor_faults=sensor_faults(features, history),
    )


def _measured(features: AssetFeatureSet, machine: MachineReadings) -> Floats:
    """(n, measures) of the waveforms; their lists of samples are emptied.

    Raises:
        Problem: 422 for one that cannot be a sensor's.
    """
    bearing = None if features.waveforms is None else features.waveforms.bearing
    rows = []
    for index, each in enumerate(machine.waveforms):
        try:
            rows.append(
                waveform_features(_array(each), each.sampling_rate_hz, each.shaft_hz, bearing)
            )
        except WaveformError as error:
            raise Problem.of_field(f"waveforms.{index}", str(error)) from None
    return np.array(rows)


def _array(recording: WaveformRecording) -> Floats:
    """The samples of a waveform, whose list is emptied; other threads run between pieces."""
    samples = recording.samples
    array = np.empty(len(samples))
    for start in range(0, len(samples), _SAMPLES_AT_ONCE):
        end = start + _SAMPLES_AT_ONCE
        array[start:end] = samples[start:end]
    release_rows(samples)
    return array


def _value(value: float | None, linear: Linear | None) -> float:
    if value is None:
        return float("nan")
    return value if linear is None else value * linear.scale + linear.offset
