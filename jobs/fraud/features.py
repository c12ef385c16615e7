"""Payments and labels in, checked payments with all features out; see `--help`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from jobs import ingestion
from jobs.cluster.admission import await_core
from jobs.feature_join import add_features
from jobs.framework.cluster import choose_shuffle, gather_rows, shuffle_partitions, start_ray
from jobs.framework.command import cause_in, cause_of, run_job
from jobs.framework.paths import OutputPath
from jobs.framework.row_folder import RowFolder, report_rows
from jobs.fraud.feature_options import FeatureOptions
from jobs.fraud.label_counts import label_counts, label_lines, label_warnings, note_labels
from lib.contract import Contract, ContractError
from lib.feature import TableFeatures
from lib.feature.attributes import AttributeFaultError, ValueCounts
from lib.fraud.contracts import CONTRACTS, LABELS, TRANSACTIONS, join_labels
from lib.fraud.payment_features import PaymentFeatures
from lib.storage import open_storage

if TYPE_CHECKING:
    from ray.data import Dataset

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
class FeaturesConfig(FeatureOptions):
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

    def check(self) -> None:
        """See `JobOptions`."""
        super().check()
        self.check_features()


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
    declared = config.declared_features()
    inputs = {
        "data_fingerprint": ingestion.fingerprint_of(config.files),
        "declared_digest": declared.digest,
    }
    if not config.overwrite and folder.has(inputs, "features"):
        return folder.data
    started = time.monotonic()
    count, features = _computed(config, declared, folder)
    folder.publish()
    output = folder.storage
    note = {
        **inputs,
        "feature_set_digest": features.feature_set.digest,
        "rows": count,
        "features": list(features.names),
        "amounts": asdict(features.scale),
        "extension": features.extension.to_json(),
        "transactions": asdict(ingestion.summary(output, "quarantine/transactions")),
        "labels": None
        if config.labels is None
        else asdict(ingestion.summary(output, "quarantine/labels")) | label_counts(output),
        "seconds": round(time.monotonic() - started, 3),
    }
    folder.finish(note)
    return folder.data


_Written: TypeAlias = tuple[int, PaymentFeatures]
"""How many payments were written, and the features that they have."""


def _computed(config: FeaturesConfig, declared: PaymentFeatures, folder: RowFolder) -> _Written:
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
            return _attempt(config, declared, folder, partitions)
        except RayError as error:
            if (fault := cause_of(error, AttributeFaultError)) is not None:
                raise config.attribute_fault(fault) from error
            if attempt == _ATTEMPTS or not cause_in(error, *of_a_lost_node):
                raise
            print(f"a node was lost ({type(error).__name__}); computing again", flush=True)
    raise AssertionError("unreachable")


def _attempt(
    config: FeaturesConfig, declared: PaymentFeatures, folder: RowFolder, partitions: int
) -> _Written:
    folder.start()
    compute_rows = _in_one_task if partitions == 1 else _in_shuffles
    count, features = compute_rows(config, declared, folder, partitions)
    if not count:
        quarantine = "quarantine/transactions"
        reason = ingestion.most_frequent_reason(folder.work, quarantine, config.transactions)
        raise ContractError(
            f"{reason}; no payment passed the contract; see {folder.work.shown(quarantine)}"
        )
    return count, features


def _in_one_task(
    config: FeaturesConfig, declared: PaymentFeatures, folder: RowFolder, _partitions: int
) -> _Written:
    """All checked rows in one task, which writes as it goes: none is shuffled or kept twice."""
    import ray

    mapping, quarantine = config.mapping(TRANSACTIONS), folder.quarantine
    paid = ingestion.read_in_tasks(mapping, config.transactions, f"{quarantine}/transactions")
    labels = []
    if config.labels is not None:
        known = config.mapping(LABELS)
        labels = ingestion.read_in_tasks(known, config.labels, f"{quarantine}/labels")
    task = ray.remote(num_cpus=1)(_write_all)
    output = folder.storage.address()
    done = task.remote(declared, mapping.contract, output, len(paid), *paid, *labels)
    written: _Written = ray.get(done)
    return written


def _write_all(
    declared: PaymentFeatures,
    payments: Contract,
    output: str,
    payment_tables: int,
    *tables: pa.Table,
) -> _Written:
    """Joins, measures and writes all payments; `tables` are theirs, then those of the labels."""
    folder = RowFolder(open_storage(output), NOTE)
    folder.drop_parts()
    paid = _one_table(payments, tables[:payment_tables])
    labels = _one_table(LABELS, tables[payment_tables:])
    rows = declared.events(_joined(folder.quarantine, payments, paid, labels))
    features = declared.frozen(ValueCounts.of(rows, declared.unfrozen))
    threads = min(_MOST_THREADS, len(os.sched_getaffinity(0)))
    measured = TableFeatures(features.feature_set, rows, threads)
    texts = (*_REPEATED_TEXTS, *features.texts)
    measured.each_part(_ROWS_PER_FILE, partial(folder.write_part, dictionaries=texts))
    return int(rows.num_rows), features


def _one_table(contract: Contract, tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of all tables; blocks of Ray Data without a row have no columns."""
    filled = [table for table in tables if table.num_rows]
    return pa.concat_tables([contract.schema.empty_table(), *filled])


