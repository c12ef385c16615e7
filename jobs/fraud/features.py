"""Payments and labels in, checked payments with all features out; see `--help`."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from jobs import ingestion
from jobs.cluster.admission import await_core
from jobs.feature_join import add_features
from jobs.framework.cluster import choose_shuffle, gather_rows, shuffle_partitions, start_ray
from jobs.framework.command import cause_in, run_job
from jobs.framework.paths import OutputPath
from jobs.framework.row_folder import RowFolder, report_rows
from jobs.fraud.label_counts import label_counts, label_lines, label_warnings, note_labels
from jobs.fraud.sources import Sources
from lib.contract import Contract, ContractError
from lib.feature import FeatureSet, TableFeatures
from lib.fraud.amounts import AmountScale
from lib.fraud.contracts import CONTRACTS, LABELS, TRANSACTIONS, join_labels
from lib.fraud.features import fraud_features
from lib.storage import open_storage

NOTE = "features.json"
_LABEL_COLUMNS = ("is_fraud", "observed_at")
_BYTES_PER_ROW = 1_500
_ONE_TASK_BYTES_PER_ROW = 1_400
_ROWS_PER_FILE = 200_000
_MOST_THREADS = 4  # of the task for all rows: what its threads take turns in lets no more be busy
_REPEATED_TEXTS = tuple(
    column.name
    for column in TRANSACTIONS.columns
    if pa.types.is_string(column.type) and column.name not in TRANSACTIONS.key
)
_ATTEMPTS = 3
_NEVER_MISSING = tuple(column.name for column in TRANSACTIONS.columns if column.required)
_AS_ARROW = {"batch_format": "pyarrow", "zero_copy_batch": True}


@dataclass(frozen=True, kw_only=True)
class FeaturesConfig(Sources):
    """Compute the features of payments as of the time of each payment.

    Works on Parquet or CSV files of any size; what does not fit into memory is spilled to disk.
    Rows that break the contract go to OUTPUT/quarantine with a reason.
    """

    output: OutputPath
    """Output folder or URI (s3://, gs://, file://): data/ (features), quarantine/ and, last,
    features.json. On a cluster one that all nodes can access."""
    partitions: int = 0
    """Number of partitions of each shuffle; 0 chooses by size of the data and number of cores, 1
    does not shuffle."""
    overwrite: bool = False
    """Compute the features again even if OUTPUT already holds the features of the same files."""


def main(config: FeaturesConfig) -> str:
    """Compute and write the features; returns the folder or URI of Parquet files."""
    return report_rows(
        write_features(config), RowFolder(open_storage(config.output), NOTE), _closing_lines
    )


def write_features(config: FeaturesConfig) -> str:
    """The folder of features, computed unless it is there for the same inputs already.

    Raises:
        ContractError: a column is missing or of the wrong type, or there is nothing to read.
    """
    folder = RowFolder(open_storage(config.output), NOTE)
    scale = AmountScale.of(config.mapping(TRANSACTIONS))
    features = fraud_features(scale)
    inputs = {
        "data_fingerprint": ingestion.fingerprint_of(config.files),
        "feature_set_digest": features.digest,
    }
    if not config.overwrite and folder.has(inputs, "features"):
        return folder.data
    started = time.monotonic()
    count = _computed(config, features, folder)
    folder.publish()
    output = folder.storage
    note = {
        **inputs,
        "rows": count,
        "features": list(features.names),
        "amounts": asdict(scale),
        "transactions": asdict(ingestion.summary(output, "quarantine/transactions")),
        "labels": None
        if config.labels is None
        else asdict(ingestion.summary(output, "quarantine/labels")) | label_counts(output),
        "seconds": round(time.monotonic() - started, 3),
    }
    folder.finish(note)
    return folder.data


def _computed(config: FeaturesConfig, features: FeatureSet, folder: RowFolder) -> int:
    """Features in OUTPUT/work, begun again where a lost node took more than Ray could restore.

    Nothing of an attempt is published before it is whole, so no row is lost or doubled.
    """
    from ray.exceptions import (
        ActorDiedError,
        NodeDiedError,
        ObjectLostError,
        RayError,
        WorkerCrashedError,
    )

    payments, rows = config.estimated_rows(TRANSACTIONS), config.estimated_rows(*CONTRACTS)
    start_ray()
    await_core()
    partitions = shuffle_partitions(config.partitions, payments, _ONE_TASK_BYTES_PER_ROW)
    choose_shuffle(rows, _BYTES_PER_ROW)
    of_a_lost_node = (ActorDiedError, NodeDiedError, ObjectLostError, WorkerCrashedError)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _attempt(config, features, folder, partitions)
        except RayError as error:
            if attempt == _ATTEMPTS or not cause_in(error, *of_a_lost_node):
                raise
            print(f"a node was lost ({type(error).__name__}); computing again", flush=True)
    raise AssertionError("unreachable")


def _attempt(
    config: FeaturesConfig, features: FeatureSet, folder: RowFolder, partitions: int
) -> int:
    folder.start()
    compute_rows = _in_one_task if partitions == 1 else _in_shuffles
    count = compute_rows(config, features, folder, partitions)
    if not count:
        quarantine = "quarantine/transactions"
        reason = ingestion.most_frequent_reason(folder.work, quarantine, config.transactions)
        raise ContractError(
            f"{reason}; no payment passed the contract; see {folder.work.shown(quarantine)}"
        )
    return count


def _in_one_task(
    config: FeaturesConfig, features: FeatureSet, folder: RowFolder, _partitions: int
) -> int:
    """All checked rows in one task, which writes them as it goes: none is shuffled or kept twice.

    Returns how many payments were written.
    """
    import ray

    mapping, quarantine = config.mapping(TRANSACTIONS), folder.quarantine
    paid = ingestion.read_in_tasks(mapping, config.transactions, f"{quarantine}/transactions")
    labels = []
    if config.labels is not None:
        known = config.mapping(LABELS)
        labels = ingestion.read_in_tasks(known, config.labels, f"{quarantine}/labels")
    task = ray.remote(num_cpus=1)(_write_all)
    output = folder.storage.address()
    done = task.remote(features, mapping.contract, output, len(paid), *paid, *labels)
    count: int = ray.get(done)
    return count


def _write_all(
    features: FeatureSet, payments: Contract, output: str, payment_tables: int, *tables: pa.Table
) -> int:
    """Joins, measures and writes all payments; `tables` are theirs, then those of the labels."""
    folder = RowFolder(open_storage(output), NOTE)
    folder.drop_parts()
    paid = _one_table(payments, tables[:payment_tables])
    labels = _one_table(LABELS, tables[payment_tables:])
    rows = _joined(folder.quarantine, payments, paid, labels)
    threads = min(_MOST_THREADS, len(os.sched_getaffinity(0)))
    measured = TableFeatures(features, rows, threads)
    measured.each_part(_ROWS_PER_FILE, partial(folder.write_part, dictionaries=_REPEATED_TEXTS))
    return int(rows.num_rows)


def _one_table(contract: Contract, tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of all tables; blocks of Ray Data without a row have no columns."""
    filled = [table for table in tables if table.num_rows]
    return pa.concat_tables([contract.schema.empty_table(), *filled])


def _in_shuffles(
    config: FeaturesConfig, features: FeatureSet, folder: RowFolder, partitions: int
) -> int:
    """Rows brought together by one key after the other; returns how many payments were written."""
    mapping, quarantine = config.mapping(TRANSACTIONS), folder.quarantine
    both = ingestion.read(
        mapping, config.transactions, f"{quarantine}/transactions", convert=_as_payments
    )
    if config.labels is not None:
        known = config.mapping(LABELS)
        both = both.union(
            ingestion.read(known, config.labels, f"{quarantine}/labels", convert=_as_labels)
        )
    together = gather_rows(both, "transaction_id", partitions, ordered=False)
    join = partial(_join, quarantine, mapping.contract)
    rows = together.map_batches(join, batch_size=None, **_AS_ARROW)
    folder.write(add_features(features, rows, partitions, _NEVER_MISSING), _REPEATED_TEXTS)
    return ingestion.summary(folder.work, "quarantine/transactions").good


def _as_payments(table: pa.Table) -> pa.Table:
    for name in _LABEL_COLUMNS:
        table = table.append_column(name, pa.nulls(len(table), LABELS[name].type))
    return table


def _as_labels(table: pa.Table) -> pa.Table:
    columns = {column.name: pa.nulls(len(table), column.type) for column in TRANSACTIONS.columns}
    return pa.table(columns | {name: table.column(name) for name in table.column_names})


def _join(quarantine: str, payments: Contract, table: pa.Table) -> pa.Table:
    """Payments and labels of the same ids, joined; each payment and each label once."""
    is_label = pc.is_valid(table.column("observed_at"))
    paid = table.filter(pc.invert(is_label)).drop_columns(list(_LABEL_COLUMNS))
    labels = table.filter(is_label).select([column.name for column in LABELS.columns])
    return _joined(quarantine, payments, paid, labels)


def _joined(quarantine: str, payments: Contract, paid: pa.Table, labels: pa.Table) -> pa.Table:
    """Each payment once, with what became known about it.

    Args:
        quarantine: folder or URI.
        payments: contract of the payments.
        paid: payments, all rows of every id.
        labels: of all of them.
    """
    smallest = _smallest_id(paid, labels)
    paid = ingestion.deduplicate(paid, payments, "transaction_id", f"{quarantine}/transactions")
    labels = ingestion.deduplicate(labels, LABELS, "transaction_id", f"{quarantine}/labels")
    joined = join_labels(paid, labels)
    if smallest is not None:
        note_labels(joined, smallest, quarantine)
    return joined.table


def _smallest_id(*tables: pa.Table) -> str | None:
    """The first of all transaction ids by name; None without rows."""
    smallest = [pc.min(table.column("transaction_id")).as_py() for table in tables]
    return min((name for name in smallest if name is not None), default=None)


def _closing_lines(folder: RowFolder) -> str:
    note = folder.read_note()
    reasons = note["transactions"]["reasons"]
    lines = [
        *label_warnings(note["labels"]),
        f"payments read     {note['transactions']['rows_in']:>12,}",
        f"  retries dropped {note['transactions']['repeats']:>12,}",
        f"  left out        {note['transactions'].get('left_out', 0):>12,}",
        f"  quarantined     {note['transactions']['quarantined']:>12,}",
        *(f"    {count:>8,}  {reason}" for reason, count in reasons.items()),
        *ingestion.adjustment_lines(note["transactions"]),
        *ingestion.adjustment_lines(note["labels"] or {}, "labels: "),
        *label_lines(note["labels"]),
        f"rows with features{note['rows']:>12,}   ({len(note['features'])} features each)",
        *folder.locations("features"),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    run_job(FeaturesConfig, main)
