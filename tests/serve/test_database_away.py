"""Every route of every system while the database is away: an answer, or a 503 that says when."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from lib.records.systems import SYSTEMS
from serve.churn import routes as churn_routes
from serve.fraud import routes as fraud_routes
from serve.maintenance import routes as maintenance_routes
from serve.moderation import routes as moderation_routes
from tests.serve import churn_app, maintenance_app, moderation_app
from tests.serve.conftest import Start
from tests.serve.factories import label, payment

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
AWAY = "postgresql+psycopg://nobody@127.0.0.1:1/records"
NOON = "2026-11-27T12:00:00Z"
LEASE = {"reviewer": "ann", "token": 1}
Bodies = Mapping[tuple[str, str], Any]

ITEM = "/review/items/{item_id}"
ITEMS: Bodies = {
    ("post", f"{ITEM}/claim"): {"reviewer": "ann"},
    ("post", f"{ITEM}/renew"): LEASE,
    ("post", f"{ITEM}/release"): LEASE,
    ("post", f"{ITEM}/undo"): LEASE,
    ("post", f"{ITEM}/snooze"): {**LEASE, "until": "2027-01-01T00:00:00Z"},
    ("post", f"{ITEM}/assign"): {"reviewer": "ann", "assignee": "bob"},
    ("post", f"{ITEM}/escalate"): LEASE,
    ("post", f"{ITEM}/decide"): {**LEASE, "verdicts": {"hate": True}},
    ("post", "/review/claim"): {"reviewer": "ann"},
    ("post", "/review/golden"): {
        "reviewer": "ann",
        "answers": [{"subject_id": "p1", "verdicts": {"hate": True}}],
    },
    ("get", "/review/figures"): None,
}
STEP = {"by": "ann", "reason": "a wave of card testing"}
RULES: Bodies = {
    ("get", "/rules"): None,
    ("get", "/rules/versions/{number}"): None,
    ("post", "/rules/validate"): {"text": "version: 2"},
    ("post", "/rules/versions"): {**STEP, "text": "version: 2"},
    ("post", "/rules/activate"): {**STEP, "version": None},
    ("post", "/rules/{rule_id}/status"): {**STEP, "status": "off"},
}
SUBJECT = "/review/subjects/{subject_id}"
QUEUE: Bodies = {
    **ITEMS,
    ("get", f"{SUBJECT}/history"): None,
    ("post", f"{SUBJECT}/notes"): {"reviewer": "ann", "note": "called the customer"},
    ("post", f"{SUBJECT}/refer"): {"reviewer": "ann", "case_id": "c1"},
    ("post", "/review/statements"): {
        "reviewer": "ann",
        "statement_id": "s1",
        "subject_ids": ["t1"],
        "verdicts": {"fraud": True},
    },
}
MODERATION: Bodies = {
    **ITEMS,
    ("post", "/posts"): {"post_id": "p1", "author_id": "ann", "text": "hello there"},
    ("get", "/posts/{post_id}"): None,
    ("get", "/posts/{post_id}/history"): None,
    ("get", "/posts/{post_id}/explanation"): None,
    ("post", "/appeals"): {"post_id": "p1", "author_id": "ann", "statement": "it was fine"},
    ("get", "/review/policies"): None,
    ("get", "/media/{digest}"): None,
}
FRAUD: Bodies = {
    **QUEUE,
    ("post", "/score_transaction"): payment(),
    ("post", "/labels"): [label("t1")],
    ("get", "/transactions/{transaction_id}"): None,
}
CHURN: Bodies = {
    **QUEUE,
    ("post", "/events"): {"churn": [{"customer_id": "c1", "event_time": NOON, "kind": "notice"}]},
    ("post", "/score"): {"customer_id": "c1"},
    ("get", "/customers/{customer_id}/health"): None,
    ("post", "/customers/{customer_id}/override"): {
        "score": 50,
        "author": "ann",
        "reason": "met them",
        "expires_at": "2027-06-01T00:00:00Z",
    },
    ("post", "/interventions/plan"): {"hours": 10, "budget": 100},
    ("get", "/interventions/plans/{plan_id}"): None,
    ("get", "/interventions/effects"): None,
    ("get", "/interventions/switch"): None,
    ("post", "/interventions/stop"): {"author": "ann", "reason": "wrong prices"},
    ("post", "/interventions/resume"): {"author": "ann", "reason": "corrected"},
    ("post", "/outcomes/withdraw"): {"intervention_id": "i1", "author": "ann"},
    ("post", "/outcomes"): [
        {"intervention_id": "i1", "left": True, "observed_at": "2021-01-01T00:00:00Z"}
    ],
}
MAINTENANCE: Bodies = {
    **QUEUE,
    ("post", "/readings"): {"machine_id": "m1", "readings": []},
    ("post", "/predict"): {"machine_id": "m1"},
    ("get", "/machines/{machine_id}"): None,
    ("post", "/schedules"): {},
    ("get", "/schedules/{schedule_id}"): None,
    ("post", "/machines/{machine_id}/inspect"): {"author": "ann"},
    ("post", "/machines/{machine_id}/notes"): {"author": "ann", "note": "it hums"},
    ("post", "/schedules/{schedule_id}/change"): {
        "action": "lock",
        "machine_id": "m1",
        "revision": 0,
        "author": "ann",
    },
    ("post", "/schedules/{schedule_id}/solve"): {"revision": 0, "author": "ann"},
    ("post", "/schedules/{schedule_id}/accept"): {"revision": 0, "author": "ann"},
    ("get", "/schedules/{schedule_id}/calendar.ics"): None,
    ("get", "/schedules/{schedule_id}/plan.csv"): None,
    ("post", "/work_orders/{order_id}/outcome"): {"result": "done", "finished_at": NOON},
}
Face = Callable[[Any], Any]


@asynccontextmanager
async def running(
    system: str, tmp_path: Path, start: Start
) -> AsyncIterator[tuple[Any, httpx.AsyncClient]]:
    if system == "fraud":
        async with start(records=AWAY) as app:
            yield app.service, app.client
    elif system == "moderation":
        registry = moderation_app.published(tmp_path / "registry")
        async with moderation_app.moderation(tmp_path / "m", registry, records=AWAY) as there:
            yield there.service, there.client
    elif system == "churn":
        async with churn_app.churn(tmp_path / "c", records=AWAY) as churn:
            yield churn.service, churn.client
    elif system == "maintenance":
        folder = tmp_path / "t"
        async with maintenance_app.maintenance(None, folder, records=AWAY) as plant:
            yield plant.service, plant.client
    else:
        raise KeyError(system)


ROUTES: dict[str, tuple[Bodies, Face, set[str]]] = {
    "fraud": (FRAUD, fraud_routes.build_gateway, {"/score_transaction"}),
    "moderation": (MODERATION, moderation_routes.build_gateway, {"/posts", "/review/policies"}),
    "churn": (CHURN, churn_routes.build_gateway, set()),
    "maintenance": (MAINTENANCE, maintenance_routes.build_gateway, set()),
}
"""By system: a body for each route, its gateway, and the routes that answer all the same."""


@pytest.mark.parametrize("system", SYSTEMS)
async def test_no_route_answers_500_without_the_database(
    tmp_path: Path, start: Start, system: str
) -> None:
    bodies, face, available = ROUTES[system]
    async with running(system, tmp_path, start) as (service, client):
        app: FastAPI = face(service).app
        declared = {
            (method, path) for path, item in app.openapi()["paths"].items() for method in item
        }
        declared = {
            route for route in declared if route[1] not in ("/healthz", "/readyz", "/status")
        }
        assert declared == {**bodies, **RULES}.keys(), "a route has no example here"
        answers = {}
        for (method, path), body in {**bodies, **RULES}.items():
            named = path.replace("{digest}", "0" * 64).replace("{number}", "2")
            named = named.replace("{", "").replace("}", "")
            content = None if body is None else json.dumps(body)
            answer = await client.request(method, f"/{system}{named}", content=content)
            answers[path] = (answer.status_code, answer.text[:200])
            if answer.status_code == 503:
                assert int(answer.headers["retry-after"]) >= 1, path
    assert all(status < 500 or status == 503 for status, _ in answers.values()), answers
    assert {path for path in available if answers[path][0] != 200} == set(), answers
    away = [path for path, (status, _) in answers.items() if status == 503]
    assert away, answers
