"""What every profile store does: the same tests against SQLite and a real Redis."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.feature import ProfileStore, RedisStore, SqliteStore, StoreError
from lib.feature.profile_exchange import (
    FOR_EVER,
    NO_FIELD,
    KeyUpdate,
    Profile,
    ProfileReply,
    ProfileRequest,
    RunTrim,
    RunUpdate,
    apply,
)
from lib.feature.redis_store import AsyncRedisStore

_PREFIXES = count()
TILES, RECORD, LASTING = 1, 2, 3


class _Blocking:
    """An asynchronous Redis store behind the synchronous contract."""

    def __init__(self, url: str, prefix: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._store = AsyncRedisStore(url, prefix)

    def exchange(self, request: ProfileRequest) -> ProfileReply:
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
    stores: list[ProfileStore] = []

    def make() -> ProfileStore:
        if request.param == "sqlite":
            store: ProfileStore = SqliteStore(tmp_path / f"{next(_PREFIXES)}.db")
        else:
            kind = RedisStore if request.param == "redis" else _Blocking
            store = kind(request.getfixturevalue("redis_url"), prefix=f"t{next(_PREFIXES)}:")
        stores.append(store)
        return store

    yield make
    for store in stores:
        store.close()


class Change(NamedTuple):
    """One update of one part."""

    part: int
    adds: tuple[tuple[int, ...], ...] = ()
    keeps: tuple[tuple[int, ...], ...] = ()


def add(part: int, tile: int, *lanes: int) -> Change:
    return Change(part, adds=((TILES, 1 + len(lanes), tile, *lanes),))


def keep(part: int, *numbers: int) -> Change:
    return Change(part, keeps=((RECORD, len(numbers), *numbers),))


def exchange(
    receipt: str,
    *changes: Change | RunUpdate,
    time: int | None = None,
    lifetimes: tuple[int, int, int] = (3600, FOR_EVER, 3600),
    trims: tuple[RunTrim, ...] = (),
) -> ProfileRequest:
    """Three profiles of three fields; the clocks of the first and the last move to `time`."""
    parts = []
    for index, key in enumerate((b"user:1", b"device:\xff", b"pair")):
        own_changes = [c for c in changes if isinstance(c, Change) and c.part == index]
        adds = tuple(update for change in own_changes for update in change.adds)
        keeps = tuple(update for change in own_changes for update in change.keeps)
        clock = time is not None and index != 1
        trimmed = trims if index == 0 else ()
        parts.append(KeyUpdate(key, 4, lifetimes[index], LASTING, clock, adds, keeps, trimmed))
    touches = tuple(change for change in changes if isinstance(change, RunUpdate))
    return ProfileRequest(receipt, 3600, time or 0, tuple(parts), touches)


def look(store: ProfileStore, receipt: str = "look") -> tuple[Profile, ...]:
    return store.exchange(exchange(receipt)).profiles


def test_an_exchange_answers_what_was_there_before_it(new_store):
    store = new_store()
    change = add(0, 7, 1, -500, 2**52)
    assert store.exchange(exchange("a", change)) == ProfileReply(True, ([], [], []))
    assert store.exchange(exchange("b", change)).profiles[0] == [[], [7, 1, -500, 2**52], [], []]
    assert look(store)[0] == [[], [7, 2, -1000, 2**53], [], []]


def test_a_run_holds_its_tiles_from_the_newest_to_the_oldest(new_store):
    store = new_store()
    for receipt, tile in (("a", 2**40), ("b", -1), ("c", 3), ("d", 3), ("e", -(2**33))):
        store.exchange(exchange(receipt, add(0, tile, 1)))
    assert look(store)[0][TILES] == [2**40, 1, 3, 2, -1, 1, -(2**33), 1]


def test_a_receipt_seen_before_changes_nothing_and_gets_the_first_reply(new_store):
    store = new_store()
    change = add(1, -3, 1)
    store.exchange(exchange("a", change))
    first = store.exchange(exchange("b", change))
    store.exchange(exchange("c", change))
    assert store.exchange(exchange("b", change)) == ProfileReply(False, first.profiles)
    assert look(store)[1] == [[], [-3, 3], [], []]


def test_a_settled_receipt_gives_the_answer(new_store):
    store = new_store()
    store.exchange(exchange("a"))
    store.settle("a", b'{"decision":"APPROVE"}', 60)
    assert store.exchange(exchange("a")) == ProfileReply(False, (), b'{"decision":"APPROVE"}')


def test_settling_an_unknown_receipt_does_not_block_the_event(new_store):
    store = new_store()
    store.settle("never seen", b"x", 60)
    assert store.exchange(exchange("never seen")).first


def test_the_newest_is_kept_and_of_equally_new_the_last(new_store):
    store = new_store()
    for receipt, numbers in (("a", (10, 1)), ("b", (9, 2)), ("c", (10, 3))):
        store.exchange(exchange(receipt, keep(0, *numbers)))
    assert look(store)[0] == [[], [], [10, 3], []]


def test_the_clock_is_the_newest_time_of_an_event(new_store):
    store = new_store()
    for receipt, time in (("a", -5), ("b", 10), ("c", 9)):
        store.exchange(exchange(receipt, time=time))
    assert look(store) == ([[10], [], [], []], [], [[10], [], [], []])


def test_a_pair_counts_in_its_latest_tile_only(new_store):
    store = new_store()
    for receipt, time in (("a", 50), ("b", 59), ("c", 80), ("d", 60)):
        store.exchange(exchange(receipt, RunUpdate(2, 1, TILES, 10), time=time))
    assert look(store)[1][TILES] == [8, 1, 5, 0]


def test_tiles_before_the_first_that_matters_are_dropped(new_store):
    store = new_store()
    store.exchange(exchange("a", add(0, 4, 1)))
    store.exchange(exchange("b", add(0, 9, 1), trims=(RunTrim(TILES, 2, 5),)))
    assert look(store)[0][TILES] == [9, 1]


def test_tiles_before_the_newest_settled_good_one_are_dropped(new_store):
    store = new_store()
    tiles = {9: (2, 0), 8: (1, 1), 7: (3, 1), 6: (1, 1), 5: (2, 0)}  # events, bad ones
    for tile, lanes in tiles.items():
        store.exchange(exchange(str(tile), add(0, tile, *lanes)))
    trim = RunTrim(TILES, 3, first=0, settled=9, events=1, bad=2)
    store.exchange(exchange("z", add(0, 10, 1, 0), trims=(trim,)))
    assert look(store)[0][TILES] == [10, 1, 0, 9, 2, 0, 8, 1, 1, 7, 3, 1]


_TILES = st.sampled_from([-1, 2, 3, 4, 2**40])
_NUMBERS = st.integers(-(2**40), 2**40)
_UPDATES = st.one_of(
    st.builds(add, st.integers(0, 2), _TILES, _NUMBERS, st.integers(-3, 3)),
    st.builds(keep, st.integers(0, 2), st.integers(0, 5), _NUMBERS),
    st.builds(RunUpdate, st.sampled_from([0, 2]), st.just(1), st.just(LASTING), st.integers(1, 3)),
)
_TRIMS = st.builds(
    RunTrim,
    st.just(TILES),
    st.just(3),
    st.integers(-2, 4),
    st.integers(-2, 5),
    st.just(1),
    st.just(2),
)
_STEPS = st.tuples(
    st.lists(_UPDATES, max_size=4), st.integers(-9, 9), st.lists(_TRIMS, max_size=1).map(tuple)
)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(_STEPS, max_size=8))
def test_any_updates_mean_what_apply_says(new_store, steps):
    store = new_store()
    expected: tuple[Profile, ...] = ([], [], [])
    for number, (updates, time, trims) in enumerate(steps):
        request = exchange(str(number), *updates, time=time, trims=trims)
        assert store.exchange(request).profiles == expected
        apply(request, expected)
    assert look(store) == expected


def test_profiles_of_many_fields_and_long_runs_are_kept(new_store):
    store = new_store()
    adds = tuple((field, 3, tile, tile, -tile) for field in range(1, 20) for tile in range(30))
    for number, clock in enumerate((True, False, True)):
        part = KeyUpdate(b"wide", 20, 3600, NO_FIELD, clock, adds if number == 0 else ())
        store.exchange(ProfileRequest(str(number), 3600, number, (part,)))
    before = store.exchange(
        ProfileRequest("look", 3600, 0, (KeyUpdate(b"wide", 20, 3600),))
    ).profiles[0]
    run = [number for tile in reversed(range(30)) for number in (tile, tile, -tile)]
    assert before == [[2], *[run] * 19]


def test_concurrent_exchanges_lose_nothing(new_store):
    store = new_store()
    if isinstance(store, _Blocking):
        pytest.skip("one event loop has no threads; the server side is the Redis store's")

    def work(name: str) -> None:
        for i in range(50):
            store.exchange(exchange(f"{name}{i}", add(0, 1, 1)))

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert look(store)[0][TILES] == [1, 200]


def test_two_processes_share_a_sqlite_file(tmp_path: Path):
    first, other = SqliteStore(tmp_path / "p.db"), SqliteStore(tmp_path / "p.db")
    first.exchange(exchange("a", add(0, 5, 1)))
    assert other.exchange(exchange("b", add(0, 5, 1))).profiles[0][TILES] == [5, 1]
    assert not other.exchange(exchange("a")).first
    first.close()
    other.close()


def test_what_outlived_its_time_is_gone_and_swept(tmp_path: Path):
    now = [1_000.0]
    store = SqliteStore(tmp_path / "p.db", clock=lambda: now[0])
    store.exchange(exchange("a", add(0, 5, 1), add(1, 5, 1)))
    now[0] += 3_601
    assert store.exchange(exchange("a")).profiles == ([], [[], [5, 1], [], []], [])
    assert store.sweep() == 1
    store.close()


def test_what_counts_for_ever_keeps_its_profile(tmp_path: Path, redis_url: str):
    now = [1_000.0]
    store = SqliteStore(tmp_path / "p.db", clock=lambda: now[0])
    lasting = Change(0, adds=((LASTING, 2, 0, 1),))
    store.exchange(exchange("a", lasting))
    store.exchange(exchange("b", time=1))
    now[0] += 3_601
    assert look(store)[0] == [[1], [], [], [0, 1]]
    store.close()
    prefix = f"t{next(_PREFIXES)}:"
    other = RedisStore(redis_url, prefix)
    with redis.Redis.from_url(redis_url) as server:
        for number, change in enumerate((add(0, 5, 1), lasting, add(0, 5, 1))):
            other.exchange(exchange(str(number), change, time=number))
            assert (server.ttl(f"{prefix}p:user:1") > 0) == (number == 0)
            assert server.ttl(f"{prefix}p:pair") > 0
        other.exchange(exchange("later", time=9))
        assert server.ttl(f"{prefix}p:user:1") == -1
    other.close()


def test_a_store_that_is_out_says_so(tmp_path: Path):
    with pytest.raises(StoreError, match="profile store"):
        RedisStore("redis://127.0.0.1:1/0").ping()
    with pytest.raises(StoreError, match="unable to open"):
        SqliteStore(tmp_path / "no" / "such" / "folder.db")
