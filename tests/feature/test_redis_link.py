"""The shared connection to Redis: order, errors, deadlines, and what a lost connection means."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis

from lib.feature import StoreError
from lib.feature.redis_link import RedisLink
from tests.serve.redis_process import RedisProcess

pytestmark = pytest.mark.anyio
SCRIPT = "return {KEYS[1], ARGV[1]}"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def linked(url: str, timeout: float = 2.0) -> AsyncIterator[RedisLink]:
    link = RedisLink(url, SCRIPT, timeout)
    yield link
    await link.close()


@pytest.fixture
def server(tmp_path: Path):
    process = RedisProcess(tmp_path)
    process.start()
    yield process
    process.stop()


async def test_many_calls_at_a_time_each_get_their_own_reply(redis_url):
    async with linked(redis_url) as link:
        texts = [b"%d" % number for number in range(500)]
        assert await asyncio.gather(*[link.call(b"ECHO", text) for text in texts]) == texts


async def test_an_error_reply_is_a_store_error_and_the_next_call_works(redis_url):
    async with linked(redis_url) as link:
        with pytest.raises(StoreError, match="unknown command"):
            await link.call(b"NO_SUCH_COMMAND")
        assert await link.call(b"PING") == b"PONG"


async def test_a_script_that_the_server_forgot_is_sent_again(redis_url):
    async with linked(redis_url) as link:
        assert await link.run_script([b"k"], b"a") == [b"k", b"a"]
        await link.call(b"SCRIPT", b"FLUSH")
        assert await link.run_script([b"k"], b"b") == [b"k", b"b"]


async def test_who_stops_waiting_does_not_shift_the_replies_of_others(redis_url):
    async with linked(redis_url) as link:
        await link.call(b"PING")
        tasks = [asyncio.ensure_future(link.call(b"ECHO", text)) for text in (b"a", b"b")]
        await asyncio.sleep(0)
        tasks[0].cancel()
        assert await tasks[1] == b"b"


async def test_a_call_to_a_silent_server_fails_in_time_and_the_next_one_connects_anew(server):
    async with linked(server.url, timeout=0.2) as link:
        with pytest.raises(StoreError, match="no answer in time"):
            await link.call(b"BLPOP", b"never", b"5")
        assert await link.call(b"PING") == b"PONG"


async def test_answers_that_came_while_this_process_stood_still_are_read(server):
    async with linked(server.url, timeout=0.2) as link:
        await link.call(b"PING")
        waiting = [asyncio.ensure_future(link.call(b"ECHO", text)) for text in (b"a", b"b")]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        time.sleep(1.0)
        assert await asyncio.gather(*waiting) == [b"a", b"b"]
        silent = asyncio.ensure_future(link.call(b"BLPOP", b"never", b"5"))
        await asyncio.sleep(0)
        time.sleep(0.5)
        with pytest.raises(StoreError, match="no answer in time"):
            await silent


async def test_a_dead_server_fails_calls_and_a_revived_one_answers(server):
    async with linked(server.url) as link:
        assert await link.call(b"PING") == b"PONG"
        server.stop()
        with pytest.raises(StoreError, match="profile store"):
            await link.call(b"PING")
        with pytest.raises(StoreError, match="profile store"):
            await link.call(b"PING")
        server.start()
        assert await link.run_script([b"k"], b"a") == [b"k", b"a"]


async def test_calls_that_wait_for_a_lost_connection_all_fail(server):
    async with linked(server.url) as link:
        await link.call(b"PING")
        waiting = [asyncio.ensure_future(link.call(b"BLPOP", b"k%d" % n, b"0")) for n in range(3)]
        await asyncio.sleep(0.05)
        server.stop()
        errors = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(error) for error in errors] == [StoreError] * 3


async def test_the_user_password_and_database_of_the_url_are_used(server):
    with redis.Redis.from_url(server.url) as admin:
        admin.acl_setuser("scorer", enabled=True, passwords=["+secret"], commands=["+@all"])
    host = server.url.removeprefix("redis://").removesuffix("/0")
    async with linked(f"redis://scorer:secret@{host}/3") as link:
        assert await link.call(b"ACL", b"WHOAMI") == b"scorer"
        assert b" db=3 " in await link.call(b"CLIENT", b"INFO")
    async with linked(f"redis://scorer:wrong@{host}/3") as link:
        with pytest.raises(StoreError, match="WRONGPASS"):
            await link.call(b"PING")


async def test_a_unix_socket_works(tmp_path: Path):
    socket = tmp_path / "redis.sock"
    command = ("redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "")
    process = await asyncio.create_subprocess_exec(
        *command, "--dir", str(tmp_path), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        while not socket.exists():
            await asyncio.sleep(0.02)
        async with linked(f"unix://{socket}?db=2") as link:
            assert b" db=2 " in await link.call(b"CLIENT", b"INFO")
    finally:
        process.terminate()
        await process.wait()
