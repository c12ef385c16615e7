"""Reading what `jobs.fraud.train` trains on."""

import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds

from jobs.fraud.features import FeaturesConfig, write_features
from jobs.fraud.training_config import TrainConfig
from lib.contract import ContractError, fingerprint_files
from lib.fraud.features import FRAUD
from lib.fraud.model.payments import FACTS, Payments, read_payments
from lib.fraud.model.slices import Slice
from lib.fraud.rules import PAYMENT_TEXTS


@dataclass(frozen=True)
class Source:
    """A folder of features: its files, their digest, and where its quarantine lies."""

    folder: Path
    fingerprint: str
    quarantine: Path | None


def find_source(config: TrainConfig) -> Source:
    """The folder of features, computed first where payments are given instead.

    Raises:
        ContractError: neither or both are given, there is no file, or the features were computed
            by another feature set; the message says what to do.
    """
    if (config.features is None) == (config.transactions is None):
        raise ContractError("expected either --features or --transactions (with --labels)")
    if config.features is not None:
        return _existing(config.features)
    if config.labels is None:
        raise ContractError("--labels is missing: without labels there is no fraud to learn from")
    output = config.output / "features"
    written = FeaturesConfig(
        transactions=str(config.transactions),
        output=str(output),
        labels=config.labels,
        mapping_transactions=config.mapping_transactions,
        mapping_labels=config.mapping_labels,
    )
    write_features(written)
    return _existing(output)


def _existing(given: Path) -> Source:
    """The source below a folder, given with or without its `data`."""
    folder = given / "data" if (given / "data").is_dir() else given
    files = sorted(folder.rglob("*.parquet")) if folder.is_dir() else []
    if not files:
        raise ContractError(
            f"--features: no Parquet file in {folder}; expected the output of jobs.fraud.features"
        )
    note = folder.parent / "features.json"
    stored = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
    digest = stored.get("feature_set_digest", FRAUD.digest)
    if digest != FRAUD.digest:
        raise ContractError(
            f"--features: {folder} was computed by another feature set ({digest[:12]}, now "
            f"{FRAUD.digest[:12]}); run jobs.fraud.features again"
        )
    quarantine = folder.parent / "quarantine"
    return Source(
        folder,
        str(stored.get("data_fingerprint") or fingerprint_files(files)),
        quarantine if quarantine.is_dir() else None,
    )


def load_payments(source: Source) -> Payments:
    """All payments with what training reads, sorted by time."""
    present = set(ds.dataset(source.folder).schema.names)
    columns = [name for name in dict.fromkeys((*FACTS, *FRAUD.names)) if name in present]
    return read_payments(ds.dataset(source.folder).to_table(columns=columns), FRAUD.names)


def load_rule_columns(source: Source, span: Slice) -> pa.Table:
    """Features and texts of a slice's payments, for the rules, in the order of `load_payments`."""
    start, end = (pa.scalar(one, pa.timestamp("us", tz="UTC")) for one in (span.start, span.end))
    data = ds.dataset(source.folder)
    inside = (ds.field("event_time") >= start) & (ds.field("event_time") < end)
    names = ["event_time", *FRAUD.names, *PAYMENT_TEXTS]
    table = data.to_table(columns=[one for one in names if one in data.schema.names], filter=inside)
    table = table.sort_by([("event_time", "ascending")])
    for name in PAYMENT_TEXTS:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(table.num_rows, pa.string()))
    return table
