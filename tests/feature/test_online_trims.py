"""What is dropped from profiles never changes a feature."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.feature import DAY, HOUR, OnlineFeatures, SqliteStore, compute, layout
from lib.feature import replay as steps
from lib.fraud.features import FRAUD
from tests.fraud import oracle, streams
from tests.fraud.replay import replay

STREAK = [name for name in FRAUD.names if "_payment_by_merchant" in name or "streak" in name]
_GAPS = st.one_of(st.integers(0, 3 * HOUR), st.sampled_from([0, 2 * HOUR, DAY, 3 * DAY, 8 * DAY]))
_LATE = st.sampled_from([0, 0, 0, 1, 3 * HOUR, 3 * DAY, 7 * DAY - 1, 7 * DAY, 7 * DAY + 1, 9 * DAY])
_KNOWN_AFTER = st.sampled_from([0, HOUR, 5 * DAY, 7 * DAY - 1, 7 * DAY, 7 * DAY + 1, 12 * DAY])


def payment(number: int, time: int, late: int = 0, **facts: int | None) -> dict:
    return {
        "transaction_id": f"t{number:05d}",
        "event_time": time,
        "received_at": time + late,
        "user_id": f"u{number % 3}",
        "merchant_id": "m",
        "device_id": None,
        "amount_minor": 100 + number,
        "payment_method": "wallet",
        "latitude": math.nan,
        "longitude": math.nan,
        "fraud_from": None,
        "fraud_until": None,
        "declined_from": None,
        **facts,
    }


@st.composite
def busy_merchant(draw: st.DrawFn) -> list[dict]:
    """One merchant's payments, mostly fraud, known or withdrawn around the time they settle."""
    clock, stream = streams.START, []
    for number in range(draw(st.integers(1, 50))):
        clock += draw(_GAPS)
        late = draw(_LATE)
        known_at = clock + draw(_KNOWN_AFTER) if draw(st.integers(0, 3)) else None
        withdrawn = known_at + draw(_KNOWN_AFTER) + 1 if known_at and draw(st.booleans()) else None
        stream.append(payment(number, clock, late, fraud_from=known_at, fraud_until=withdrawn))
    return stream


def offline(payments: list[dict]) -> list[dict[str, float]]:
    order = oracle.processing_order(payments)
    return compute(FRAUD, oracle.as_table(order)).select(FRAUD.names).to_pylist()


@settings(max_examples=80)
@given(st.one_of(streams.payments(max_size=40), busy_merchant()))
def test_features_are_the_same_where_every_payment_trims_as_much_as_it_may(payments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "SETTLING_SLACK", 0)
        store = SqliteStore(":memory:")
        observations = list(replay(OnlineFeatures(FRAUD, trim_one_in=1), store, payments))
        store.close()
    for fast, observation in zip(offline(payments), observations, strict=True):
        assert repr(observation.values) == repr(fast)


@settings(max_examples=30)
@given(busy_merchant())
def test_streaks_are_those_of_the_naive_fold(payments):
    store = SqliteStore(":memory:")
    observed = replay(OnlineFeatures(FRAUD, trim_one_in=1), store, payments)
    for slow, observation in zip(oracle.features(payments), observed, strict=True):
        for name in STREAK:
            assert observation.values[name] == pytest.approx(slow[name], nan_ok=True), name
    store.close()


def test_a_busy_merchant_keeps_days_of_its_streak_not_months():
    payments = [payment(n, streams.START + n * HOUR) | {"user_id": f"u{n}"} for n in range(24 * 45)]
    store, online = SqliteStore(":memory:"), OnlineFeatures(FRAUD)
    longest = 0
    for exchange, _ in steps(online, payments):
        reply = store.exchange(exchange)
        longest = max([longest, *(len(field) for profile in reply.profiles for field in profile)])
    # nine days of two hours, three lanes and the tile; a little more between one trim and the next
    assert longest < 1.5 * 9 * 12 * 4
    store.close()
