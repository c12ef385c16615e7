"""Contracts of data sets, mapping files that fill them, and the quarantine for bad rows."""

from lib.contract.checked import QUARANTINE_REASON, Checked
from lib.contract.contract import Contract
from lib.contract.csv_rows import Piece
from lib.contract.declaration import (
    MINOR_UNITS,
    TIME,
    Column,
    ContractError,
    Precedes,
    choice_column,
    known_times,
    measure_column,
    text_column,
    time_column,
    utc_us,
)
from lib.contract.mapping import Mapping
from lib.contract.mapping_file import load_mapping, parse_mapping
from lib.contract.matches import MatchCounts
from lib.contract.money import Currency
from lib.contract.quarantine_summary import (
    QuarantineExample,
    QuarantineSummary,
    quarantine_examples,
    summary_of,
)
from lib.contract.reshape import Pivot
from lib.contract.source import (
    check_pieces,
    nothing_read,
    read_checked,
    read_pieces,
    source_schema,
)
from lib.contract.source_files import fingerprint_files, is_data_file, source_files, write_parquet

__all__ = [
    "MINOR_UNITS",
    "QUARANTINE_REASON",
    "TIME",
    "Checked",
    "Column",
    "Contract",
    "ContractError",
    "Currency",
    "Mapping",
    "MatchCounts",
    "Piece",
    "Pivot",
    "Precedes",
    "QuarantineExample",
    "QuarantineSummary",
    "check_pieces",
    "choice_column",
    "fingerprint_files",
    "is_data_file",
    "known_times",
    "load_mapping",
    "measure_column",
    "nothing_read",
    "parse_mapping",
    "quarantine_examples",
    "read_checked",
    "read_pieces",
    "source_files",
    "source_schema",
    "summary_of",
    "text_column",
    "time_column",
    "utc_us",
    "write_parquet",
]
