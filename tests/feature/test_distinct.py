"""Different values in several windows at once: counted once each, online as offline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from lib.feature import (
    DAY,
    DistinctCount,
    Feature,
    FeatureSet,
    OnlineFeatures,
    SqliteStore,
    Window,
    compute,
    events,
    replay,
)

FEATURES = FeatureSet(
    name="shops",
    version=1,
    features=tuple(
        Feature(f"users_{n}d", "users", ("shop",), DistinctCount("user"), Window(n * DAY, DAY))
        for n in (1, 7, 30)
    ),
    id_column="id",
)


def test_several_windows_of_one_distinct_count_agree_online_and_offline(tmp_path: Path):
    draw = np.random.default_rng(1)
    count = 400
    table = pa.table(
        {
            "id": [f"e{k:04d}" for k in range(count)],
            "event_time": pa.array(np.sort(draw.integers(0, 60 * DAY, count))).cast(
                pa.timestamp("us", "UTC")
            ),
            "shop": [f"s{k}" for k in draw.integers(0, 3, count)],
            "user": [f"u{k}" for k in draw.integers(0, 25, count)],
        }
    )
    offline = compute(FEATURES, table)
    online = OnlineFeatures(FEATURES)
    store = SqliteStore(tmp_path / "profiles.sqlite")
    rows = [
        online.read(step.event, store.exchange(step.exchange)).values
        for step in replay(online, events(table))
        if step.event is not None
    ]
    store.close()
    for name in FEATURES.names:
        assert [row[name] for row in rows] == offline[name].to_pylist()
    assert max(offline["users_30d"].to_pylist()) > max(offline["users_1d"].to_pylist())
