"""A simulated fleet whose list of machines has columns that the contract does not have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lib.feature.attributes import Attribute
from lib.maintenance.contracts import MACHINES
from tests.maintenance.small_fleet import tables

ATTRIBUTES = (
    Attribute("make", "category", words="make of the machine"),
    Attribute("load_class", "category"),
    Attribute("rated_power", "number", unit="kW", words="rated power", low=0, high=1000),
    Attribute("indoors", "flag", words="stands in a hall"),
    Attribute("alignment", "number"),
)
"""As a mapping file declares them; not frozen."""
FEATURES = ("make_code", "load_class_code", "rated_power", "indoors", "alignment")


def with_attributes(machines: pa.Table, failures: pa.Table, seed: int = 5) -> pa.Table:
    """A list of machines with makes, load classes and more; one make fails more often."""
    draw, count = np.random.default_rng(seed), machines.num_rows
    names = machines["machine_id"].to_pylist()
    failed = failures["machine_id"].to_pylist()
    often = np.argsort([-failed.count(name) for name in names], kind="stable")[: count // 2]
    makes = np.full(count, "Bolt", dtype=object)
    makes[often] = "Acme"
    makes[often[-1]], makes[often[-2]] = "Rare", None
    columns = {
        "make": pa.array(makes.tolist(), pa.string()),
        "load_class": pa.array(["heavy" if k % 3 else "light" for k in range(count)]),
        "rated_power": pa.array(draw.uniform(5, 90, count), mask=draw.random(count) < 0.1),
        "indoors": pa.array(draw.random(count) < 0.5, mask=draw.random(count) < 0.1),
        "alignment": pa.array(draw.normal(0.0, 1e-3, count) ** 3),
    }
    for name, values in columns.items():
        machines = machines.append_column(name, values)
    return machines


def machines_of(fleet: Path) -> pa.Table:
    """The machines of a fleet with attributes."""
    own = tables(fleet)
    return with_attributes(own.machines, own.failures)


def write_attributes(fleet: Path, folder: Path) -> dict[str, str]:
    """The list with attributes and its mapping file, and the options of jobs that name them."""
    folder.mkdir(parents=True, exist_ok=True)
    machines = machines_of(fleet)
    # as another system calls them, and writes its flags
    machines = machines.rename_columns(
        ["MAKE" if name == "make" else name for name in machines.column_names]
    )
    indoors = pc.if_else(machines["indoors"], "Y", "N")
    machines = machines.set_column(machines.column_names.index("indoors"), "indoors", indoors)
    pq.write_table(machines, folder / "machines.parquet")
    (folder / "machines.yaml").write_text(mapping(machines.column_names))
    return {
        "machines": str(folder / "machines.parquet"),
        "mapping_machines": str(folder / "machines.yaml"),
    }


def mapping(columns: list[str], attributes: str = "") -> str:
    """A mapping file of machines with attributes, unless others are given.

    Args:
        columns: of the file.
        attributes: lines under `attributes`.
    """
    entries = [f"  {name}: {{from: {name}}}" for name in MACHINES.names if name in columns]
    own = attributes or "\n".join(
        [
            "  make: {from: MAKE, type: category, words: make of the machine}",
            "  load_class: {from: load_class, type: category}",
            "  rated_power: {from: rated_power, type: number, unit: kW, low: 0, high: 1000,"
            " words: rated power}",
            "  indoors: {from: indoors, type: flag, values: {Y: 'true', N: 'false'},"
            " words: stands in a hall}",
            "  alignment: {from: alignment, type: number}",
        ]
    )
    return "\n".join(["contract: machines", "attributes:", own, "columns:", *entries, ""])
