"""A small retraining of each system whose challenger wins, as its command reads the options."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from jobs.churn import train as churn_train
from jobs.churn.training_config import TrainConfig as ChurnConfig
from jobs.fraud import train as fraud_train
from jobs.fraud.training_config import TrainConfig as FraudConfig
from jobs.maintenance import train as maintenance_train
from jobs.maintenance.training_config import TrainConfig as MaintenanceConfig
from jobs.moderation import simulate as moderation_simulate
from jobs.moderation import train as moderation_train
from jobs.moderation.training_config import TrainConfig as ModerationConfig
from tests.churn import changed_customers
from tests.fraud import small_retraining
from tests.fraud.changed_fraud import PaymentFiles, write_payments
from tests.jobs.retraining_records import train_champion
from tests.maintenance import changed_sensors
from tests.moderation.small_size import SMALL_SIZE
from tests.records.conftest import empty_records


@dataclass(frozen=True)
class SmallRetraining:
    """What a retraining of a system begins with.

    Attributes:
        options: without output, registry and records.
        registry: of the champion, which learnt before things changed or from wrong labels.
    """

    options: Mapping[str, Any]
    registry: Path

    def write_config(self, folder: Path) -> Path:
        """The file for `--config`, with records that are there and empty."""
        output, records = str(folder / "retrain"), empty_records(folder)
        options = {**self.options, "output": output, "records": records}
        options["registry"] = str(self.registry)
        plain = {name: asdict(o) if is_dataclass(o) else o for name, o in options.items()}
        path = folder / "retrain.yaml"
        path.write_text(yaml.safe_dump(json.loads(json.dumps(plain))))
        return path


def fraud(folder: Path) -> SmallRetraining:
    """Other crimes are committed from a day on."""
    early = write_payments(folder / "before", days=80, until=40)
    own = small_retraining.SMALL | _payments(early)
    registry = train_champion(fraud_train.main, FraudConfig, own, folder)
    changed = write_payments(folder / "after", days=80, changes_on=40)
    options = small_retraining.SMALL | _payments(changed) | {"measure_margin": 0.05}
    return SmallRetraining(options, registry)


def _payments(files: PaymentFiles) -> dict[str, str]:
    return {"transactions": str(files.transactions), "labels": str(files.labels)}


def maintenance(folder: Path) -> SmallRetraining:
    """Sensors are no longer read under the names of other machines."""
    files = changed_sensors.write_machines(folder / "after", weeks=40)
    early = changed_sensors.until(files, folder / "before", 24, exchanged=True)
    own = changed_sensors.SMALL | changed_sensors.sources(early)
    registry = train_champion(maintenance_train.main, MaintenanceConfig, own, folder)
    return SmallRetraining(changed_sensors.SMALL | changed_sensors.sources(files), registry)


def churn(folder: Path) -> SmallRetraining:
    """Notices are no longer of customers drawn at random."""
    files = changed_customers.write_accounts(folder / "after", 480, accounts=300)
    early = changed_customers.blinded(files, folder / "before", 300)
    own = changed_customers.SMALL | changed_customers.sources(early)
    registry = train_champion(churn_train.main, ChurnConfig, own, folder)
    return SmallRetraining(changed_customers.SMALL | changed_customers.sources(files), registry)


def moderation(folder: Path) -> SmallRetraining:
    """Labels are no longer drawn at random."""
    moderation_simulate.main(
        moderation_simulate.Simulate(
            folder, posts=420, texts=90, images=60, clips=24, authors=140, seed=4, progress="none"
        )
    )
    (folder / "size.yaml").write_text(SMALL_SIZE)
    labels = pq.read_table(folder / "labels.parquet")
    rare = np.random.default_rng(2).random(labels.num_rows) < 0.03
    wrong = labels.set_column(labels.schema.get_field_index("violates"), "violates", pa.array(rare))
    pq.write_table(wrong, folder / "wrong.parquet")
    options = {
        **{name: str(folder / f"{name}.parquet") for name in ("posts", "labels")},
        "policies": str(folder / "policies.yaml"),
        "size": str(folder / "size.yaml"),
        "engine": "process",
        "bootstrap": 40,
        "test_share": 0.5,
        "test_authors": 0.5,
        "progress": "none",
    }
    mistaken = options | {"labels": str(folder / "wrong.parquet")}
    registry = train_champion(moderation_train.main, ModerationConfig, mistaken, folder)
    return SmallRetraining(options | {"least_entities": 5}, registry)


MAKERS: Mapping[str, Callable[[Path], SmallRetraining]] = {
    "churn": churn,
    "fraud": fraud,
    "maintenance": maintenance,
    "moderation": moderation,
}
