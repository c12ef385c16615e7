"""What every profile store does: the same tests against SQLite and a real Redis."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.feature import AsyncRedisStore, ProfileStore, RedisStore, SqliteStore, StoreError
from lib.feature.profile import Add, Exchange, Keep, Reply, Touch, apply, tile_field

_PREFIXES = count()
HOURS, DAYS, MARK = 16, 17, b"\x01\x11"


class _Blocking:
    """An asynchronous Redis store behind the synchronous contract."""

    def __init__(self, url: str, prefix: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._store = AsyncRedisStore(url, prefix)

    def exchange(self, request: Exchange) -> Reply:
        return self._loop.run_until_complete(self._store.exchange(request))

    def settle(self, receipt: str, answer: bytes, seconds: int) -> None:
        self._loop.run_until_complete(self._store.settle(receipt, answer, seconds))

    def ping(self) -> None:
        self._loop.run_until_complete(self._store.ping())

    def close(self) -> None:
        self._loop.run_until_complete(self._store.close())
        self._loop.close()


@pytest.fixture(params=["sqlite", "redis", "async redis"])
def new_store(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[], ProfileStore]]:
    """Makes empty stores of one kind."""
    made: list[ProfileStore] = []

    def make() -> ProfileStore:
        if request.param == "sqlite":
            store: ProfileStore = SqliteStore(tmp_path / f"{next(_PREFIXES)}.db")
        else:
            kind = RedisStore if request.param == "redis" else _Blocking
            store = kind(request.getfixturevalue("redis_url"), prefix=f"t{next(_PREFIXES)}:")
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()


def exchange(receipt: str, *updates: Add | Keep | Touch, expired: int = -(2**40)) -> Exchange:
    return Exchange(
        receipt=receipt,
        keys=(b"user:1", b"device:\xff", b"pair"),
        lifetimes=(3600, 0, 3600),
        expired=(((HOURS, expired),), (), ()),
        adds=tuple(u for u in updates if isinstance(u, Add)),
        keeps=tuple(u for u in updates if isinstance(u, Keep)),
        touches=tuple(u for u in updates if isinstance(u, Touch)),
    )


def look(store: ProfileStore, receipt: str = "look") -> tuple:
    return store.exchange(exchange(receipt)).profiles


def test_an_exchange_answers_what_was_there_before_it(new_store):
    store = new_store()
    add = Add(0, tile_field(HOURS, 7), (1, -500, 2**52))
    assert store.exchange(exchange("a", add)) == Reply(True, ({}, {}, {}))
    assert store.exchange(exchange("b", add)).profiles[0] == {add.field: [1, -500, 2**52]}
    assert look(store)[0] == {add.field: [2, -1000, 2**53]}


def test_a_receipt_seen_before_changes_nothing_and_gets_the_first_reply(new_store):
    store = new_store()
    add = Add(1, tile_field(HOURS, -3), (1,))
    store.exchange(exchange("a", add))
    first = store.exchange(exchange("b", add))
    store.exchange(exchange("c", add))
    assert store.exchange(exchange("b", add)) == Reply(False, first.profiles)
    assert look(store)[1] == {add.field: [3]}


def test_a_settled_receipt_gives_the_answer(new_store):
    store = new_store()
    store.exchange(exchange("a"))
    store.settle("a", b'{"decision":"APPROVE"}', 60)
    assert store.exchange(exchange("a")) == Reply(False, (), b'{"decision":"APPROVE"}')


def test_settling_an_unknown_receipt_does_not_block_the_event(new_store):
    store = new_store()
    store.settle("never seen", b"x", 60)
    assert store.exchange(exchange("never seen")).first


def test_the_newest_is_kept_and_of_equally_new_the_last(new_store):
    store = new_store()
    for receipt, numbers in (("a", (10, 1)), ("b", (9, 2)), ("c", (10, 3))):
        store.exchange(exchange(receipt, Keep(0, b"\x02", numbers)))
    assert look(store)[0] == {b"\x02": [10, 3]}


def test_a_pair_counts_in_its_latest_tile_only(new_store):
    store = new_store()
    for receipt, tile in (("a", 5), ("b", 5), ("c", 8), ("d", 6)):
        store.exchange(exchange(receipt, Touch(2, MARK, 1, DAYS, tile)))
    assert look(store)[1] == {tile_field(DAYS, 5): [0], tile_field(DAYS, 8): [1]}


def test_tiles_before_the_first_that_matters_are_dropped(new_store):
    store = new_store()
    store.exchange(exchange("a", Add(0, tile_field(HOURS, 4), (1,))))
    store.exchange(exchange("b", Add(0, tile_field(HOURS, 9), (1,)), expired=5))
    assert set(look(store)[0]) == {tile_field(HOURS, 9)}


_FIELDS = st.sampled_from([tile_field(HOURS, -1), tile_field(HOURS, 3), tile_field(HOURS, 2**40)])
_UPDATES = st.one_of(
    st.builds(Add, st.integers(0, 2), _FIELDS, st.tuples(st.integers(-(2**40), 2**40))),
    st.builds(Keep, st.integers(0, 2), st.just(b"\x00"), st.tuples(st.integers(0, 5))),
    st.builds(Touch, st.just(2), st.just(MARK), st.just(1), st.just(DAYS), st.integers(0, 5)),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(st.lists(_UPDATES, max_size=4), max_size=8), expired=st.integers(-2, 4))
def test_any_updates_mean_what_apply_says(new_store, steps, expired):
    store = new_store()
    expected: tuple[dict, ...] = ({}, {}, {})
    for number, updates in enumerate(steps):
        request = exchange(str(number), *updates, expired=expired)
        assert store.exchange(request).profiles == expected
        apply(request, expected)
    assert look(store) == expected


def test_concurrent_exchanges_lose_nothing(new_store):
    store = new_store()
    if isinstance(store, _Blocking):
        pytest.skip("one event loop has no threads; the server side is the Redis store's")
    field = tile_field(HOURS, 1)

    def work(name: str) -> None:
        for i in range(50):
            store.exchange(exchange(f"{name}{i}", Add(0, field, (1,))))

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert look(store)[0][field] == [200]


def test_two_processes_share_a_sqlite_file(tmp_path: Path):
    one, other = SqliteStore(tmp_path / "p.db"), SqliteStore(tmp_path / "p.db")
    one.exchange(exchange("a", Add(0, b"f", (1,))))
    assert other.exchange(exchange("b", Add(0, b"f", (1,)))).profiles[0] == {b"f": [1]}
    assert not other.exchange(exchange("a")).first
    one.close()
    other.close()


def test_what_outlived_its_time_is_gone_and_swept(tmp_path: Path):
    now = [1_000.0]
    store = SqliteStore(tmp_path / "p.db", clock=lambda: now[0])
    store.exchange(exchange("a", Add(0, b"f", (1,)), Add(1, b"f", (1,))))
    now[0] += 3_601
    profiles = store.exchange(exchange("a")).profiles
    assert profiles == ({}, {b"f": [1]}, {})
    assert store.sweep() == 1
    store.close()


def test_a_store_that_is_out_says_so(tmp_path: Path):
    with pytest.raises(StoreError, match="profile store"):
        RedisStore("redis://127.0.0.1:1/0").ping()
    with pytest.raises(StoreError, match="unable to open"):
        SqliteStore(tmp_path / "no" / "such" / "folder.db")
