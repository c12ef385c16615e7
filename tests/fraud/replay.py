"""Sends payments, and the facts about them, through the online path as they became known."""

from collections.abc import Iterator, Sequence
from typing import Any

from lib.feature import (
    FeatureSet,
    OnlineFeatures,
    ProfileStore,
    SqliteStore,
    compute,
)
from lib.feature import replay as steps
from lib.feature.online import Observation
from tests.fraud import oracle


def replay(
    online: OnlineFeatures, store: ProfileStore, payments: Sequence[dict], retry_every: int = 0
) -> Iterator[Observation]:
    """The observation of each payment, in processing order.

    With `retry_every=k` every k-th payment is sent a second time right after its first.
    """
    index = 0
    for exchange, event in steps(online, payments):
        reply = store.exchange(exchange)
        if event is None:
            continue
        observation = online.read(event, reply)
        if retry_every and index % retry_every == 0:
            again = online.read(event, store.exchange(online.request(event)))
            assert not again.first
            assert repr(again.values) == repr(observation.values)
        index += 1
        yield observation


def offline(features: FeatureSet, payments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The features of payments as a batch job computes them."""
    table = oracle.as_table(oracle.processing_order(payments))
    return compute(features, table).select(features.names).to_pylist()


def assert_online_equals_offline(
    features: FeatureSet, payments: list[dict[str, Any]], **options: Any
) -> None:
    """To the bit; options are those of `replay`."""
    store = SqliteStore(":memory:")
    observed = replay(OnlineFeatures(features), store, payments, **options)
    for fast, observation in zip(offline(features, payments), observed, strict=True):
        assert repr(observation.values) == repr(fast)
    store.close()
