"""News of machines in: checked, remembered, counted."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from lib.contract import ContractError
from lib.contract.unit import Linear, conversion
from lib.maintenance.feature_set import FeatureSet
from lib.maintenance.history import UNKNOWN_US, History
from lib.maintenance.machine_store import MachineStoreError
from lib.maintenance.memory import (
    nothing_yet,
    with_errors,
    with_readings,
    with_services,
    with_waveforms,
)
from lib.maintenance.waveform import WaveformError, waveform_features
from serve.gateway import Call, FieldError, Meter, Problem
from serve.gateway.bounded_executor import BoundedExecutor
from serve.gateway.clock import micros
from serve.maintenance import numbers
from serve.maintenance.machines import Machines, sensor_faults
from serve.maintenance.schema import MachineReadings, ReadingsAnswer, TakenIn

_SECOND = 1_000_000


class Intake:
    """Takes news in.

    Args:
        machines: what is known.
        meter: counts.
        now: microseconds since 1970 UTC.
        ahead_us: how far a caller's clock may be ahead.
        register_unknown: whether a machine may become known by its first news.
    """

    def __init__(
        self,
        machines: Machines,
        meter: Meter,
        now: Callable[[], int],
        ahead_us: int,
        register_unknown: bool,
    ) -> None:
        self._machines, self._meter, self._now = machines, meter, now
        self._ahead, self._register = ahead_us, register_unknown
        self._measuring = BoundedExecutor("waveforms", 2)

    async def take(self, news: Sequence[MachineReadings], call: Call) -> ReadingsAnswer:
        """Remembers all of it.

        Raises:
            Problem: 422 with every field at fault, and nothing is remembered; 404 for a machine
                that is not known where that is not allowed; 503 while the store is out: the same
                can be sent again, what was remembered meanwhile is not counted twice.
        """
        self._check(news)
        call.notes["machines"] = len(news)
        try:
            if not self._register:
                await self._refuse_unknown(news)
            taken = [await self._take(one) for one in news]
        except MachineStoreError as error:
            text = "readings cannot be taken in at the moment; send the same again"
            raise Problem(503, "unavailable", text, retry_after=1) from error
        return ReadingsAnswer(machines=taken, request_id=call.request_id)

    async def _take(self, one: MachineReadings) -> TakenIn:
        features = self._machines.features
        heard = await self._measuring.run(_measured, features, one) if one.waveforms else None
        taken = await self._machines.change(
            one.machine_id, lambda past: _told(features, past, one, heard)
        )
        for outcome in ("late", "repeated", "merged", "contradicting", "too_old"):
            if count := getattr(taken, outcome):
                self._meter.count(numbers.READINGS, outcome, amount=count)
        if in_time := taken.readings - taken.late:
            self._meter.count(numbers.READINGS, "new", amount=in_time)
        for fault in taken.sensor_faults:
            self._meter.count(numbers.SENSOR_FAULTS, fault.sensor, fault.fault)
        return taken

    async def _refuse_unknown(self, news: Sequence[MachineReadings]) -> None:
        for one in news:
            if await self._machines.known(one.machine_id) is None and one.installed_at is None:
                raise Problem(
                    404,
                    "unknown-machine",
                    f"nothing is known of machine {one.machine_id!r}; give installed_at with its "
                    "first readings to make it known",
                )

    def _check(self, news: Sequence[MachineReadings]) -> None:
        faults: list[FieldError] = []
        many = len(news) > 1
        for number, one in enumerate(news):
            faults += self._faults(one, f"{number}." if many else "")
        if faults:
            detail = "; ".join(f"{fault.field}: {fault.message}" for fault in faults[:3])
            more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
            raise Problem(422, "invalid-field", detail + more, faults[:20])

    def _faults(self, one: MachineReadings, head: str) -> list[FieldError]:
        features, latest = self._machines.features, self._now() + self._ahead
        faults = _unit_faults(features, one, head)
        for place, reading in enumerate(one.readings):
            for name in reading.sensors:
                if name not in features.sensor_names:
                    field = f"{head}readings.{place}.sensors.{name}"
                    faults.append(
                        FieldError(field, _unknown("sensor", features.sensor_names, name))
                    )
        for place, report in enumerate(one.errors):
            if report.error_code not in features.error_codes:
                text = _unknown("error code", features.error_codes, report.error_code)
                faults.append(FieldError(f"{head}errors.{place}.error_code", text))
        for place, service in enumerate(one.services):
            if service.component is not None and service.component not in features.components:
                text = _unknown("component", features.components, service.component)
                faults.append(FieldError(f"{head}services.{place}.component", text))
        if one.waveforms and features.waveforms is None:
            text = "this kind of machine declares no waveforms"
            faults.append(FieldError(f"{head}waveforms", text))
        for kind in ("readings", "errors", "services", "waveforms"):
            for place, each in enumerate(getattr(one, kind)):
                ahead = (micros(each.event_time) - latest) // _SECOND
                if ahead > 0:
                    faults.append(
                        FieldError(
                            f"{head}{kind}.{place}.event_time",
                            f"expected at most {self._ahead // _SECOND} seconds from now, got "
                            f"{ahead + self._ahead // _SECOND} seconds ahead; check the clock and "
                            "the offset",
                        )
                    )
        return faults


def _unit_faults(features: FeatureSet, news: MachineReadings, head: str) -> list[FieldError]:
    faults = []
    for name, unit in news.units.items():
        field = f"{head}units.{name}"
        if name not in features.sensor_names:
            faults.append(FieldError(field, _unknown("sensor", features.sensor_names, name)))
            continue
        declared = features.sensors[features.place(name)].unit
        try:
            if not declared and unit:
                raise ContractError("the kind of machine declares no unit for this sensor")
            conversion(unit, declared)
        except ContractError as error:
            faults.append(FieldError(field, f"expected a unit as {declared or 'none'}: {error}"))
    return faults


def _conversions(features: FeatureSet, news: MachineReadings) -> dict[str, Linear]:
    """How to bring values to the declared units, of sensors that come in others."""
    declared = {sensor.name: sensor.unit for sensor in features.sensors}
    pairs = {name: conversion(unit, declared[name]) for name, unit in news.units.items()}
    return {name: linear for name, linear in pairs.items() if linear is not None}


def _unknown(what: str, known: Sequence[str], name: str) -> str:
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"unknown {what}; did you mean {near[0]!r}?"
    return f"unknown {what}; declared are {', '.join(known) or 'none'}"


def _told(
    features: FeatureSet,
    past: History | None,
    one: MachineReadings,
    heard: npt.NDArray[np.float64] | None,
) -> tuple[History, TakenIn]:
    """The past with the news in it."""
    installed = UNKNOWN_US if one.installed_at is None else micros(one.installed_at)
    known = nothing_yet(features, one.machine_id, installed) if past is None else past
    linear = _conversions(features, one)
    values = np.array(
        [[_value(reading.sensors.get(name), linear.get(name)) for name in features.sensor_names]
         for reading in one.readings], dtype=np.float64
    ).reshape(len(one.readings), len(features.sensors))  # fmt: skip
    times = np.array([micros(reading.event_time) for reading in one.readings], dtype=np.int64)
    known, received = with_readings(features, known, times, values)
    before = len(known.error_times_us), len(known.service_times_us)
    known = with_errors(
        features, known, [micros(each.event_time) for each in one.errors],
        [each.error_code for each in one.errors],
    )  # fmt: skip
    known = with_services(
        features, known, [micros(each.event_time) for each in one.services],
        [each.component for each in one.services],
    )  # fmt: skip
    if heard is not None:
        times = np.array([micros(each.event_time) for each in one.waveforms], dtype=np.int64)
        known = with_waveforms(features, known, times, heard)
    return known, TakenIn(
        machine_id=one.machine_id,
        new_machine=past is None,
        readings=received.new,
        late=received.late,
        repeated=received.repeated,
        merged=received.merged,
        contradicting=received.contradicting,
        too_old=received.too_old,
        errors=max(0, len(known.error_times_us) - before[0]),
        services=len(one.services),
        waveforms=len(one.waveforms),
        sensor_faults=sensor_faults(features, known),
    )


def _measured(features: FeatureSet, one: MachineReadings) -> npt.NDArray[np.float64]:
    """(n, measures) of the waveforms.

    Raises:
        Problem: 422 for one that cannot be a sensor's.
    """
    bearing = None if features.waveforms is None else features.waveforms.bearing
    rows = []
    for place, each in enumerate(one.waveforms):
        try:
            rows.append(
                waveform_features(each.samples, each.sampling_rate_hz, each.shaft_hz, bearing)
            )
        except WaveformError as error:
            raise Problem.of_field(f"waveforms.{place}", str(error)) from None
    return np.array(rows)


def _value(value: float | None, linear: Linear | None) -> float:
    if value is None:
        return float("nan")
    return value if linear is None else value * linear.scale + linear.offset
