"""Payments for a benchmark: the Handbook's by mapping files, or any named as our contract."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lib.contract import load_mapping, read_checked
from lib.fraud.contracts import LABELS, TRANSACTIONS, join_labels

MAPPINGS = Path(__file__).parents[1] / "benchmarks/mappings"
HANDBOOK_COLUMN = "TX_DATETIME"


def read_payments(path: str) -> pa.Table:
    """Checked payments with their labels joined, in the order of (event_time, id).

    A file with the Handbook's columns is read through the mapping files of the benchmarks, its
    labels observed seven days after the payment; any other must have the contract's columns.
    """
    if HANDBOOK_COLUMN not in pq.read_schema(path).names:
        table = pq.read_table(path)
        return table.sort_by([("event_time", "ascending"), ("transaction_id", "ascending")])
    mapping = load_mapping(MAPPINGS / "handbook_transactions.yaml", (TRANSACTIONS,))
    payments = read_checked(mapping, path).good
    labels = read_checked(load_mapping(MAPPINGS / "handbook_labels.yaml", (LABELS,)), path).good
    joined = join_labels(payments, labels).table
    return joined.sort_by([("event_time", "ascending"), ("transaction_id", "ascending")])
