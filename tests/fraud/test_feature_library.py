"""The packaged features of payments are a file, and other files may use what it uses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml

from lib.feature import DAY, compute
from lib.feature.feature_extension import FeatureExtension
from lib.feature.feature_file import FeatureFileError
from lib.fraud.amounts import AmountScale
from lib.fraud.features import FEATURES_YAML, FRAUD, PAYMENT_METHODS, fraud_features
from lib.fraud.payment_features import PaymentFeatures
from tests.feature.shop_events import online_rows

DIGESTS = {
    AmountScale(): "8969ebf128bd7ac1",
    AmountScale(0): "6b7971e5e2376fa6",
    AmountScale(3): "061ad45543d671dd",
    AmountScale(2, 10**11): "83ed98fcf69d92f9",
}


@pytest.mark.parametrize("scale", DIGESTS, ids=str)
def test_a_model_of_before_reads_the_same_features(scale: AmountScale):
    assert fraud_features(scale).digest.startswith(DIGESTS[scale])


def test_the_file_declares_every_feature_in_its_order():
    entries = yaml.safe_load(FEATURES_YAML.read_text(encoding="utf-8"))["features"]
    assert [entry["name"] for entry in entries] == [each.name for each in FRAUD.features]
    assert fraud_features() is FRAUD
    assert PAYMENT_METHODS[:2] == ("card_present", "card_not_present")


OWN = """features:
- {name: amount_sum_by_device_7d, unit: EUR, key: [device_id], aggregate: sum, of: amount,
   window: 7d, hop: 1d}
- {name: amount_before_by_device, unit: EUR, key: [device_id], aggregate: latest, of: amount,
   horizon: 30d}
- {name: amount_spread_by_device, unit: EUR, key: [device_id], aggregate: deviation, of: amount,
   window: 30d, hop: 1d}
- {name: frauds_by_merchant_ever, unit: frauds, key: [merchant_id], aggregate: count, fact: fraud,
   window: ever}
- {name: change_by_device, unit: deviations, formula: zscore,
   inputs: [amount, amount_before_by_device, amount_spread_by_device]}
"""


def test_a_file_uses_what_packaged_features_use():
    features = PaymentFeatures(AmountScale(3), FeatureExtension(text=OWN))
    assert features.added == tuple(features.names[-5:])
    measures = {measure for each in FRAUD.features for measure in getattr(each, "measures", ())}
    own = {each.name: each for each in features.feature_set.features}
    assert own["frauds_by_merchant_ever"].measures[0] in measures
    assert own["amount_sum_by_device_7d"].aggregate.scale == 1000.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("of: amount,\n   window: 7d", "of: squared_amount,\n   window: 7d"), "squared_amount"),
        (("formula: zscore", "formula: distance"), "unknown formula 'distance'"),
        (("key: [merchant_id]", "key: [payment_method]"), "payment_method are forgotten"),
        (
            ("fact: fraud,\n   window: ever", "window: ever"),
            "as 'ever' is for counts with 'fact: fr",
        ),
        (("horizon: 30d", "horizon: ever"), "horizon: profiles of device_id are forgotten"),
    ],
)
def test_what_holds_for_packaged_features_alone_is_refused(change, message):
    with pytest.raises(FeatureFileError, match=message):
        PaymentFeatures(extension=FeatureExtension(text=OWN.replace(*change)))


def payments(count: int, seed: int) -> pa.Table:
    """Payments in their order, a tenth of which become known as fraud."""
    draw = np.random.default_rng(seed)
    times = np.sort(draw.integers(0, 40 * DAY, count))
    known = times + draw.integers(0, 3 * DAY, count)
    at = pa.timestamp("us", "UTC")
    places = draw.random(count) < 0.3
    return pa.table(
        {
            "transaction_id": [f"t{k:04d}" for k in range(count)],
            "event_time": pa.array(times).cast(at),
            "user_id": [f"u{k}" for k in draw.integers(0, 9, count)],
            "merchant_id": [f"m{k}" for k in draw.integers(0, 5, count)],
            "device_id": pa.array(
                [f"d{k}" for k in draw.integers(0, 6, count)], mask=draw.random(count) < 0.1
            ),
            "amount_minor": draw.integers(0, 50_000, count),
            "payment_method": pa.array(["wallet", "cash"]).take(draw.integers(0, 2, count)),
            "latitude": pa.array(draw.uniform(-80, 80, count), mask=places),
            "longitude": pa.array(draw.uniform(-170, 170, count), mask=places),
            "fraud_from": pa.array(known, mask=draw.random(count) < 0.9).cast(at),
            "fraud_until": pa.nulls(count, at),
        }
    )


MORE = """- {name: x_of_device, unit: vector, key: [device_id], aggregate: latest, of: direction_x,
   record: place, horizon: 20d}
- {name: minutes_since_place_by_device, unit: minutes, key: [device_id], aggregate: minutes_since,
   only: located, horizon: 20d}
- {name: days_since_good_by_device, unit: days, key: [device_id], aggregate: streak,
   part: days_since_good, of: amount, fact: fraud, window: 20d, behind: 4d, hop: 2h}
"""


@pytest.mark.parametrize("seed", range(2))
def test_a_payment_has_the_values_of_the_table_to_the_bit(seed: int, tmp_path: Path):
    features = PaymentFeatures(extension=FeatureExtension(text=OWN + MORE))
    table = payments(300, seed)
    offline = compute(features.feature_set, table)
    rows = list(online_rows(features.feature_set, table, tmp_path / "profiles.sqlite"))
    for name in features.names:
        values = np.array([row[name] for row in rows])
        assert np.array_equal(values, offline[name].to_numpy(), equal_nan=True), name
    for name in features.added:
        assert len(np.unique(offline[name].drop_null().to_numpy())) > 2, name
