"""Features of customers from files, against profiles, what was known, and other partitions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from jobs.churn import features as features_job
from jobs.churn.features import FeaturesConfig
from lib.churn.events import probes, stream
from lib.churn.features import churn_features
from lib.churn.profiles import online_features
from lib.churn.snapshots import features_at
from lib.churn.vocabulary import CustomerVocabulary
from lib.feature import OnlineFeatures, ProfileStore, events, replay
from tests.churn.tables import day


def require_parity(
    tables: dict[str, pa.Table], base: CustomerVocabulary, store: ProfileStore
) -> NDArray[np.float64]:
    """The features of eight customers at three moments; profiles must give the same bits."""
    names = tables["customers"]["customer_id"].unique().to_pylist()[:8]
    happened = stream(tables, base)
    happened = happened.filter(pc.is_in(happened["customer_id"], value_set=pa.array(names)))
    customers = [name for name in names for _ in range(3)]
    at_us = np.array([day(n) for _ in names for n in (130, 200, 259)])
    offline = features_at(base, happened, customers, at_us)
    declared = churn_features(base)
    online, served = OnlineFeatures(online_features(base)), {}
    for exchange, event in replay(
        online, events(pa.concat_tables([happened, probes(customers, at_us, base)]))
    ):
        reply = store.exchange(exchange)
        if event is not None and event["event_id"].startswith(" "):
            values = online.read(event, reply).values
            served[event["customer_id"], event["event_time"]] = [values[n] for n in declared.names]
    matrix = np.array([served[name, moment] for name, moment in zip(customers, at_us, strict=True)])
    np.testing.assert_array_equal(matrix, offline)
    return offline


def require_no_future(tables: dict[str, pa.Table], base: CustomerVocabulary) -> None:
    """Nothing that became known later changes a feature of a moment."""
    names = tables["customers"]["customer_id"].to_pylist()[:40]
    happened, moment = stream(tables, base), day(200)
    times = np.full(len(names), moment)
    past = happened.filter(np.asarray(happened["received_at"].cast("int64")) < moment)
    assert past.num_rows < happened.num_rows
    np.testing.assert_array_equal(
        features_at(base, happened, names, times), features_at(base, past, names, times)
    )


def config_of(options: dict[str, str], output: Path, **changes: Any) -> FeaturesConfig:
    """The features job on some tables, its rows 40 days apart."""
    filled: dict[str, Any] = {**options, "output": str(output), "progress": "none", **changes}
    return FeaturesConfig(**filled, every_days=40)


def require_same_in_partitions(options: dict[str, str], folder: Path) -> dict[str, Any]:
    """The note of the features job, whose rows one partition and three must give alike."""
    rows = {}
    for partitions in (1, 3):
        output = folder / str(partitions)
        features_job.main(config_of(options, output, partitions=partitions))
        order = [("as_of", "ascending"), ("customer_id", "ascending")]
        rows[partitions] = pq.read_table(output / "data").sort_by(order)
    note: dict[str, Any] = json.loads((folder / "3" / "features.json").read_text())
    for name in note["features"]:
        together, spread = (rows[partitions][name].to_numpy() for partitions in (1, 3))
        np.testing.assert_array_equal(together, spread, name)
    return note