def _in_shuffles(
    config: FeaturesConfig, declared: PaymentFeatures, folder: RowFolder, partitions: int
) -> _Written:
    """Rows brought together by one key after the other."""
    mapping, quarantine = config.mapping(TRANSACTIONS), folder.quarantine
    both = ingestion.read(
        mapping, config.transactions, f"{quarantine}/transactions", convert=_as_payments
    )
    if config.labels is not None:
        known, convert = config.mapping(LABELS), partial(_as_labels, mapping.contract)
        both = both.union(
            ingestion.read(known, config.labels, f"{quarantine}/labels", convert=convert)
        )
    together = gather_rows(both, "transaction_id", partitions, ordered=False)
    join = partial(_join, quarantine, mapping.contract)
    rows = together.map_batches(join, batch_size=None, **_AS_ARROW)
    rows = rows.map_batches(declared.events, batch_size=None, **_AS_ARROW)
    features = declared
    if declared.unfrozen:
        rows = rows.materialize()  # values are counted before features read them
        features = declared.frozen(_value_counts(rows, declared.unfrozen))
    computed = add_features(features.feature_set, rows, partitions, _NEVER_MISSING)
    folder.write(computed, (*_REPEATED_TEXTS, *features.texts))
    return ingestion.summary(folder.work, "quarantine/transactions").good, features


def _value_counts(rows: Dataset, names: Sequence[str]) -> ValueCounts:
    """How often the values of categories occur in all rows."""
    counted = rows.map_batches(partial(_counts_of_block, names), batch_size=None, **_AS_ARROW)
    parts = (ValueCounts.from_json(json.loads(row["counts"])) for row in counted.iter_rows())
    return sum(parts, ValueCounts())


def _counts_of_block(names: Sequence[str], table: pa.Table) -> pa.Table:
    counts = ValueCounts.of(table, names)
    return pa.table({"counts": pa.array([json.dumps(counts.to_json())], pa.large_string())})


def _as_payments(table: pa.Table) -> pa.Table:
    for name in _LABEL_COLUMNS:
        table = table.append_column(name, pa.nulls(len(table), LABELS[name].type))
    return table


def _as_labels(payments: Contract, table: pa.Table) -> pa.Table:
    columns = {column.name: pa.nulls(len(table), column.type) for column in payments.columns}
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
        *_attribute_lines(note),
        f"rows with features{note['rows']:>12,}   ({len(note['features'])} features each)",
        *folder.locations("features"),
    ]
    return "\n".join(lines)


def _attribute_lines(note: dict[str, Any]) -> list[str]:
    """How each attribute is read, and what the feature file adds."""
    features = PaymentFeatures.from_json(note)
    lines = [f"attribute {each.name}: {each.encoding_text}" for each in features.attributes]
    if features.names_of_file:
        lines.append(f"{features.extension.origin}: {', '.join(features.names_of_file)}")
    return lines


if __name__ == "__main__":
    run_job(FeaturesConfig, main)
