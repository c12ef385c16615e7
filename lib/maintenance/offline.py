"""Checked tables into one history per machine."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.contract.coercion import as_array
from lib.feature.attribute_values import AttributeValue
from lib.maintenance.feature_set import AssetFeatureSet, FeatureError
from lib.maintenance.history import UNKNOWN_US, Floats, History, Ints, running
from lib.maintenance.machine_attributes import attributes_by_machine
from lib.maintenance.waveform import waveform_features


def histories(
    features: AssetFeatureSet,
    telemetry: pa.Table,
    errors: pa.Table | None = None,
    services: pa.Table | None = None,
    machines: pa.Table | None = None,
    waveforms: pa.Table | None = None,
) -> Iterator[History]:
    """The history of every machine that telemetry or the list of machines names, by id.

    Args:
        features: which sensors, components and codes; other codes are passed over.
        telemetry: checked against TELEMETRY, any order.
        errors: checked against ERRORS; codes that are not declared are passed over.
        services: checked against MAINTENANCE, corrective rows too: a replaced part begins anew.
        machines: checked against MACHINES.
        waveforms: of `measured_waveforms`, checked against WAVEFORM_FEATURES.

    Raises:
        FeatureError: a sensor is not in the telemetry, a service is of an unknown component, or the
            machines lack an attribute.
    """
    for name in features.sensor_names:
        if name not in telemetry.column_names:
            raise FeatureError(
                f"telemetry has no sensor '{name}'; it has {', '.join(telemetry.column_names[2:])}"
            )
    installed = _installed(machines)
    attributes = _attributes(features, machines)
    of_readings, of_errors, of_services, of_waves = (
        rows_by_machine(table) for table in (telemetry, errors, services, waveforms)
    )
    for machine in sorted({*of_readings, *installed}):
        table = telemetry.take(of_readings.get(machine, _none()))
        times = event_times(table)
        columns = [_numbers(table[name]) for name in features.sensor_names]
        readings = np.stack(columns, axis=1)
        codes = _codes(errors, of_errors.get(machine), "error_code", features.error_codes)
        parts = _codes(services, of_services.get(machine), "component", features.components)
        yield History(
            machine,
            times,
            readings,
            *codes,
            *parts,
            installed.get(machine, UNKNOWN_US),
            *running(features, times, readings),
            *_waves(features, waveforms, of_waves.get(machine)),
            attributes.get(machine, {}),
        )


def _none() -> Ints:
    return np.empty(0, dtype=np.int64)


def event_times(table: pa.Table) -> Ints:
    """(n,) microseconds UTC."""
    times: Ints = as_array(table["event_time"]).cast(pa.int64()).to_numpy()
    return times


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    values = as_array(column).cast(pa.float64())
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)


def rows_by_machine(table: pa.Table | None) -> dict[str, Ints]:
    """Rows of each machine in order of time."""
    if table is None or not table.num_rows:
        return {}
    encoded = as_array(table["machine_id"]).dictionary_encode()
    codes = encoded.indices.to_numpy()
    order = np.lexsort((event_times(table), codes))
    names = encoded.dictionary.to_pylist()
    edges = np.searchsorted(codes[order], np.arange(len(names) + 1))
    return {name: order[edges[k] : edges[k + 1]] for k, name in enumerate(names)}


def _codes(
    table: pa.Table | None, rows: Ints | None, column: str, names: tuple[str, ...]
) -> tuple[Ints, Ints]:
    """Times and places in `names`; no component at all stands for the whole machine."""
    if table is None or rows is None:
        return _none(), _none()
    machine_table = table.take(rows)
    indices = pc.index_in(as_array(machine_table[column]), value_set=pa.array(names, pa.string()))
    codes = indices.fill_null(-1).to_numpy().astype(np.int64)
    is_valid = codes >= 0
    if column == "component":
        is_valid |= as_array(machine_table[column]).is_null().to_numpy(zero_copy_only=False)
    return event_times(machine_table)[is_valid], codes[is_valid]


def measured_waveforms(features: AssetFeatureSet, waveforms: pa.Table) -> pa.Table:
    """What is measured of each of a table of waveforms, checked against WAVEFORMS."""
    bearing = None if features.waveforms is None else features.waveforms.bearing
    rows = [
        waveform_features(samples, rate, shaft, bearing)
        for samples, rate, shaft in zip(
            (waveform.as_py() for waveform in waveforms["samples"]),
            waveforms["sampling_rate_hz"].to_pylist(),
            waveforms["shaft_hz"].to_pylist(),
            strict=True,
        )
    ]
    matrix = np.array(rows, dtype=np.float64).reshape(len(rows), len(features.wave_measures))
    keys = {name: waveforms[name] for name in ("machine_id", "event_time")}
    measures = {name: matrix[:, column] for column, name in enumerate(features.wave_measures)}
    return pa.table(keys | measures)


def _waves(
    features: AssetFeatureSet, table: pa.Table | None, rows: Ints | None
) -> tuple[Ints, Floats]:
    """Times (w,) and measures (w, measures) of a machine's waveforms."""
    if table is None or rows is None:
        return _none(), np.empty((0, len(features.wave_measures)))
    machine_table = table.take(rows)
    columns = [_numbers(machine_table[name]) for name in features.wave_measures]
    return event_times(machine_table), np.stack(columns, axis=1)


def _installed(machines: pa.Table | None) -> dict[str, int]:
    if machines is None:
        return {}
    times = as_array(machines["installed_at"]).cast(pa.int64()).fill_null(UNKNOWN_US)
    return dict(zip(machines["machine_id"].to_pylist(), times.to_pylist(), strict=True))


def _attributes(
    features: AssetFeatureSet, machines: pa.Table | None
) -> dict[str, dict[str, AttributeValue]]:
    if machines is None or not features.attributes:
        return {}
    for attribute in features.attributes:
        if attribute.name not in machines.column_names:
            raise FeatureError(f"machines have no attribute '{attribute.name}'")
    return attributes_by_machine(features.attributes, machines)
