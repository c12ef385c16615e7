"""Where the tables of payments and labels are, and payments of the past read whole."""

from dataclasses import dataclass

import pyarrow as pa

from jobs.framework.paths import InputPath
from jobs.framework.tables import TableSources
from jobs.ingestion import read_whole
from lib.fraud.contracts import CONTRACTS, LABELS, TRANSACTIONS, join_labels


@dataclass(frozen=True, kw_only=True)
class Sources(TableSources):
    """Paths of the tables. Labels are optional."""

    contracts = CONTRACTS

    transactions: InputPath
    """payments: Parquet or CSV file, folder or URI"""
    labels: InputPath | None = None
    """labels of the payments: Parquet or CSV file, folder or URI; without it no payment is known as
    fraud"""
    mapping_transactions: InputPath | None = None
    """YAML mapping file of --transactions; not needed if the columns have the names of the
    contract"""
    mapping_labels: InputPath | None = None
    """YAML mapping file of --labels; not needed if the columns have the names of the contract"""

    def check(self) -> None:
        """See `JobOptions`."""
        self.check_mappings()

    def read_history(self) -> pa.Table:
        """The payments that pass the contract, with `fraud_from` and `fraud_until`.

        Says how many were left out, and why.

        Raises:
            ContractError: a column is missing or of the wrong type, or there is nothing to read.
        """
        payments = read_whole(self.mapping(TRANSACTIONS), self.transactions)
        labels = LABELS.schema.empty_table()
        if self.labels is not None:
            labels = read_whole(self.mapping(LABELS), self.labels, may_be_empty=True)
        return join_labels(payments, labels).table
