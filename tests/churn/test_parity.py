"""Features told event by event to a profile store are those of the tables, to the bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lib.churn.events import probes, stream
from lib.churn.features import churn_features
from lib.churn.snapshots import features_at
from lib.feature import OnlineFeatures, SqliteStore, events, replay
from tests.churn.tables import base_in, day, world


@pytest.mark.timeout(600)
def test_features_told_one_by_one_are_those_of_the_tables(tmp_path: Path):
    _, tables = world(60, 260)
    base = base_in(tables)
    features = churn_features(base)
    history = stream(tables, base)
    sample = pa.array(tables["customers"]["customer_id"].unique().to_pylist()[:8])
    sample_events = history.filter(pa.compute.is_in(history["customer_id"], value_set=sample))
    names = [name for name in sample.to_pylist() for _ in range(3)]
    at_us = np.array([day(n) for _ in range(len(sample)) for n in (130, 200, 259)])
    offline = features_at(base, sample_events, names, at_us)
    online = OnlineFeatures(features)
    store = SqliteStore(tmp_path / "profiles.sqlite")
    answers: dict[tuple[str, int], list[float]] = {}
    rows = events(pa.concat_tables([sample_events, probes(names, at_us)]))
    for exchange, event in replay(online, rows):
        reply = store.exchange(exchange)
        if event is not None and event["event_id"].startswith(" "):
            values = online.read(event, reply).values
            key = (event["customer_id"], event["event_time"])
            answers[key] = [values[name] for name in features.names]
    store.close()
    matrix = np.array([answers[name, int(at)] for name, at in zip(names, at_us, strict=True)])
    np.testing.assert_array_equal(matrix, offline)
    assert np.isfinite(offline).mean() > 0.8
