"""Payments of the past with what became known about them, read whole."""

from __future__ import annotations

import pyarrow as pa

from jobs.ingestion import checked_mapping, mapping_for, read_whole
from lib.fraud.contracts import LABELS, TRANSACTIONS, join_labels


def check_tables(
    transactions: str,
    labels: str | None = None,
    mapping_transactions: str | None = None,
    mapping_labels: str | None = None,
) -> None:
    """Refuse mappings that are wrong and files without the columns that they read; see below.

    Raises:
        ContractError: names the file and what is missing.
    """
    checked_mapping(TRANSACTIONS, mapping_transactions, transactions)
    if labels is not None:
        checked_mapping(LABELS, mapping_labels, labels)


def read_history(
    transactions: str,
    labels: str | None = None,
    mapping_transactions: str | None = None,
    mapping_labels: str | None = None,
) -> pa.Table:
    """The payments that pass the contract, with `fraud_from` and `fraud_until`.

    Says how many were left out, and why.

    Args:
        transactions: file, folder or URI with the payments.
        labels: the same with their labels; None knows of no fraud.
        mapping_transactions: YAML that maps the payments' columns to ours.
        mapping_labels: the same for the labels.

    Raises:
        ContractError: a column is missing or of the wrong type, or there is nothing to read.
    """
    mapping = mapping_for(TRANSACTIONS, mapping_transactions, transactions)
    payments = read_whole(mapping, transactions)
    label_rows = LABELS.schema.empty_table()
    if labels is not None:
        mapping = mapping_for(LABELS, mapping_labels, labels)
        label_rows = read_whole(mapping, labels, may_be_empty=True)
    return join_labels(payments, label_rows).table
