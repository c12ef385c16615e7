"""What every application behind the gateway may rely on."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator

import pytest

from serve.framework import (
    Health,
    HealthChecks,
)
from tests.serve.echo_gateway import World, well

pytestmark = pytest.mark.anyio


async def test_a_caller_without_a_key_is_told_how_to_send_one(world: World) -> None:
    answer = await world.client.post("/echo")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "Authorization: Bearer" in answer.json()["detail"]


@pytest.mark.parametrize("header", ["Bearer nonsense", "Basic dXNlcjpwYXNz", "Bearer", ""])
async def test_a_wrong_key_is_refused(world: World, header: str) -> None:
    answer = await world.client.post("/echo", headers={"Authorization": header})
    assert answer.status_code == 401


async def test_a_key_counts_in_either_header(world: World) -> None:
    bearer = await world.client.post("/echo", headers=world.key)
    plain = await world.client.post("/echo", headers={"X-API-Key": world.token})
    assert (bearer.status_code, plain.status_code) == (200, 200)


async def test_a_key_without_the_scope_is_forbidden_and_told_which(world: World) -> None:
    answer = await world.client.post("/labels", headers=world.key)
    assert answer.status_code == 403
    assert "fraud:label" in answer.json()["detail"]


async def test_an_error_is_a_problem_with_the_request_id(world: World) -> None:
    answer = await world.client.post("/refused", headers={**world.key, "X-Request-ID": "abc.1"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:forewarn:invalid-field",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "amount: expected more",
        "request_id": "abc.1",
        "errors": [{"field": "amount", "message": "expected more"}],
    }


async def test_a_sane_request_id_is_kept_everywhere(world: World) -> None:
    answer = await world.client.post("/echo", headers={**world.key, "X-Request-ID": "order-7"})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "order-7"
    assert world.lines()[-1]["request_id"] == "order-7"


@pytest.mark.parametrize("wish", ["a b", "x" * 65, "id;drop", "é"])
async def test_a_strange_request_id_is_replaced(world: World, wish: str) -> None:
    headers = {**world.key, "X-Request-ID": wish.encode()}
    answer = await world.client.post("/echo", headers=headers)
    assert answer.json()["request_id"] not in ("", wish)


async def test_a_body_that_is_declared_too_large_is_refused(world: World) -> None:
    answer = await world.client.post("/echo", headers=world.key, content=b"x" * 101)
    assert answer.status_code == 413
    assert "100 bytes" in answer.json()["detail"]


async def test_a_body_in_chunks_is_refused_once_it_is_too_large(world: World) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 1
            yield b"x" * 50

    answer = await world.client.post("/echo", headers=world.key, content=chunks())
    assert answer.status_code == 413
    assert sent < 10


async def test_a_body_at_the_limit_is_taken(world: World) -> None:
    answer = await world.client.post("/echo", headers=world.key, content=b"x" * 100)
    assert answer.json()["bytes"] == 100


async def test_the_key_is_checked_before_the_body(world: World) -> None:
    assert (await world.client.post("/echo", content=b"x" * 1000)).status_code == 401


async def test_an_answer_that_is_late_is_a_504(world: World) -> None:
    answer = await world.client.post("/slow", headers={**world.key, "X-Deadline-Ms": "20"})
    assert answer.status_code == 504
    assert answer.json()["type"] == "urn:forewarn:deadline"


@pytest.mark.parametrize("wish", ["0", "-5", "soon", "nan", "99999999"])
async def test_a_deadline_that_makes_no_sense_is_refused(world: World, wish: str) -> None:
    answer = await world.client.post("/echo", headers={**world.key, "X-Deadline-Ms": wish})
    assert answer.status_code == 400
    assert "X-Deadline-Ms" in answer.json()["detail"]


async def test_too_many_requests_at_a_time_are_sent_away_for_a_moment(world: World) -> None:
    waiting = [asyncio.create_task(world.client.post("/slow", headers=world.key)) for _ in range(2)]
    await asyncio.sleep(0.05)
    refused = await world.client.post("/echo", headers=world.key)
    world.release.set()
    answered = await asyncio.gather(*waiting)
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert [answer.status_code for answer in answered] == [200, 200]
    assert (await world.client.post("/echo", headers=world.key)).status_code == 200


async def test_a_path_that_only_fastapi_knows_is_closed(world: World) -> None:
    app = world.gateway.app

    @app.get("/forgotten")  # type: ignore[attr-defined]
    async def forgotten() -> str:
        return "secret"

    answer = await world.client.get("/forgotten", headers=world.key)
    assert answer.status_code == 404


async def test_a_wrong_method_says_which_is_right(world: World) -> None:
    answer = await world.client.get("/echo", headers=world.key)
    assert answer.status_code == 405
    assert "POST" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/failing/", "/failing/a/b", "/failing", "/echo/a"])
async def test_a_parameter_is_one_segment_of_the_path(world: World, path: str) -> None:
    answer = await world.client.get(path, headers=world.key)
    assert answer.status_code == 404


async def test_a_path_with_a_parameter_says_which_method_is_right(world: World) -> None:
    answer = await world.client.post("/failing/a", headers=world.key)
    assert answer.status_code == 405
    assert "expected GET" in answer.json()["detail"]


async def test_a_route_that_the_gateway_answers_itself_is_documented(world: World) -> None:
    document = (await world.client.get("/openapi.json")).json()["paths"]["/echo"]["post"]
    assert document["tags"] == ["test"]
    assert "requestBody" in document


async def test_a_fault_of_ours_tells_the_caller_nothing_and_the_log_no_message(
    world: World,
) -> None:
    answer = await world.client.post("/broken", headers=world.key)
    assert answer.status_code == 500
    logged = next(line for line in world.lines() if line["event"] == "fault")
    assert logged["error"] == "KeyError"
    assert "_broken" in str(logged["trace"])
    assert "4711" not in answer.text + json.dumps(world.lines())


async def test_requests_are_counted_by_route_and_status(world: World) -> None:
    await world.client.post("/echo", headers=world.key)
    await world.client.post("/echo")
    text = world.meter.text()
    assert 'forewarn_requests_total{route="/echo",status="200"} 1.0' in text
    assert 'forewarn_requests_total{route="/echo",status="401"} 1.0' in text
    await world.client.get("/failing/user-4711", headers=world.key)
    text = world.meter.text()
    assert 'forewarn_requests_total{route="/failing/{name}",status="500"} 1.0' in text
    assert "4711" not in text


async def test_one_answer_in_eight_is_timed_by_route(world: World) -> None:
    for _ in range(17):
        await world.client.post("/echo", headers=world.key)
    assert 'forewarn_request_ms_count{route="/echo"} 3.0' in world.meter.text()


async def test_health_and_documentation_need_no_key_and_no_network(world: World) -> None:
    assert (await world.client.get("/healthz")).json() == {"status": "alive"}
    assert (await world.client.get("/readyz")).json()["status"] == "ready"
    page = (await world.client.get("/docs")).text
    assert not re.search(r"(src|href)=.?(https?:)?//", page)
    script = await world.client.get("/static-offline-docs/swagger-ui-bundle.js")
    assert script.status_code == 200


async def test_a_part_that_is_out_degrades_and_a_vital_one_stops() -> None:
    async def out() -> Health:
        raise ConnectionError("no route to postgresql://jane:secret@db/records")

    async def failed_part() -> Health:
        return Health(False, {"error": "gone"}, required=True)

    readiness = HealthChecks({"store": out, "engine": well})
    status, body = await readiness.report()
    assert (status, body["status"], body["out"]) == (200, "degraded", ["store"])
    assert body["parts"] == {"store": {"ok": False}, "engine": {"ok": True}}
    _, detailed = await readiness.details()
    assert detailed["parts"]["store"]["error"] == (
        "ConnectionError: no route to postgresql://***@db/records"
    )
    status, body = await HealthChecks({"engine": failed_part}).report()
    assert (status, body["status"]) == (503, "out")
