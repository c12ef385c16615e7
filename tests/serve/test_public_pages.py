"""What callers without a key can do, and cannot do to those with one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from lib.access import add_key, new_key
from serve.framework import Health, HealthChecks, Problem
from serve.framework.asgi import read_body
from tests.serve.echo_gateway import World

pytestmark = pytest.mark.anyio
PUBLIC = ("/healthz", "/readyz", "/docs", "/openapi.json")
PIECE = b"x" * 1000


async def ask(
    world: World,
    path: str,
    headers: Mapping[bytes, bytes],
    *,
    method: str = "GET",
    receive: Any = None,
    send: Any = None,
) -> int:
    """The status of a request whose body never comes, unless `receive` gives one."""
    statuses: list[int] = []

    async def never() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def note(message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
        if send is not None:
            await send(message)

    scope = {
        **{"type": "http", "method": method, "path": f"/system{path}", "query_string": b""},
        **{"raw_path": f"/system{path}".encode(), "headers": list(headers.items())},
        **{"http_version": "1.1", "scheme": "http", "asgi": {"version": "3.0"}},
    }
    await world.gateway(scope, receive or never, note)
    return statuses[0]


@pytest.mark.parametrize("path", PUBLIC)
async def test_a_public_page_waits_for_no_body_that_is_announced(world: World, path: str) -> None:
    headers = {b"content-length": b"1000", b"x-deadline-ms": b"3000"}
    async with asyncio.timeout(0.5):
        assert await ask(world, path, headers) in (200, 413)


async def test_a_get_with_a_key_waits_for_no_body_either(world: World) -> None:
    key = {b"authorization": f"Bearer {world.token}".encode(), b"content-length": b"10"}
    async with asyncio.timeout(0.5):
        assert await ask(world, "/status", key) in (403, 413)


async def test_strangers_at_public_pages_leave_all_places_to_keys(world: World) -> None:
    release = asyncio.Event()

    async def slow_reader(message: Mapping[str, Any]) -> None:
        await release.wait()

    strangers = [
        asyncio.create_task(ask(world, path, {b"content-length": b"0"}, send=slow_reader))
        for path in ("/healthz", "/readyz", "/docs") * 20
    ]
    await asyncio.sleep(0.1)
    answer = await world.client.post("/echo", headers=world.key)
    release.set()
    await asyncio.gather(*strangers)
    assert answer.status_code == 200


async def test_documentation_is_given_to_few_at_a_time_and_health_to_all(world: World) -> None:
    release = asyncio.Event()

    async def slow_reader(message: Mapping[str, Any]) -> None:
        await release.wait()

    most = world.gateway.limits.public_in_flight
    readers = [
        asyncio.create_task(ask(world, "/docs", {}, send=slow_reader)) for _ in range(most + 3)
    ]
    await asyncio.sleep(0.1)
    assert await ask(world, "/docs", {}) == 503
    assert await ask(world, "/healthz", {}) == 200
    assert await ask(world, "/readyz", {}) == 200
    release.set()
    assert sorted(await asyncio.gather(*readers)) == [200] * most + [503] * 3


@pytest.mark.parametrize("wish", [b"5", b"nonsense", b"30000"])
async def test_a_caller_without_a_key_names_no_deadline(world: World, wish: bytes) -> None:
    assert await ask(world, "/healthz", {b"x-deadline-ms": wish}) == 200
    assert await ask(world, "/echo", {b"x-deadline-ms": wish}, method="POST") == 401


async def test_readiness_is_checked_once_for_all_who_ask_at_once(world: World) -> None:
    answers = await asyncio.gather(*(ask(world, "/readyz", {}) for _ in range(200)))
    assert set(answers) == {200}
    assert world.request_count == 1
    await ask(world, "/readyz", {})
    assert world.request_count == 1


async def test_a_check_that_hangs_is_late_and_never_started_twice() -> None:
    started = 0

    async def hangs() -> Health:
        nonlocal started
        started += 1
        await asyncio.Event().wait()
        return Health(True)

    readiness = HealthChecks(
        {"store": hangs}, healthy_seconds=0.0, failed_seconds=0.0, part_seconds=0.02
    )
    for _ in range(3):
        assert (await readiness.report())[1]["parts"] == {"store": {"ok": False}}
    assert started == 1


async def test_a_part_that_fails_is_checked_again_soon_and_one_that_works_seldom() -> None:
    results = iter((Health(False), Health(False), Health(True)))

    async def recovers() -> Health:
        return next(results)

    readiness = HealthChecks({"store": recovers}, healthy_seconds=60.0, failed_seconds=0.0)
    reports = [(await readiness.report())[1]["status"] for _ in range(5)]
    assert reports == ["degraded", "degraded", "ready", "ready", "ready"]


async def test_a_change_is_seen_at_once(world: World) -> None:
    readiness = HealthChecks({"engine": world._engine})
    assert (await readiness.report())[1]["status"] == "ready"
    world.error = "gone"
    readiness.expire()
    assert (await readiness.report())[1]["status"] == "degraded"


async def test_readiness_says_yes_or_no_to_strangers_and_why_to_readers(
    world: World, tmp_path: Path
) -> None:
    world.error = "s3://KEY:SECRET@models: user jane.doe@example.org is unknown"
    public = await world.client.get("/readyz")
    assert public.json() == {
        "status": "degraded",
        "out": ["engine"],
        "parts": {"engine": {"ok": False}},
    }
    assert (await world.client.get("/status")).status_code == 401
    assert (await world.client.get("/status", headers=world.key)).status_code == 403
    token, record = new_key(["system:read"], time.time_ns() // 1000)
    add_key(tmp_path / "keys.json", record)
    world.gateway.keys._checked_at = 0
    detailed = await world.client.get("/status", headers={"X-API-Key": token})
    assert detailed.json()["parts"]["engine"]["error"].startswith("s3://***@models: user")


async def test_a_prepared_page_is_the_same_for_everybody(world: World) -> None:
    first = await world.client.get("/openapi.json", headers={"Host": "evil.example"})
    again = await world.client.get("/openapi.json")
    assert first.content == again.content
    assert b"evil" not in again.content


@pytest.mark.parametrize("length", ["9" * 5000, "1e3", "-1", "", "0x10"])
async def test_a_content_length_that_is_none_is_a_400(world: World, length: str) -> None:
    headers = {b"authorization": f"Bearer {world.token}".encode()}
    declared = headers | {b"content-length": length.encode()}
    assert await ask(world, "/echo", declared, method="POST") == 400


async def test_a_large_body_in_small_pieces_is_read_in_time_that_grows_with_its_size() -> None:
    async def seconds(pieces: int) -> float:
        left = pieces

        async def receive() -> dict[str, Any]:
            nonlocal left
            left -= 1
            return {"type": "http.request", "body": PIECE, "more_body": left > 0}

        started = time.process_time()
        body = await read_body({}, receive, 100 * 2**20)
        assert len(body) == pieces * len(PIECE)
        return time.process_time() - started

    small = min([await seconds(10_000) for _ in range(5)])
    large = min([await seconds(80_000) for _ in range(3)])
    assert large < 8 * 4 * small


@pytest.mark.parametrize("pieces", [0, 1])
async def test_a_body_that_breaks_off_is_a_400(pieces: int) -> None:
    piece: dict[str, Any] = {"type": "http.request", "body": PIECE, "more_body": True}
    messages = [*([piece] * pieces), {"type": "http.disconnect"}]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    with pytest.raises(Problem) as refused:
        await read_body({}, receive, 10_000)
    assert refused.value.status == 400


async def test_a_websocket_is_closed_quietly(world: World) -> None:
    sent: list[Mapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    await world.gateway({"type": "websocket", "path": "/system/healthz"}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_a_fault_behind_a_route_is_the_same_problem_as_one_in_a_handler(
    world: World,
) -> None:
    headers = {**world.key, "X-Request-ID": "r-1"}
    answer = await world.client.get("/failing/user-4711", headers=headers)
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == "r-1"
    assert "4711" not in answer.text + str(world.lines())
    assert any(line["event"] == "fault" for line in world.lines())


@pytest.mark.parametrize("path", ["/%00", "/echo%0a", "/%C2%85"])
async def test_a_path_with_control_characters_leads_nowhere(world: World, path: str) -> None:
    assert (await world.client.get(path)).status_code == 404


async def test_nobody_waits_for_the_description_of_the_api(world: World) -> None:
    app = world.gateway.app
    assert isinstance(app, FastAPI)
    world.gateway.prepare_documentation()
    prepared = app.openapi_schema
    assert prepared is not None
    answer = await world.client.get("/openapi.json")
    assert answer.json()["paths"].keys() == prepared["paths"].keys()
    assert app.openapi_schema is prepared
