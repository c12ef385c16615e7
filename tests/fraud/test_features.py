"""Offline, online and the slow obvious way agree on every feature of every payment."""

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.feature import (
    OnlineFeatures,
    SqliteStore,
    TableFeatures,
    compute,
    finish,
    measure,
    partition_columns,
)
from lib.fraud.features import FRAUD
from tests.fraud import oracle, streams
from tests.fraud.replay import assert_online_equals_offline, offline, replay

EXACT = {n for n in FRAUD.names if "count" in n or n.startswith("is_") or "_code" in n}


@settings(max_examples=60, deadline=None)
@given(streams.payments())
def test_offline_equals_the_naive_fold(payments):
    for number, (fast, slow) in enumerate(
        zip(offline(FRAUD, payments), oracle.features(payments), strict=True)
    ):
        assert set(slow) == set(FRAUD.names)
        for name, expected in slow.items():
            tolerance = 0.0 if name in EXACT else 1e-9
            # quantised places (0.64 m), and cancellation in a deviation of huge amounts
            slack = {"distance_from_home_km": 2e-3, "velocity_kmh": 3e-2}.get(name, 1e-6)
            assert fast[name] == pytest.approx(
                expected, rel=tolerance, abs=slack if tolerance else 0.0, nan_ok=True
            ), (number, name)


@settings(max_examples=60, deadline=None)
@given(streams.payments())
def test_online_equals_offline_exactly(payments):
    assert_online_equals_offline(FRAUD, payments, retry_every=3)


@settings(max_examples=25, deadline=None)
@given(streams.payments(max_size=40), st.permutations(partition_columns(FRAUD)))
def test_partitions_by_key_give_the_same_table_in_any_order(payments, columns):
    table = oracle.as_table(payments)
    expected = compute(FRAUD, table)
    for column in columns:
        values = table.column(column).to_numpy(zero_copy_only=False)
        parts = [table.filter(values == v) for v in sorted({str(v) for v in values} - {"None"})]
        parts.append(table.filter(table.column(column).is_null()))
        table = pa.concat_tables([measure(FRAUD, part, column) for part in parts])
    assert_same_features(finish(FRAUD, table), expected)


@settings(max_examples=25, deadline=None)
@given(streams.payments(max_size=40), st.integers(1, 50), st.integers(1, 4))
def test_parts_on_threads_are_the_table_computed_at_once(payments, rows, threads):
    table = oracle.as_table(payments)
    parts: dict[int, pa.Table] = {}
    TableFeatures(FRAUD, table, threads).each_part(rows, parts.__setitem__)
    assert [part.num_rows for _, part in sorted(parts.items())] == [
        min(rows, len(payments) - first) for first in range(0, len(payments), rows)
    ]
    joined = [compute(FRAUD, table.slice(0, 0)), *(part for _, part in sorted(parts.items()))]
    assert pa.concat_tables(joined).column("transaction_id") == table.column("transaction_id")
    assert_same_features(pa.concat_tables(joined), compute(FRAUD, table))


def assert_same_features(actual: pa.Table, other: pa.Table) -> None:
    actual, other = actual.sort_by("transaction_id"), other.sort_by("transaction_id")
    for name in FRAUD.names:
        np.testing.assert_array_equal(actual.column(name).to_numpy(), other.column(name).to_numpy())


def test_row_order_of_the_table_does_not_matter():
    payments = _many(200)
    table = oracle.as_table(payments)
    shuffled = table.take(np.random.default_rng(3).permutation(len(table)))
    assert_same_features(compute(FRAUD, shuffled), compute(FRAUD, table))


def test_a_missing_column_is_named():
    table = oracle.as_table(_many(3)).drop_columns(["merchant_id"])
    with pytest.raises(KeyError, match="'merchant_id' is missing"):
        compute(FRAUD, table)


def test_an_empty_table_gives_empty_features():
    assert compute(FRAUD, oracle.as_table([])).num_rows == 0


def test_a_payment_across_the_antimeridian_is_near_home():
    rows = _many(3)
    for row, longitude in zip(rows, (179.9, -179.9, 180.0), strict=True):
        row.update(user_id="u", latitude=0.0, longitude=longitude)
    assert offline(FRAUD, rows)[2]["distance_from_home_km"] == pytest.approx(0.0, abs=1e-3)


def test_profiles_survive_a_closed_store(tmp_path: Path):
    payments = _many(20)
    online = OnlineFeatures(FRAUD)
    observations = list(replay(online, SqliteStore(tmp_path / "a.db"), payments))
    first = SqliteStore(tmp_path / "b.db")
    for payment in payments[:10]:
        first.exchange(online.request(payment))
    first.close()
    second = SqliteStore(tmp_path / "b.db")
    for payment, expected in zip(payments[10:], observations[10:], strict=True):
        observation = online.read(payment, second.exchange(online.request(payment)))
        assert repr(observation.values) == repr(expected.values)


def _many(count: int) -> list[dict]:
    rng = np.random.default_rng(5)
    times = streams.START + np.sort(rng.integers(0, 30 * 86_400_000_000, count))
    return [
        {
            "transaction_id": f"t{i:05d}",
            "event_time": int(time),
            "received_at": int(time),
            "user_id": f"u{rng.integers(5)}",
            "merchant_id": f"m{rng.integers(4)}",
            "device_id": None if rng.random() < 0.2 else f"d{rng.integers(3)}",
            "amount_minor": int(rng.integers(1, 90_000)),
            "payment_method": "wallet",
            "latitude": math.nan if rng.random() < 0.2 else float(rng.uniform(-60, 60)),
            "longitude": float(rng.uniform(-180, 180)),
            "fraud_from": None,
            "fraud_until": None,
            "declined_from": None,
        }
        for i, time in enumerate(times)
    ]
