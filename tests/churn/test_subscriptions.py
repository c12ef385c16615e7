"""Customers with several subscriptions: summed by the job as callers of the service sum them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from jobs.churn import features
from jobs.churn.features import FeaturesConfig, closing_lines
from lib.churn.events import probes, stream
from lib.churn.features import churn_features, untold
from lib.churn.vocabulary import CustomerVocabulary, parse_vocabulary
from lib.feature import OnlineFeatures, SqliteStore, events, replay
from lib.storage import open_storage
from tests.churn.tables import table
from tests.contract.factories import SUBSCRIPTIONS

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.timeout(300)]
MAPPING = f"""{SUBSCRIPTIONS}aggregate:
  by: [customer_id]
  distinct: subscription
  sum: [mrr_minor, seats]
  earliest: [event_time, contract_start]
  last: [plan]
"""
MAPPED = ("customers", "usage", "churn")
SINCE = datetime(2024, 1, 1, tzinfo=UTC)
HEAD = "subscription,account,since,plan,seats,mrr,currency\n"
USD = "s{n},a{n},2024-01-01,basic,3,100,USD\n"
JPY = "t{n},a{n},2024-01-01,pro,4,30000,JPY\n"


@pytest.fixture(scope="module")
def output(ray_on_two_cores, tmp_path_factory) -> Path:
    """Ten accounts with a subscription in each of two files, of which one is sent twice; usage of
    the last four is of ids that no customer has."""
    folder = tmp_path_factory.mktemp("subscriptions")
    (folder / "data").mkdir()
    count = range(10)
    (folder / "data" / "usd.csv").write_text(HEAD + "".join(USD.format(n=n) for n in count))
    (folder / "data" / "jpy.csv").write_text(
        HEAD + "".join(JPY.format(n=n) for n in count) + USD.format(n=0)
    )
    names = [f"a{n}" if n < 6 else f"ann.{n}@b.org" for n in count]
    days = "".join(f"{name},2024-{month:02}-05\n" for name in names for month in range(1, 13))
    (folder / "usage.csv").write_text("customer_id,event_time\n" + days)
    (folder / "churn.csv").write_text("customer_id,event_time\na1,2024-08-01\n")
    (folder / "customers.yaml").write_text(MAPPING)
    for name in ("usage", "churn"):
        (folder / f"{name}.yaml").write_text(
            f"contract: {name}\ncolumns:\n  customer_id: customer_id\n"
            "  event_time: {from: event_time, timezone: UTC}\n"
        )
    config = FeaturesConfig(
        customers=str(folder / "data"),
        **{name: str(folder / f"{name}.csv") for name in ("usage", "churn")},
        **{f"mapping_{name}": str(folder / f"{name}.yaml") for name in MAPPED},
        output=str(folder / "out"),
        every_days=30,
    )
    features.main(config)
    return folder / "out"


def test_subscriptions_of_an_account_are_summed_across_files(output):
    rows = pq.read_table(output / "data")
    assert set(rows["mrr"].to_pylist()) == {301.0}
    assert set(rows["seats"].to_pylist()) == {7.0}
    counts = json.loads((output / "features.json").read_text())["tables"]["customers"]
    assert (counts["rows_in"], counts["merged"], counts["repeats"]) == (21, 10, 1)
    assert counts["quarantined"] == 0
    lines = closing_lines(open_storage(str(output)))
    assert "customers             21         0         1        10            0" in lines


def test_the_job_knows_of_an_account_what_the_service_knows(output, tmp_path):
    """Callers of the service send one row of an account, with the sums."""
    note = json.loads((output / "features.json").read_text())
    rows = pq.read_table(output / "data").filter(pc.field("customer_id") == "a3")
    base = parse_vocabulary(note["base"])
    moments = rows["as_of"].cast(pa.int64()).to_numpy()
    assert len(moments) > 3
    customer = {
        "customer_id": "a3",
        "event_time": SINCE,
        "contract_start": SINCE,
        "segment": "small",
        "plan": "pro",
        "seats": 7,
        "mrr_minor": 30_100,
    }
    use = [
        {"customer_id": "a3", "event_time": datetime(2024, month, 5, tzinfo=UTC)}
        for month in range(1, 13)
    ]
    events = stream(
        {"customers": table("customers", customer), "usage": table("usage", *use)}, base
    )
    names = [name for name in churn_features(base).names if name not in untold(base)]
    columns = [rows[name].fill_null(float("nan")).to_numpy() for name in names]
    served = online_features(base, events, moments, tmp_path / "profiles.sqlite", names)
    np.testing.assert_array_equal(np.column_stack(columns), served)


def online_features(
    base: CustomerVocabulary,
    stream_events: pa.Table,
    moments: np.ndarray,
    profiles: Path,
    names: list[str],
) -> np.ndarray:
    online, store = OnlineFeatures(churn_features(base)), SqliteStore(profiles)
    rows = []
    for exchange, event in replay(
        online, events(pa.concat_tables([stream_events, probes(["a3"] * len(moments), moments)]))
    ):
        reply = store.exchange(exchange)
        if event is not None and event["event_id"].startswith(" "):
            rows.append(online.read(event, reply).values)
    store.close()
    return np.array([[row[name] for name in names] for row in rows])


def test_usage_of_unknown_customers_is_told_first_and_names_nobody(output):
    note = json.loads((output / "features.json").read_text())
    assert note["matches"]["usage"]["unmatched"] == 48
    lines = closing_lines(open_storage(str(output))).splitlines()
    assert lines[0].startswith(
        "warning: usage: 48 of 120 match no customer; e.g. usage have 'aaa.9@a.aaa', customers 'a9'"
    )
    assert "      48  of 120 rows of usage are of no customer" in lines
    assert "ann." not in "".join(lines) + json.dumps(note)
