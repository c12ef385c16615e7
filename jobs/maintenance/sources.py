"""Machines' tables in: where they are, the small ones whole, and the kind of machine they show."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from jobs import ingestion
from jobs.framework.attributes import attribute_fault, require_attributes
from jobs.framework.paths import InputPath, OutputPath
from jobs.framework.progress import JobOptions
from jobs.framework.tables import table_summaries
from jobs.maintenance.telemetry import telemetry_mapping
from lib.contract import Column, Contract, ContractError, Mapping, source_schema
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
from lib.maintenance.feature_set import AssetFeatureSet, Sensor
from lib.maintenance.machine_attributes import frozen_attributes
from lib.maintenance.offline import measured_waveforms
from lib.storage import Storage

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
