"""Reading what `jobs.maintenance.train` and `tune` learn from."""

from dataclasses import dataclass, replace

from jobs import ingestion
from jobs.framework.options import parse_time
from jobs.framework.row_folder import ComputedRows, find_or_write_rows, find_row_folder
from jobs.maintenance.features import NOTE, FeaturesConfig, write_features
from jobs.maintenance.training_config import TrainConfig
from lib.maintenance.failures import FailureCounts, counts_of
from lib.maintenance.feature_set import AssetFeatureSet
from lib.maintenance.machine_kind import parse_kind
from lib.maintenance.model.rows import KEYS, OUTCOMES, TrainingRows, from_table
from lib.storage import open_dataset


@dataclass(frozen=True, kw_only=True)
class RowsSource(ComputedRows):
    """Rows, what they are made of, and where they lie."""

    rows: TrainingRows
    features: AssetFeatureSet
    fingerprint: str

    @property
    def failures(self) -> FailureCounts:
        """What the rows see of the failures; zeros where an older job did not count them."""
        return counts_of(self.note.get("failure_counts", {}))


def rows_of(config: TrainConfig) -> RowsSource:
    """The rows that a training is given, computed first where tables are given instead.

    Raises:
        ContractError: neither or both are given, or a table cannot be read.
    """
    preventive = config.model.preventive
    rows = find_or_write_rows(config, "rows", write_features, FeaturesConfig, preventive=preventive)
    source = find_rows(rows, preventive)
    if config.learn_until is None:
        return source
    until_us = parse_time("--learn-until", config.learn_until)
    return replace(source, rows=source.rows.until(until_us))


def find_rows(folder: str, preventive: str) -> RowsSource:
    """All rows of a folder that `jobs.maintenance.features` wrote, or of its `data`.

    Raises:
        ContractError: it is not there, or not finished.
        FeatureError: rows lack columns, or were computed with another choice for services.
    """
    row_folder = find_row_folder(folder, NOTE, "--features", "jobs.maintenance.features")
    storage, note = row_folder.storage, row_folder.read_note()
    features = parse_kind(note["kind"], f"{folder}/{NOTE}")
    names = [*KEYS, *OUTCOMES, *features.names]
    data = open_dataset(storage, "data")
    present = [name for name in names if name in data.schema.names]
    rows = from_table(data.to_table(columns=present), features.names, preventive)
    fingerprint = note.get("data_fingerprint") or ingestion.fingerprint_of(
        [storage.address("data")]
    )
    return RowsSource(
        rows=rows, features=features, fingerprint=str(fingerprint), **row_folder.about
    )
