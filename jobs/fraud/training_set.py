"""Reading what `jobs.fraud.train` trains on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from jobs.framework.row_folder import RowFolder, find_or_write_rows
from jobs.fraud.features import NOTE, FeaturesConfig, write_features
from jobs.fraud.training_config import TrainConfig
from jobs.ingestion import fingerprint_of
from lib.contract import ContractError
from lib.feature import FeatureSet
from lib.fraud.amounts import AmountScale
from lib.fraud.features import FRAUD
from lib.fraud.model.payments import FACTS, Payments, read_payments
from lib.fraud.model.time_split import Slice
from lib.fraud.payment_features import PaymentFeatures
from lib.fraud.rules import PAYMENT_TEXTS
from lib.storage import Storage, open_dataset, open_storage, split_address


@dataclass(frozen=True)
class Source:
    """A folder of features.

    Attributes:
        storage, folder: where it is.
        fingerprint: of the data.
        quarantine: where rows lie that were set aside; None where features were made elsewhere.
        computed: the features that its payments have.
        labels: what the labels were worth, as `jobs.fraud.features` counted them.
    """

    storage: Storage
    folder: str
    fingerprint: str
    quarantine: str | None
    computed: PaymentFeatures = field(default_factory=PaymentFeatures)
    labels: Mapping[str, Any] = field(default_factory=dict)

    @property
    def scale(self) -> AmountScale:
        """What its amounts are."""
        return self.computed.scale

    @property
    def features(self) -> FeatureSet:
        """What was computed."""
        return self.computed.feature_set

    @property
    def address(self) -> str:
        """Path or URI of the folder."""
        return self.storage.address(self.folder)

    def dataset(self) -> ds.Dataset:
        """All its files."""
        return open_dataset(self.storage, self.folder)


def find_source(config: TrainConfig) -> Source:
    """The folder of features, computed first where payments are given instead.

    Raises:
        ContractError: neither or both are given, there is no file, or the features were computed
            by another feature set; the message says what to do.
    """
    return open_source(find_or_write_rows(config, "features", write_features, FeaturesConfig))


def open_source(address: str) -> Source:
    """The source in a folder that jobs.fraud.features wrote, given with or without its `data`.

    Raises:
        ContractError: see `find_source`.
    """
    storage, name = _parted(open_storage(address))
    if not any(file.endswith(".parquet") for file in storage.files(name)):
        raise ContractError(
            f"--features: no Parquet file in {storage.shown(name)}; expected the output of "
            "jobs.fraud.features"
        )
    stored = _note(storage)
    computed = PaymentFeatures.from_json(stored)
    now = computed.feature_set.digest
    digest = stored.get("feature_set_digest", now)
    if digest != now:
        raise ContractError(
            f"--features: {storage.shown()} was computed by another feature set ({digest[:12]}, "
            f"now {now[:12]}); run jobs.fraud.features again"
        )
    fingerprint = stored.get("data_fingerprint") or fingerprint_of([storage.address(name)])
    quarantine = RowFolder(storage, NOTE).published_quarantine
    return Source(storage, name, str(fingerprint), quarantine, computed, stored.get("labels") or {})


def _parted(storage: Storage) -> tuple[Storage, str]:
    """The folder above the data, and the data's name in it: "" where there is no folder above."""
    if storage.files("data"):
        return storage, "data"
    above, last = split_address(storage.address())
    if last == "data" and open_storage(above).read(NOTE) is not None:
        return open_storage(above), "data"
    return storage, ""


def _note(storage: Storage) -> dict[str, Any]:
    """What `features.json` says; nothing where the features were made elsewhere.

    Raises:
        ContractError: the note is missing since the job that writes it is at work or was cut off.
    """
    content = storage.read(NOTE)
    if content is None and storage.exists("work"):
        raise ContractError(
            f"--features: {storage.shown()} is not finished: jobs.fraud.features is at work there "
            "or was cut off; run it again"
        )
    stored: dict[str, Any] = json.loads(content) if content else {}
    return stored


def load_payments(source: Source) -> Payments:
    """All payments with what training reads, sorted by time."""
    data = source.dataset()
    present = set(data.schema.names)
    names = source.features.names
    columns = [name for name in dict.fromkeys((*FACTS, *names)) if name in present]
    return read_payments(data.to_batches(columns=columns), names, data.count_rows())


def load_rule_columns(source: Source, span: Slice) -> pa.Table:
    """Features and texts of a slice's payments, for the rules, in the order of `load_payments`."""
    start, end = (
        pa.scalar(bound, pa.timestamp("us", tz="UTC")) for bound in (span.start, span.end)
    )
    data = source.dataset()
    inside = (ds.field("event_time") >= start) & (ds.field("event_time") < end)
    names = ["event_time", *FRAUD.names, *PAYMENT_TEXTS]
    table = data.to_table(
        columns=[column for column in names if column in data.schema.names], filter=inside
    )
    table = table.sort_by([("event_time", "ascending")])
    for name in PAYMENT_TEXTS:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(table.num_rows, pa.string()))
    return table
