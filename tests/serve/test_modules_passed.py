"""One request of each system passes at most 14 modules of `serve/`, those in threads counted."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import serve
from serve.churn.routes import build_gateway as build_churn_gateway
from serve.fraud.routes import build_gateway as build_fraud_gateway
from serve.maintenance.routes import build_gateway as build_maintenance_gateway
from serve.moderation.routes import build_gateway as build_moderation_gateway
from tests.serve.application import iso
from tests.serve.churn_app import NOW, churn, stayers
from tests.serve.factories import SCORE, moment, payment
from tests.serve.loop_lag import Gateway, ask
from tests.serve.maintenance_app import MACHINES, maintenance, news
from tests.serve.moderation_app import POLICIES, harmless_picture, moderation, published, sent

pytestmark = pytest.mark.anyio
SECOND = 1_000_000
CHEAP_REVIEWS, COSTLY_REVIEWS = (
    POLICIES.replace("review: 1.5", f"review: {cost}") for cost in (0.001, 100)
)
MOST_MODULES = 14
FOLDER = f"{Path(serve.__path__[0])}/"
SHARED_CALLS = re.compile(r"(text|image|video)-answers_")
"""Names of threads whose calls several requests share, so that they run in no request's context."""
IS_TRACED: ContextVar[bool] = ContextVar("is_traced", default=False)
Modules = dict[str, str]


class ModuleTrace:
    """Notes in which modules of `serve/` Python functions are entered for a request.

    Those count that run in the request's context, in the event loop or in a thread, and those of
    calls that it shares with other requests.
    """

    def __init__(self) -> None:
        self._passed: Modules = {}
        self._is_on = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Threads that start meanwhile are traced, too."""

        def note(frame: FrameType, event: str, _: Any) -> None:
            file = frame.f_code.co_filename
            if not self._is_on or event != "call" or not file.startswith(FOLDER):
                return
            thread = threading.current_thread().name
            if IS_TRACED.get() or SHARED_CALLS.match(thread):
                function = f"{frame.f_code.co_qualname} [{thread}]"
                self._passed.setdefault(file.removeprefix(FOLDER), function)

        threading.setprofile(note)
        sys.setprofile(note)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    async def last(
        self, gateway: Gateway, token: str, path: str, bodies: Iterable[Any]
    ) -> tuple[Modules, dict[str, Any]]:
        """The modules that the last request passes, each with its first function; the answer."""
        *earlier, last = (json.dumps(body).encode() for body in bodies)
        for body in earlier:
            await ask(gateway, token, "POST", path, body)
        reset = IS_TRACED.set(True)
        self._passed, self._is_on = {}, True
        try:
            status, answer = await ask(gateway, token, "POST", path, last)
        finally:
            self._is_on = False
            IS_TRACED.reset(reset)
        assert status == 200, answer
        return self._passed, json.loads(answer)


@pytest.fixture
def trace() -> Iterator[ModuleTrace]:
    trace = ModuleTrace()
    with trace.installed():
        yield trace


def assert_few(modules: Modules) -> None:
    assert "framework/gateway.py" in modules
    assert len(modules) <= MOST_MODULES, modules


def token_of(app: Any) -> str:
    return app.client.headers["Authorization"].removeprefix("Bearer ")


async def test_a_payment_passes_few_modules(trace, start):
    async with start() as app:
        gateway = build_fraud_gateway(app.service)
        bodies = [payment(transaction_id=name, event_time=moment(-1)) for name in ("a", "b")]
        modules, answer = await trace.last(gateway, token_of(app), SCORE, bodies)
    assert answer["method"] == "model"
    assert_few(modules)


async def test_readings_and_predictions_pass_few_modules(trace, small_fleet, tmp_path, at):
    async with maintenance(small_fleet, tmp_path / "a", at) as app:
        gateway, token = build_maintenance_gateway(app.service), token_of(app)
        past = news(small_fleet, MACHINES[0])
        machine = {"machine_id": past["machine_id"]}
        sensors = past["readings"][-1]["sensors"]
        rows = [{"event_time": iso(at - k * SECOND), "sensors": sensors} for k in (2, 1)]
        bodies = [past, *({**machine, "readings": [row]} for row in rows)]
        reading, counts = await trace.last(gateway, token, "/maintenance/readings", bodies)
        prediction, answer = await trace.last(gateway, token, "/maintenance/predict", [machine] * 2)
    assert counts["machines"][0]["readings"] == 1
    assert answer["method"] == "model"
    assert_few(reading)
    assert_few(prediction)


async def test_events_and_scores_pass_few_modules(trace, tmp_path):
    (customer,) = stayers(1)
    use = {"customer_id": customer, "user_id": "u", "feature": "reports"}
    uses = [{"usage": [{**use, "event_time": iso(NOW - k * SECOND)}]} for k in (2, 1)]
    async with churn(tmp_path / "a") as app:
        gateway, token = build_churn_gateway(app.service), token_of(app)
        await app.tell([customer])
        event, counts = await trace.last(gateway, token, "/churn/events", uses)
        bodies = [{"customer_id": customer}] * 2
        score, answer = await trace.last(gateway, token, "/churn/score", bodies)
    assert counts["tables"]["usage"]["new"] == 1
    assert answer["method"] == "model"
    assert_few(event)
    assert_few(score)


@pytest.mark.parametrize(
    ("pictures", "policies", "decisions"),
    [
        (0, COSTLY_REVIEWS, {"ALLOW", "REMOVE"}),
        (1, COSTLY_REVIEWS, {"ALLOW", "REMOVE"}),
        (1, CHEAP_REVIEWS, {"REVIEW"}),
    ],
    ids=["text", "image", "review"],
)
async def test_posts_pass_few_modules(trace, tmp_path, pictures, policies, decisions):
    content = {"text": "a good day", "images": [sent(harmless_picture())] * pictures}
    bodies = [{"post_id": name, "author_id": "ann", **content} for name in ("a", "b")]
    async with moderation(tmp_path / "a", published(tmp_path), policies=policies) as app:
        gateway = build_moderation_gateway(app.service)
        modules, answer = await trace.last(gateway, token_of(app), "/moderation/posts", bodies)
    assert (answer["method"], answer["undecoded"]) == ("model", [])
    assert answer["decision"] in decisions
    assert_few(modules)
