"""Reading what `jobs.churn.train` and `tune` learn from."""

from dataclasses import dataclass, replace

from jobs.churn.features import NOTE, FeaturesConfig, write_features
from jobs.churn.training_config import TrainConfig
from jobs.framework.options import parse_time
from jobs.framework.row_folder import ComputedRows, find_or_write_rows, find_row_folder
from lib.churn.features import churn_features
from lib.churn.snapshots import Snapshots, from_table
from lib.churn.target import Target
from lib.churn.vocabulary import CustomerVocabulary, parse_vocabulary
from lib.contract import ContractError
from lib.storage import open_dataset


@dataclass(frozen=True, kw_only=True)
class RowsSource(ComputedRows):
    """Rows, what they are made of, and where they lie."""

    rows: Snapshots
    base: CustomerVocabulary
    target: Target

    @property
    def fingerprint(self) -> str:
        """Of the files that the rows were made of."""
        return str(self.note["data_fingerprint"])


def rows_of(config: TrainConfig) -> RowsSource:
    """The rows that a training is given, computed first where tables are given instead.

    Raises:
        ContractError: neither or both are given, or a table cannot be read.
    """
    source = find_rows(find_or_write_rows(config, "rows", write_features, FeaturesConfig))
    if config.learn_until is None:
        return source
    until_us = parse_time("--learn-until", config.learn_until)
    return replace(source, rows=source.rows.known_at(until_us, source.target.reach_us))


def find_rows(folder: str) -> RowsSource:
    """All rows of a folder that `jobs.churn.features` wrote, or of its `data`.

    Raises:
        ContractError: it is not there, not finished, or of another version of the features.
    """
    row_folder = find_row_folder(folder, NOTE, "--features", "jobs.churn.features")
    storage, note = row_folder.storage, row_folder.read_note()
    base = parse_vocabulary(note["base"], f"{folder}/{NOTE}")
    features = churn_features(base)
    if note["feature_set_digest"] != features.digest:
        raise ContractError(
            f"--features: {folder} was computed by another version of the features; compute it "
            "again with jobs.churn.features --overwrite"
        )
    rows = from_table(open_dataset(storage, "data").to_table(), features.names)
    target = Target(**note["target"])
    return RowsSource(rows=rows, base=base, target=target, **row_folder.about)
