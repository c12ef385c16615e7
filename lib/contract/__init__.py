"""Contracts of data sets, mapping files that fill them, and the quarantine for bad rows."""

from lib.contract.checked import Checked
from lib.contract.contract import Contract
from lib.contract.declaration import MINOR_UNITS, TIME, Column, Precedes, time_column, utc_us
from lib.contract.error import ContractError, did_you_mean
from lib.contract.fingerprint import Fingerprint, fingerprint, fingerprint_files
from lib.contract.mapping import FileFormat, Mapping
from lib.contract.mapping_file import load_mapping, parse_mapping
from lib.contract.matches import MatchCounts
from lib.contract.money import Currencies, Currency, minor_units
from lib.contract.origin import QUARANTINE_FILE, QUARANTINE_ROW, with_origin
from lib.contract.profile import ColumnProfile, TableProfile, profile
from lib.contract.quarantine import write_parquet, write_quarantine
from lib.contract.quarantine_summary import (
    QuarantineExample,
    QuarantineSummary,
    quarantine_examples,
)
from lib.contract.reason import QUARANTINE_REASON
from lib.contract.reshape import Pivot, Unpivot
from lib.contract.source import read_checked, read_pieces, source_dataset

__all__ = [
    "MINOR_UNITS",
    "QUARANTINE_FILE",
    "QUARANTINE_REASON",
    "QUARANTINE_ROW",
    "TIME",
    "Checked",
    "Column",
    "ColumnProfile",
    "Contract",
    "ContractError",
    "Currencies",
    "Currency",
    "FileFormat",
    "Fingerprint",
    "Mapping",
    "MatchCounts",
    "Pivot",
    "Precedes",
    "QuarantineExample",
    "QuarantineSummary",
    "TableProfile",
    "Unpivot",
    "did_you_mean",
    "fingerprint",
    "fingerprint_files",
    "load_mapping",
    "minor_units",
    "parse_mapping",
    "profile",
    "quarantine_examples",
    "read_checked",
    "read_pieces",
    "source_dataset",
    "time_column",
    "utc_us",
    "with_origin",
    "write_parquet",
    "write_quarantine",
]
