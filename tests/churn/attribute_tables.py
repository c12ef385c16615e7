"""Simulated customers with columns that the contract does not have, as tables and as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lib.churn.contracts import CUSTOMERS
from lib.churn.customer_attributes import frozen_attributes
from lib.churn.vocabulary import CustomerVocabulary, vocabulary_of
from lib.feature.attributes import Attribute
from tests.churn.changed_customers import TABLES

NUMBERS = tuple(f"usage_index_{number}" for number in range(1, 36))
"""Two whole numbers each: more than a compiled reader of profiles takes."""
ATTRIBUTES = (
    Attribute("contract_type", "category", words="the kind of contract"),
    Attribute("region", "category"),
    Attribute("addons", "number", unit="add-ons", words="add-ons booked", low=0, high=1000),
    Attribute("has_sso", "flag", words="single sign-on"),
    Attribute("discount", "number"),
)
"""As a mapping file declares them; not frozen."""
_KINDS = ("monthly", "yearly", "multi-year")
_REGIONS = ("north", "south", "east")


def with_attributes(customers: pa.Table, leavers: pa.Array, seed: int = 7) -> pa.Table:
    """A table of customers with contract types, regions, add-ons and more; some tell who leaves."""
    draw, count = np.random.default_rng(seed), customers.num_rows
    leaves = pc.is_in(customers["customer_id"], value_set=leavers).to_numpy()
    kinds = np.where(leaves & (draw.random(count) < 0.8), 0, draw.integers(0, 3, count))
    regions = draw.integers(0, 3, count)
    addons = draw.poisson(np.where(leaves, 1.0, 4.0))
    columns = {
        "contract_type": pa.array([_KINDS[k] for k in kinds]),
        "region": pa.array([_REGIONS[k] for k in regions], mask=draw.random(count) < 0.1),
        "addons": pa.array(addons.astype(np.float64), mask=draw.random(count) < 0.1),
        "has_sso": pa.array(draw.random(count) < 0.4, mask=draw.random(count) < 0.1),
        "discount": pa.array(draw.normal(0.0, 1e-3, count) ** 3),
    }
    for name, values in columns.items():
        customers = customers.append_column(name, values)
    return customers


def with_numbers(customers: pa.Table, seed: int = 8) -> pa.Table:
    """The same with many numbers of every size."""
    draw = np.random.default_rng(seed)
    for name in NUMBERS:
        sizes = 10.0 ** draw.uniform(-200, 200, customers.num_rows)
        values = draw.normal(size=customers.num_rows) * sizes
        customers = customers.append_column(
            name, pa.array(values, mask=draw.random(customers.num_rows) < 0.2)
        )
    return customers


def base_of(tables: dict[str, pa.Table], attributes: tuple[Attribute, ...]) -> CustomerVocabulary:
    """The base that tables show, with attributes frozen by them."""
    customers = tables["customers"]
    columns = (customers[name].unique().to_pylist() for name in ("segment", "plan"))
    return vocabulary_of(*columns, tables, frozen_attributes(attributes, customers))


def write_attributes(source: Path, folder: Path) -> dict[str, str]:
    """Files with attributes of customers, and the options of jobs that name them.

    Args:
        source: folder of the tables as `jobs.churn.simulate` writes them.
        folder: for the customers and their mapping file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    leavers = pq.read_table(source / "churn.parquet")["customer_id"].combine_chunks()
    customers = with_attributes(pq.read_table(source / "customers.parquet"), leavers)
    # as another system calls them, and writes its flags
    customers = customers.rename_columns(
        ["KIND" if name == "contract_type" else name for name in customers.column_names]
    )
    sso = pc.if_else(customers["has_sso"], "Y", "N")
    customers = customers.set_column(customers.column_names.index("has_sso"), "has_sso", sso)
    pq.write_table(customers, folder / "customers.parquet")
    (folder / "customers.yaml").write_text(mapping())
    named = {name: str(source / f"{name}.parquet") for name in TABLES}
    return named | {
        "customers": str(folder / "customers.parquet"),
        "mapping_customers": str(folder / "customers.yaml"),
    }


def mapping(attributes: str = "") -> str:
    """A mapping file of customers with attributes, unless others are given."""
    columns = [
        f"  {name}: {{from: {name}{', unit: minor' if name == 'mrr_minor' else ''}}}"
        for name in CUSTOMERS.names
    ]
    own = attributes or "\n".join(
        [
            "  contract_type: {from: KIND, type: category, words: the kind of contract}",
            "  region: {from: region, type: category}",
            "  addons: {from: addons, type: number, unit: add-ons, low: 0, high: 1000,"
            " words: add-ons booked}",
            "  has_sso: {from: has_sso, type: flag, values: {Y: 'true', N: 'false'},"
            " words: single sign-on}",
            "  discount: {from: discount, type: number}",
        ]
    )
    return "\n".join(["contract: customers", "columns:", *columns, "attributes:", own, ""])
