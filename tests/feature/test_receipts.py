"""Receipts of several systems and kinds in one store: the same id never means the same thing."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import msgpack
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.feature import OnlineFeatures, ProfileStore, ReceiptConflictError, RedisStore, SqliteStore
from lib.fraud.features import FRAUD
from lib.moderation.author import AUTHORS

AT = 1_700_000_000_000_000
PAYMENT = {
    "event_time": AT,
    "user_id": "u1",
    "merchant_id": "m1",
    "device_id": "d1",
    "amount_minor": 1_000,
    "currency": "EUR",
    "payment_method": "wallet",
    "latitude": 48.2,
    "longitude": 16.4,
}
POST = {"event_time": AT, "author_id": "ann", "wording_key": "w"}
_PREFIXES = count()


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ProfileStore]:
    opened: ProfileStore = (
        SqliteStore(tmp_path / "profiles.db")
        if request.param == "sqlite"
        else RedisStore(request.getfixturevalue("redis_url"), f"receipts{next(_PREFIXES)}:")
    )
    yield opened
    opened.close()


def payment(transaction_id: str, **changes: Any) -> dict[str, Any]:
    return PAYMENT | {"transaction_id": transaction_id} | changes


def post(post_id: str, **changes: Any) -> dict[str, Any]:
    return POST | {"post_id": post_id} | changes


def features_of(
    store: ProfileStore, online: OnlineFeatures, event: dict[str, Any]
) -> dict[str, float]:
    return online.read(event, store.exchange(online.request(event))).values


@pytest.mark.parametrize("settled", [False, True])
def test_a_payment_and_a_post_of_one_id_are_two_things(store: ProfileStore, settled: bool) -> None:
    payments, posts = OnlineFeatures(FRAUD), OnlineFeatures(AUTHORS)
    features_of(store, payments, payment("1001"))
    if settled:
        store.settle(payments.receipt("1001"), b"answer", 60)
    assert set(features_of(store, posts, post("1001"))) == set(AUTHORS.names)
    features_of(store, posts, post("1002"))
    values = features_of(store, payments, payment("1002", event_time=AT + 1))
    assert values["txn_count_by_user_24h"] == 1
    following = features_of(store, posts, post("1003", event_time=AT + 1))
    assert following == features_of(store, posts, post("1003", event_time=AT + 1))
    assert following != posts.unseen(post("1003", event_time=AT + 1))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    fact=st.sampled_from(FRAUD.facts),
    payment_id=st.sampled_from(["b1", "fraud:b1:1", "1", "fraud", "b1\x1f1", "event"]),
    revision=st.integers(0, 2),
)
def test_no_payment_is_named_as_a_fact_about_another(
    tmp_path_factory: pytest.TempPathFactory, fact: str, payment_id: str, revision: int
) -> None:
    online = OnlineFeatures(FRAUD)
    spelled = [f"{fact}:{payment_id}:{revision}", f"{fact}\x1f{revision}\x1f{payment_id}"]
    with_facts = SqliteStore(tmp_path_factory.mktemp("s") / "a.db")
    for name in (*spelled, payment_id):
        assert with_facts.exchange(online.request(payment(name))).first
    learned = online.learn(payment(payment_id), fact, AT + 1, revision=revision)
    assert with_facts.exchange(learned).first
    assert not with_facts.exchange(learned).first
    with_facts.close()


def test_a_payment_after_a_label_of_its_name_is_a_payment(store: ProfileStore) -> None:
    online = OnlineFeatures(FRAUD)
    features_of(store, online, payment("b1"))
    store.exchange(online.learn(payment("b1"), "fraud", AT + 1, revision=1))
    values = features_of(store, online, payment("fraud:b1:1", event_time=AT + 2))
    assert values["txn_count_by_user_24h"] == 1


@pytest.mark.parametrize("changes", [{"device_id": None}, {"user_id": "u2"}])
def test_an_id_of_other_keys_is_refused_by_name(
    store: ProfileStore, changes: dict[str, Any]
) -> None:
    online = OnlineFeatures(FRAUD)
    features_of(store, online, payment("b1"))
    with pytest.raises(ReceiptConflictError, match="transaction_id"):
        features_of(store, online, payment("b1", **changes))
    assert features_of(store, online, payment("b1"))["txn_count_by_user_24h"] == 0


def legacy(store: ProfileStore, receipt: str, profiles: list[list[Any]]) -> None:
    """Keeps a receipt as stores did when its name was a bare id."""
    if isinstance(store, SqliteStore):
        row = (receipt, msgpack.packb(profiles), None, 2**40)
        store._connection.execute("INSERT INTO receipt VALUES (?, ?, ?, ?)", row)
        return
    assert isinstance(store, RedisStore)
    state = b"p" + b"\xdc" + len(profiles).to_bytes(2) + b"\x90" * len(profiles)
    client: redis.Redis = store._redis
    client.set(store._prefix + b"r:" + receipt.encode(), state)


def test_what_counted_under_a_bare_name_does_not_count_again(store: ProfileStore) -> None:
    online = OnlineFeatures(FRAUD)
    learned = online.learn(payment("b1"), "fraud", AT + 1, revision=1)
    legacy(store, "fraud:b1:1", [[]] * len(learned.parts))
    legacy(store, "b1", [[]] * 8)
    assert not store.exchange(learned).first
    assert not store.exchange(online.request(payment("b1"))).first
    assert store.exchange(online.request(payment("b2"))).first


def test_a_bare_name_of_another_system_is_passed_over(store: ProfileStore) -> None:
    legacy(store, "1001", [[]] * 3)
    assert store.exchange(OnlineFeatures(FRAUD).request(payment("1001"))).first


@pytest.mark.parametrize("sent_again", [b"first", b"other"])
def test_an_id_of_other_content_is_refused_whoever_asks(
    store: ProfileStore, sent_again: bytes
) -> None:
    online = OnlineFeatures(AUTHORS)
    assert store.exchange(online.request(post("p"), b"first")).first
    again = store.exchange(online.request(post("p"), sent_again))
    assert (again.first, again.same) == (False, sent_again == b"first")


def test_a_receipt_that_was_kept_without_regard_to_content_is_still_the_same(
    store: ProfileStore,
) -> None:
    online = OnlineFeatures(AUTHORS)
    store.exchange(online.request(post("p")))
    assert store.exchange(online.request(post("p"), b"content")).same
    assert not store.exchange(online.request(post("p", author_id="bob"), b"content")).same
