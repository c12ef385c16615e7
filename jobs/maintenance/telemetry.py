"""Telemetry: the mapping that it is read by, its rows by machine as a Ray data set, its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from jobs import ingestion
from jobs.cluster.admission import await_core
from jobs.framework.cluster import choose_shuffle, gather_rows, shuffle_partitions, start_ray
from jobs.framework.tables import end_of
from lib.contract import Mapping, load_mapping, parse_mapping, source_schema
from lib.contract.end_of_data import DataEnd
from lib.declaration import did_you_mean
from lib.maintenance.contracts import TELEMETRY
from lib.maintenance.dataset import Tables
from lib.maintenance.feature_set import AssetFeatureSet, FeatureError

if TYPE_CHECKING:
    from ray.data import Dataset

    from jobs.maintenance.sources import Sources

_BYTES_PER_ROW = 400


def telemetry_mapping(sources: Sources, features: AssetFeatureSet | None = None) -> Mapping:
    """The mapping of the telemetry, its sensors in the units of a kind of machine.

    Args:
        sources: where the tables are.
        features: kind of machine, or a model's; None leaves the units of the mapping.

    Raises:
        ContractError: the mapping is wrong, or a unit cannot be converted.
        FeatureError: a sensor of the kind is not in the telemetry.
    """
    mapping = _telemetry_mapping(sources)
    if features is None:
        return mapping
    sensors = mapping.contract.names[len(TELEMETRY.names) :]
    for sensor in features.sensor_names:
        if sensor not in sensors:
            raise FeatureError(
                f"telemetry has no sensor '{sensor}'; {did_you_mean(sensor, sensors)}; fill it in "
                f"--mapping-telemetry as {sensor}: {{from: ...}}"
            )
    return mapping.in_units({sensor.name: sensor.unit for sensor in features.sensors})


def _telemetry_mapping(sources: Sources) -> Mapping:
    """The mapping file of the telemetry; without one every column of numbers is a sensor."""
    if sources.mapping_telemetry is not None:
        return load_mapping(sources.mapping_telemetry, (TELEMETRY,))
    schema = source_schema(Mapping(TELEMETRY, ()), sources.telemetry)
    keys = [name for name in TELEMETRY.names if name in schema.names]
    numbers = [
        field.name
        for field in schema
        if field.name not in keys
        and (pa.types.is_floating(field.type) or pa.types.is_integer(field.type))
    ]
    columns = {name: {"from": name} for name in (*keys, *numbers)}
    text = yaml.safe_dump({"contract": TELEMETRY.name, "columns": columns}, sort_keys=False)
    return parse_mapping(text, (TELEMETRY,), origin=f"columns of {sources.telemetry}")


def by_machine(
    sources: Sources,
    small: dict[str, pa.Table | None],
    work: Callable[[Tables], pa.Table],
    quarantine: str,
    features: AssetFeatureSet,
    end_us: int | None = None,
) -> Dataset:
    """What `work` makes of the tables of each group of machines; no machine is in two groups.

    Args:
        sources: where the tables are.
        small: see `small_tables`.
        work: takes the tables of some machines.
        quarantine: folder or URI.
        features: kind of machine.
        end_us: readings after it are left out; see `telemetry_end`.
    """
    import ray

    mapping = telemetry_mapping(sources, features)
    start_ray()
    await_core()
    rows = ingestion.estimated_rows(mapping, sources.telemetry)
    choose_shuffle(rows, _BYTES_PER_ROW)
    partitions = shuffle_partitions(sources.partitions, rows)
    folder = f"{quarantine}/telemetry"
    shared = ray.put(small)

    def group(telemetry: pa.Table) -> pa.Table:
        once = ingestion.deduplicate(telemetry, mapping.contract, "machine_id", folder)
        if end_us is not None:
            once = once.filter(pc.less_equal(once["event_time"].cast(pa.int64()), end_us))
        return work(Tables(telemetry, **ray.get(shared)).of(once))

    read = ingestion.read(mapping, sources.telemetry, folder, merge_pivot=False)
    together = gather_rows(read, "machine_id", partitions)
    return together.map_batches(
        group, batch_size=None, batch_format="pyarrow", zero_copy_batch=True
    )


def telemetry_end(sources: Sources, quarantine: str) -> DataEnd | None:
    """When readings end; None where none passes its contract.

    Args:
        sources: where the tables are.
        quarantine: folder or URI for what of this reading does not pass, apart from others.
    """
    rows = ingestion.read(
        _times_only(telemetry_mapping(sources)),
        sources.telemetry,
        f"{quarantine}/telemetry",
        merge_pivot=False,
    )
    return end_of(rows)


def far_readings(end: DataEnd | None) -> dict[str, int]:
    """Readings dated far after all others, for a note: what they are, and how many."""
    return {end.text: end.far_rows} if end is not None and end.far_rows else {}


def far_lines(note: dict[str, Any]) -> list[str]:
    """The same as closing lines; notes of earlier versions say nothing of them."""
    return [f"{n:>8,}  telemetry: {text}" for text, n in note.get("far_readings", {}).items()]


def _times_only(mapping: Mapping) -> Mapping:
    """The same mapping without its sensors, so that their columns are not read."""
    if mapping.reshape is not None or mapping.aggregation is not None:
        return mapping
    return replace(
        mapping,
        contract=replace(mapping.contract, columns=TELEMETRY.columns),
        rules=tuple(rule for rule in mapping.rules if rule.target.name in TELEMETRY.names),
    )
