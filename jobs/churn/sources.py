"""Customers' tables in: one stream of happenings as a Ray data set, all of a customer together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs import ingestion
from jobs.cluster.admission import await_core
from jobs.framework.attributes import attribute_fault, require_attributes
from jobs.framework.cluster import choose_shuffle, gather_rows, shuffle_partitions, start_ray
from jobs.framework.options import parse_time
from jobs.framework.paths import InputPath
from jobs.framework.tables import TableSources, end_of, table_summaries
from lib.churn.contracts import CONTRACTS, CUSTOMERS
from lib.churn.customer_attributes import frozen_attributes
from lib.churn.events import events_of, schema_of
from lib.churn.features import churn_features
from lib.churn.vocabulary import CustomerVocabulary, vocabulary_of
from lib.contract import Contract, ContractError, Mapping
from lib.contract.end_of_data import DataEnd
from lib.feature.attributes import AttributeFaultError, attributes_of
from lib.storage import Storage, open_storage

if TYPE_CHECKING:
    from ray.data import Dataset

_BYTES_PER_ROW = 600
TABLES = tuple(contract.name for contract in CONTRACTS)


@dataclass(frozen=True, kw_only=True)
class Sources(TableSources):
    """Paths of the tables. All but the customers are optional."""

    contracts = CONTRACTS

    customers: InputPath | None = None
    """customers with contract start, renewal, plan, seats, revenue, segment: Parquet or CSV file,
    folder or URI"""
    usage: InputPath | None = None
    """usage of product features by customer and time: Parquet or CSV file, folder or URI"""
    tickets: InputPath | None = None
    """support tickets: Parquet or CSV file, folder or URI"""
    invoices: InputPath | None = None
    """invoices, or lines of invoices: Parquet or CSV file, folder or URI"""
    payments: InputPath | None = None
    """payments, failed ones included: Parquet or CSV file, folder or URI"""
    surveys: InputPath | None = None
    """answers to surveys (NPS): Parquet or CSV file, folder or URI"""
    signals: InputPath | None = None
    """signals that account managers noticed, such as a competitor or a complaint about the price:
    Parquet or CSV file, folder or URI"""
    churn: InputPath | None = None
    """notices of customers: Parquet or CSV file, folder or URI; without it --target.means must be
    no_invoice or no_usage"""
    mapping_customers: InputPath | None = None
    """YAML mapping file of --customers; not needed if the columns have the names of the contract"""
    mapping_usage: InputPath | None = None
    """YAML mapping file of --usage; not needed if the columns have the names of the contract"""
    mapping_tickets: InputPath | None = None
    """YAML mapping file of --tickets; not needed if the columns have the names of the contract"""
    mapping_invoices: InputPath | None = None
    """YAML mapping file of --invoices; not needed if the columns have the names of the contract"""
    mapping_payments: InputPath | None = None
    """YAML mapping file of --payments; not needed if the columns have the names of the contract"""
    mapping_surveys: InputPath | None = None
    """YAML mapping file of --surveys; not needed if the columns have the names of the contract"""
    mapping_signals: InputPath | None = None
    """YAML mapping file of --signals; not needed if the columns have the names of the contract"""
    mapping_churn: InputPath | None = None
    """YAML mapping file of --churn; not needed if the columns have the names of the contract"""
    until: str | None = None
    """end of the data, ISO 8601 in UTC; later rows are errors of the source, left out and counted;
    default: time of the newest row"""
    partitions: int = 0
    """number of partitions by customer; 0 chooses by size of the data and number of cores"""

    def check(self) -> None:
        """See `JobOptions`."""
        if self.customers is None:
            raise ContractError("--customers is missing: say who the customers are")
        if self.until is not None:
            parse_time("--until", self.until)
        self.check_mappings()
        attributes = attributes_of(self.mapping(CUSTOMERS).contract)
        try:
            churn_features(CustomerVocabulary(attributes=attributes))
        except AttributeFaultError as error:
            raise attribute_fault(self.mapping_customers, error) from error


@dataclass(frozen=True)
class Stream:
    """Happenings as a Ray data set, and what is known of them as a whole."""

    rows: Dataset
    base: CustomerVocabulary
    first_us: int
    last_us: int
    partitions: int
    after_the_end: int = 0
    end: DataEnd | None = None


def read_stream(
    sources: Sources,
    quarantine: str,
    base: CustomerVocabulary | None = None,
    feature_text: str = "",
) -> Stream:
    """All tables, checked, as one materialized stream.

    Args:
        sources: where they are.
        quarantine: folder or URI for rows that break a contract.
        base: vocabularies; None takes those that the customers show.
        feature_text: the feature file where no base has one; empty without one.

    Raises:
        ContractError: there are no customers, or a table cannot be read.
    """
    Sources.check(sources)
    import ray

    start_ray()
    await_core()
    mappings = {
        contract.name: sources.mapping(contract)
        for contract in CONTRACTS
        if contract.name in sources.table_names
    }
    if base is not None:
        require_attributes(base.attributes, mappings[CUSTOMERS.name].contract)
    count = sources.estimated_rows(*CONTRACTS)
    choose_shuffle(count, _BYTES_PER_ROW)
    customers = _customers(sources, mappings[CUSTOMERS.name], quarantine)
    if base is None:
        base = _shown(sources, mappings[CUSTOMERS.name].contract, customers)
        base = replace(base, feature_file=feature_text)
    rows = ray.data.from_arrow(events_of(CUSTOMERS.name, base, customers))
    for name, mapping in mappings.items():
        if name != CUSTOMERS.name:
            convert = partial(events_of, name, base)
            read = ingestion.read(mapping, getattr(sources, name), f"{quarantine}/{name}")
            rows = rows.union(read.map_batches(convert, batch_format="pyarrow", batch_size=None))
    late = 0
    if sources.until is not None:
        end_us = parse_time("--until", sources.until)
        rows, all_rows = rows.map_batches(partial(_not_after, end_us), batch_format="pyarrow"), rows
        rows = rows.materialize()
        late = all_rows.count() - rows.count()
    rows = rows.materialize()
    partitions = shuffle_partitions(sources.partitions, count)
    first, end = _span(rows)
    if end.far_rows:
        print(f"{end.far_rows:,} {end.text}; a moment `until` leaves them out", flush=True)
    return Stream(rows, base, first, end.last_us, partitions, late, end)


def _shown(sources: Sources, contract: Contract, customers: pa.Table) -> CustomerVocabulary:
    """The vocabularies that the customers show."""
    columns = (customers[name].unique().to_pylist() for name in ("segment", "plan"))
    try:
        attributes = frozen_attributes(attributes_of(contract), customers)
    except AttributeFaultError as error:
        raise attribute_fault(sources.mapping_customers, error) from error
    return vocabulary_of(*columns, sources.table_names, attributes)


def by_customer(stream: Stream, work: Callable[[pa.Table], pa.Table]) -> Dataset:
    """What `work` makes of the stream of each group of customers; none is in two groups."""
    schema = schema_of(stream.base)

    def group(happened: pa.Table) -> pa.Table:
        return work(deduplicate(happened.cast(schema)))

    together = gather_rows(stream.rows, "customer_id", stream.partitions)
    return together.map_batches(
        group, batch_size=None, batch_format="pyarrow", zero_copy_batch=True
    )


def deduplicate(happened: pa.Table) -> pa.Table:
    """Each happening once that has a name of its own: the same ticket may stand in two files."""
    ids = happened["event_id"].combine_chunks()
    named = pc.match_substring_regex(
        ids, "^(customer|opened|closed|cancels|survey|signal|leaving):"
    )
    codes = ids.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    first = np.zeros(len(ids), dtype=np.bool_)
    first[np.unique(codes, return_index=True)[1]] = True
    return happened.filter(pc.or_(pc.invert(named), pa.array(first)))


def intakes(storage: Storage, quarantine: str) -> dict[str, dict[str, Any]]:
    """What became of the rows of each table that was read."""
    return table_summaries(storage, quarantine, TABLES)


def _not_after(end_us: int, table: pa.Table) -> pa.Table:
    return table.filter(pc.less(table["event_time"].cast(pa.int64()), end_us))


def _customers(sources: Sources, mapping: Mapping, quarantine: str) -> pa.Table:
    """The customers whole: what segments there are must be known before the rest is read."""
    import ray

    folder = f"{quarantine}/{CUSTOMERS.name}"
    blocks = ray.get(ingestion.read(mapping, str(sources.customers), folder).to_arrow_refs())
    filled = [block for block in blocks if block.num_rows]
    if not filled:
        storage = open_storage(quarantine)
        reason = ingestion.most_frequent_reason(storage, CUSTOMERS.name, str(sources.customers))
        raise ContractError(
            f"{reason}; no customer passed the contract; see {storage.shown(CUSTOMERS.name)}"
        )
    return ingestion.deduplicate(pa.concat_tables(filled), mapping.contract, "customer_id", folder)


def _span(rows: Dataset) -> tuple[int, DataEnd]:
    """When the first and the last thing happened; contracts may be older than any record."""

    def ends(table: pa.Table) -> pa.Table:
        times = table["event_time"].cast(pa.int64())
        acts = times.filter(pc.equal(table["told"], 0))
        return pa.table(
            {
                "low": pa.array([pc.min(acts).as_py()], pa.int64()),
                "any": pa.array([pc.min(times).as_py()], pa.int64()),
                "high": pa.array([pc.max(times).as_py()], pa.int64()),
            }
        )

    bounds = rows.map_batches(ends, batch_format="pyarrow", batch_size=None).materialize()
    low = bounds.min("low")
    end = end_of(rows)
    if end is None:
        raise ContractError(
            "no row of any table is left; check the option `until` and the times of the tables"
        )
    return int(bounds.min("any") if low is None else low), end
