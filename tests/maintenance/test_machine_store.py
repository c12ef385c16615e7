"""Memories of machines in SQLite and in a real Redis: written only over what was read."""

import asyncio

import pytest

from lib.maintenance.machine_store import MachineStoreError, open_machine_store

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(params=["sqlite", "redis"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/deep/machines.sqlite"
    return request.getfixturevalue("redis_url")


@pytest.fixture
async def stores(url):
    pair = [open_machine_store(url, 5.0) for _ in range(2)]
    yield pair
    for store in pair:
        await store.close()


async def test_what_is_written_is_read_with_its_revision(stores):
    store, other = stores
    assert await store.read("new one") == (None, 0)
    assert await store.write("new one", b"\x00\xff", 0)
    assert await other.read("new one") == (b"\x00\xff", 1)
    assert await other.write("new one", b"2", 1)
    assert await store.read("new one") == (b"2", 2)
    await store.ping()


async def test_a_write_over_an_old_revision_changes_nothing(stores):
    store, other = stores
    await store.write("old", b"1", 0)
    assert not await other.write("old", b"x", 0)
    assert await other.write("old", b"2", 1)
    assert not await store.write("old", b"x", 1)
    assert not await store.write("never", b"x", 7)
    assert await store.read("old") == (b"2", 2)
    assert await store.read("never") == (None, 0)


async def test_of_writers_at_once_none_loses_another_s(stores):
    async def add(store, mark):
        while True:
            memory, revision = await store.read("shared")
            if await store.write("shared", (memory or b"") + mark, revision):
                return

    await asyncio.gather(*(add(stores[k % 2], bytes([65 + k])) for k in range(20)))
    memory, revision = await stores[0].read("shared")
    assert sorted(memory) == list(range(65, 85))
    assert revision == 20


@pytest.mark.parametrize("url", ["redis://127.0.0.1:9/0", "sqlite:////proc/none/machines.sqlite"])
async def test_a_store_that_is_out_says_so(url):
    store = open_machine_store(url, 0.5)
    with pytest.raises(MachineStoreError, match="machine store"):
        await store.read("m")


def test_another_kind_of_store_is_refused():
    with pytest.raises(ValueError, match=r"expected sqlite:///path or redis://"):
        open_machine_store("mysql://x", 1.0)
