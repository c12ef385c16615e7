"""Machines' tables in: telemetry as a Ray data set by machine, the small tables whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from jobs import ingestion
from jobs.cluster.admission import await_core
from jobs.framework.attributes import attribute_fault, require_attributes
from jobs.framework.cluster import choose_shuffle, gather_rows, shuffle_partitions, start_ray
from jobs.framework.paths import InputPath, OutputPath
from jobs.framework.progress import JobOptions
from jobs.framework.tables import end_of, table_summaries
from lib.contract import (
    Column,
    Contract,
    ContractError,
    Mapping,
    load_mapping,
    parse_mapping,
    source_schema,
)
from lib.contract.end_of_data import DataEnd
from lib.declaration import did_you_mean
from lib.feature.attributes import AttributeFaultError, attributes_of
from lib.maintenance.contracts import (
    ERRORS,
    FAILURES,
    MACHINES,
    MAINTENANCE,
    TELEMETRY,
    WAVEFORM_FEATURES,
    WAVEFORMS,
)
from lib.maintenance.dataset import Tables
from lib.maintenance.feature_set import AssetFeatureSet, FeatureError, Sensor
from lib.maintenance.machine_attributes import frozen_attributes
from lib.maintenance.offline import measured_waveforms
from lib.storage import Storage

if TYPE_CHECKING:
    from ray.data import Dataset

_BYTES_PER_ROW = 400
_MOST_NAMES = 60
_SMALL = {
    "errors": ERRORS,
    "maintenance": MAINTENANCE,
    "failures": FAILURES,
    "machines": MACHINES,
}


@dataclass(frozen=True, kw_only=True)
class Sources(JobOptions):
    """Paths of the tables. All but telemetry are optional."""

    telemetry: InputPath
    """sensor readings: Parquet or CSV file, folder or URI"""
    output: OutputPath
    """output folder or URI (s3://, gs://, file://); on a cluster one that all nodes can access"""
    errors: InputPath | None = None
    """error codes of controllers: Parquet or CSV file, folder or URI"""
    maintenance: InputPath | None = None
    """services and repairs: Parquet or CSV file, folder or URI"""
    failures: InputPath | None = None
    """failures with their modes: Parquet or CSV file, folder or URI"""
    machines: InputPath | None = None
    """machines with plant, line and date of installation: Parquet or CSV file, folder or URI"""
    waveforms: InputPath | None = None
    """vibration waveforms with their sampling rate: Parquet or CSV file, folder or URI; only if the
    kind of machine declares waveforms"""
    mapping_telemetry: InputPath | None = None
    """YAML mapping file of --telemetry; not needed if the columns have the names of the contract"""
    mapping_errors: InputPath | None = None
    """YAML mapping file of --errors; not needed if the columns have the names of the contract"""
    mapping_maintenance: InputPath | None = None
    """YAML mapping file of --maintenance; not needed if the columns have the names of the
    contract"""
    mapping_failures: InputPath | None = None
    """YAML mapping file of --failures; not needed if the columns have the names of the contract"""
    mapping_machines: InputPath | None = None
    """YAML mapping file of --machines; not needed if the columns have the names of the contract"""
    mapping_waveforms: InputPath | None = None
    """YAML mapping file of --waveforms; not needed if the columns have the names of the contract"""
    partitions: int = 0
    """number of partitions by machine; 0 chooses by size of the data and number of cores"""

    def check(self) -> None:
        """See `JobOptions`."""
        self.check_tables(None)

    def check_tables(self, features: AssetFeatureSet | None) -> None:
        """Refuse mappings and columns that cannot work, for a kind of machine; reads no rows."""
        mapping = telemetry_mapping(self, features)
        source_schema(mapping, self.telemetry, may_be_empty=True)
        for name, contract in {**_SMALL, "waveforms": WAVEFORMS}.items():
            path = getattr(self, name)
            if path is not None:
                ingestion.checked_mapping(contract, getattr(self, f"mapping_{name}"), path)
        of_mapping = self.machines is not None and machines_contract(self).attributes
        if of_mapping or (features is not None and features.attributes):
            with_attributes(self, features or kind_in(mapping, dict.fromkeys(_SMALL)), None)

    @property
    def files(self) -> list[str]:
        """All files and mappings that are named."""
        names = ["telemetry", "waveforms", *_SMALL]
        paths = [getattr(self, name) for name in (*names, *(f"mapping_{name}" for name in names))]
        return [str(path) for path in paths if path is not None]


def small_tables(sources: Sources, quarantine: str) -> dict[str, pa.Table | None]:
    """The tables beside telemetry: thousands of rows, one copy for all tasks.

    Raises:
        ContractError: a table cannot be read, or its machines are none of those that are listed.
    """
    tables = {
        name: _read_small_table(sources, name, contract, quarantine)
        for name, contract in _SMALL.items()
    }
    _refuse_unknown_machines(tables)
    return tables


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


def kind_in(mapping: Mapping, small: dict[str, pa.Table | None]) -> AssetFeatureSet:
    """A kind of machine as the data shows it: every sensor, component and code that comes.

    It knows no bounds and finds no stuck sensor; written to a file, people may add them.
    """
    own = set(TELEMETRY.names)
    sensors = [
        Sensor(column.name, column.unit)
        for column in mapping.contract.columns
        if column.name not in own
    ]
    return AssetFeatureSet(
        sensors=tuple(sensors),
        components=_named(small["maintenance"], "component"),
        error_codes=_named(small["errors"], "error_code"),
    )


def with_attributes(
    sources: Sources, kind: AssetFeatureSet, machines: pa.Table | None
) -> AssetFeatureSet:
    """A kind of machine with attributes: those that it declares, else those of the mapping.

    Args:
        sources: where the tables are.
        kind: of machine.
        machines: whose values get codes.

    Raises:
        ContractError: the mapping lacks an attribute of the kind, or has one that cannot be meant,
            with its line.
    """
    if kind.attributes:
        require_machine_attributes(sources, kind)
        return kind
    attributes = () if sources.machines is None else attributes_of(machines_contract(sources))
    try:
        return replace(kind, attributes=frozen_attributes(attributes, machines))
    except AttributeFaultError as error:
        raise attribute_fault(sources.mapping_machines, error) from error


def require_machine_attributes(sources: Sources, features: AssetFeatureSet) -> None:
    """Refuse machines without an attribute of a kind of machine, or of a model's.

    Raises:
        ContractError: there is no list of machines, or its mapping lacks an attribute.
    """
    if not features.attributes:
        return
    if sources.machines is None:
        names = ", ".join(f"'{attribute.name}'" for attribute in features.attributes)
        raise ContractError(
            f"--machines is missing: the model reads attributes of machines ({names}); give the "
            "list of machines with --mapping-machines"
        )
    require_attributes(features.attributes, machines_contract(sources))


def unread_attributes(sources: Sources, features: AssetFeatureSet) -> list[str]:
    """Attributes of the mapping of machines that a kind of machine does not declare."""
    if sources.machines is None:
        return []
    names = {attribute.name for attribute in features.attributes}
    return [name for name in machines_contract(sources).attributes if name not in names]


def machines_contract(sources: Sources) -> Contract:
    """The contract of the list of machines, with the attributes of its mapping file."""
    path = str(sources.machines)
    return ingestion.mapping_for(MACHINES, sources.mapping_machines, path).contract


def _named(table: pa.Table | None, column: str) -> tuple[str, ...]:
    """Distinct texts of a column, by name.

    Raises:
        ContractError: there are more than features can be made of.
    """
    if table is None:
        return ()
    names = sorted(name for name in table[column].unique().to_pylist() if name is not None)
    if len(names) > _MOST_NAMES:
        raise ContractError(
            f"{column}: {len(names)} different ones; name those that matter in a file for "
            "jobs.maintenance.features --kind"
        )
    return tuple(names)


def measured(sources: Sources, features: AssetFeatureSet, quarantine: str) -> pa.Table | None:
    """What is measured of every waveform, computed where each block of them lies.

    Raises:
        ContractError: waveforms are given and the kind of machine has none, or the other way round.
    """
    if features.waveforms is None and sources.waveforms is None:
        return None
    if features.waveforms is None or sources.waveforms is None:
        raise ContractError(
            "--waveforms: the kind of machine declares "
            + ("none, and some are given" if features.waveforms is None else "some; give them")
        )
    import ray

    mapping = ingestion.mapping_for(WAVEFORMS, sources.mapping_waveforms, sources.waveforms)
    folder = f"{quarantine}/waveforms"

    def measure(table: pa.Table) -> pa.Table:
        return measured_waveforms(features, table)

    read = ingestion.read(mapping, sources.waveforms, folder)
    blocks = ray.get(read.map_batches(measure, batch_format="pyarrow").to_arrow_refs())
    columns = [Column(name, pa.float64(), "", required=False) for name in features.wave_measures]
    contract = WAVEFORM_FEATURES.with_columns(columns)
    filled = [block for block in blocks if block.num_rows]
    if not filled:
        return contract.check(contract.schema.empty_table()).good
    measured = pa.concat_tables(filled)
    return ingestion.deduplicate(measured, contract, "machine_id", folder, passed=False)


def _read_small_table(
    sources: Sources, name: str, contract: Contract, quarantine: str
) -> pa.Table | None:
    import ray

    path = getattr(sources, name)
    if path is None:
        return None
    mapping = ingestion.mapping_for(contract, getattr(sources, f"mapping_{name}"), path)
    folder = f"{quarantine}/{name}"
    blocks = ray.get(ingestion.read(mapping, path, folder).to_arrow_refs())
    filled = [block for block in blocks if block.num_rows]
    if not filled:
        return mapping.contract.check(mapping.contract.schema.empty_table()).good
    table = pa.concat_tables(filled)
    return ingestion.deduplicate(table, mapping.contract, "machine_id", folder)


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


def intakes(storage: Storage, quarantine: str) -> dict[str, dict[str, Any]]:
    """What became of the rows of each table that was read."""
    return table_summaries(storage, quarantine, ("telemetry", "waveforms", *_SMALL))


def _refuse_unknown_machines(small: dict[str, pa.Table | None]) -> None:
    """A table whose machines are none of those that are listed was mapped wrongly."""
    machines = small["machines"]
    if machines is None or not machines.num_rows:
        return
    listed = set(machines["machine_id"].to_pylist())
    for name, table in small.items():
        if table is None or not table.num_rows:
            continue
        machine_ids = set(table["machine_id"].to_pylist())
        if not machine_ids & listed:
            raise ContractError(
                f"{name}: none of its {len(machine_ids)} machines is among the {len(listed)} of "
                "the list "
                f"of machines, for instance {min(machine_ids)!r} beside {min(listed)!r}; check "
                "the mapping"
            )
