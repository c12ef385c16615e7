"""Customers' tables in: one stream of happenings as a Ray data set, all of a customer together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs import ingestion
from jobs.cluster.admission import await_core
from jobs.data_end import end_of
from jobs.feature_join import partitions_for
from jobs.framework.cluster import start_ray
from jobs.framework.paths import InputPath
from jobs.framework.progress import JobOptions
from lib.churn.contracts import CONTRACTS, CUSTOMERS
from lib.churn.events import SCHEMA, events_of
from lib.churn.vocabulary import CustomerVocabulary, vocabulary_of
from lib.contract import Contract, ContractError, Mapping
from lib.contract.end_of_data import DataEnd
from lib.storage import Storage, open_storage

if TYPE_CHECKING:
    from ray.data import Dataset

_BYTES_PER_ROW = 600
TABLES = tuple(contract.name for contract in CONTRACTS)


@dataclass(frozen=True, kw_only=True)
class Sources(JobOptions):
    """Where the tables are. All but the customers may be left out."""

    customers: InputPath | None = None
    """customers with contract start, renewal, plan, seats, revenue, segment: Parquet or CSV file,
    folder or URI"""
    usage: InputPath | None = None
    """who used which feature when"""
    tickets: InputPath | None = None
    """support tickets"""
    invoices: InputPath | None = None
    """invoices, or their lines"""
    payments: InputPath | None = None
    """payments, failed ones too"""
    surveys: InputPath | None = None
    """answers to surveys (NPS)"""
    signals: InputPath | None = None
    """what account managers noticed: a competitor, a champion who left, a complaint about price"""
    churn: InputPath | None = None
    """notices; without them leaving must mean falling silent (--target.means)"""
    mapping_customers: InputPath | None = None
    """YAML that maps columns to the contract; not needed where they are named as ours"""
    mapping_usage: InputPath | None = None
    """the same for usage"""
    mapping_tickets: InputPath | None = None
    """the same for tickets"""
    mapping_invoices: InputPath | None = None
    """the same for invoices"""
    mapping_payments: InputPath | None = None
    """the same for payments"""
    mapping_surveys: InputPath | None = None
    """the same for surveys"""
    mapping_signals: InputPath | None = None
    """the same for signals"""
    mapping_churn: InputPath | None = None
    """the same for churn"""
    until: str | None = None
    """end of the data, ISO 8601 in UTC: what is dated later is an error of the source and is left
    out, counted; default: the newest row"""
    partitions: int = 0
    """blocks that customers are spread over; 0 chooses by size and cores"""

    @property
    def table_names(self) -> tuple[str, ...]:
        """Names of the tables that are there."""
        return tuple(name for name in TABLES if getattr(self, name) is not None)

    @property
    def files(self) -> list[str]:
        """All files and mappings that are named."""
        names = [*TABLES, *(f"mapping_{name}" for name in TABLES)]
        paths = [getattr(self, name) for name in names]
        return [str(path) for path in paths if path is not None]

    def check(self) -> None:
        """See `JobOptions`."""
        if self.customers is None:
            raise ContractError("--customers is missing: say who the customers are")
        if self.until is not None:
            moment("--until", self.until)
        for contract in CONTRACTS:
            if contract.name in self.table_names:
                path = getattr(self, f"mapping_{contract.name}")
                ingestion.checked_mapping(contract, path, getattr(self, contract.name))

    def mapping(self, contract: Contract) -> Mapping:
        """The mapping of a table that is given."""
        path = getattr(self, f"mapping_{contract.name}")
        return ingestion.mapping_for(contract, path, getattr(self, contract.name))


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
    sources: Sources, quarantine: str, base: CustomerVocabulary | None = None
) -> Stream:
    """All tables, checked, as one materialized stream.

    Args:
        sources: where they are.
        quarantine: folder or URI for rows that break a contract.
        base: vocabularies; None takes those that the customers show.

    Raises:
        ContractError: there are no customers, or a table cannot be read.
    """
    Sources.check(sources)
    import ray
    from ray.data import DataContext

    start_ray()
    await_core()
    mappings = {
        contract.name: sources.mapping(contract)
        for contract in CONTRACTS
        if contract.name in sources.table_names
    }
    count = sum(ingestion.estimated_rows(m, getattr(sources, n)) for n, m in mappings.items())
    resources = ray.cluster_resources()
    fits = count * _BYTES_PER_ROW < resources.get("object_store_memory", 0) / 2
    DataContext.get_current().use_disk_based_hash_shuffle = not fits
    customers = _customers(sources, mappings[CUSTOMERS.name], quarantine)
    if base is None:
        columns = (customers[name].unique().to_pylist() for name in ("segment", "plan"))
        base = vocabulary_of(*columns, sources.table_names)
    rows = ray.data.from_arrow(events_of(CUSTOMERS.name, customers, base))
    for name, mapping in mappings.items():
        if name != CUSTOMERS.name:
            convert = partial(_happened, name, base)
            read = ingestion.read(mapping, getattr(sources, name), f"{quarantine}/{name}")
            rows = rows.union(read.map_batches(convert, batch_format="pyarrow", batch_size=None))
    late = 0
    if sources.until is not None:
        end_us = moment("--until", sources.until)
        rows, all_rows = rows.map_batches(partial(_not_after, end_us), batch_format="pyarrow"), rows
        rows = rows.materialize()
        late = all_rows.count() - rows.count()
    rows = rows.materialize()
    partitions = sources.partitions or partitions_for(
        count, int(resources.get("CPU", 1)), resources.get("memory", 0.0)
    )
    first, end = _span(rows)
    if end.far_rows:
        print(f"{end.far_rows:,} {end.text}; a moment `until` leaves them out", flush=True)
    return Stream(rows, base, first, end.last_us, partitions, late, end)


def by_customer(stream: Stream, work: Callable[[pa.Table], pa.Table]) -> Dataset:
    """What `work` makes of the stream of each group of customers; none is in two groups."""

    def group(happened: pa.Table) -> pa.Table:
        return work(deduplicate(happened.cast(SCHEMA)))

    together = stream.rows.repartition(1)
    if stream.partitions > 1:
        together = stream.rows.repartition(stream.partitions, keys=["customer_id"], sort=True)
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


def intakes(storage: Storage, quarantine: str) -> dict[str, dict[str, object]]:
    """What became of the rows of each table that was read."""
    summaries = {}
    for name in TABLES:
        summary = ingestion.summary(storage, f"{quarantine}/{name}")
        if summary.rows_in or summary.empty_files:
            summaries[name] = asdict(summary)
    return summaries


def moment(option: str, text: str) -> int:
    """Microseconds since 1970 of a time in ISO 8601, UTC where it says nothing else.

    Raises:
        ContractError: it is none, naming the option.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ContractError(f"{option}: expected a time in ISO 8601, got {text!r}") from error
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
    return round(time.timestamp() * 1e6)


def _not_after(end_us: int, table: pa.Table) -> pa.Table:
    return table.filter(pc.less(table["event_time"].cast(pa.int64()), end_us))


def _happened(name: str, base: CustomerVocabulary, table: pa.Table) -> pa.Table:
    return events_of(name, table, base)


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
