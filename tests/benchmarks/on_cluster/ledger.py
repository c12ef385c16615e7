"""What was sent, what was answered, and whether the service remembers it the same way."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np

from lib.fraud.features import FRAUD
from lib.fraud.model.scoring import Scorer
from lib.records import Decision, Records
from lib.registry import Registry, read_artifact
from tests.benchmarks.fraud_latency import HOST
from tests.benchmarks.latency.load import Answer
from tests.benchmarks.on_cluster.served import Served
from tests.records.conftest import count_decisions

_PATIENCE_SECONDS = 90.0
_AT_ONCE = 8
_PROBES = 3
_TOLERANCE = 1e-6
_COUNT = "txn_count_by_user_30d"
_PATH = "/fraud/score_transaction"
Body = dict[str, Any]


@dataclass
class Ledger:
    """Payments by id, as sent, and the answers that came.

    Attributes:
        requests: bodies as sent.
        answers: bodies as answered, of those that were.
    """

    requests: dict[str, Body] = field(default_factory=dict)
    answers: dict[str, bytes] = field(default_factory=dict)

    def heard(self, request: bytes, answer: Answer | None) -> None:
        """One request and its answer."""
        body = json.loads(request[request.index(b"\r\n\r\n") + 4 :])
        self.requests[body["transaction_id"]] = body
        if answer is not None and answer.status == 200:
            self.answers[body["transaction_id"]] = answer.body

    @property
    def unanswered(self) -> int:
        """Payments without an answer."""
        return len(self.requests) - len(self.answers)

    async def send_again(self, app: Served) -> int:
        """Sends what was not answered until it is; how many never were."""
        missing = [body for name, body in self.requests.items() if name not in self.answers]
        for body, answer in zip(missing, await sent(app, missing), strict=True):
            if answer is not None:
                self.answers[body["transaction_id"]] = answer
        return self.unanswered


async def sent(app: Served, bodies: list[Body]) -> list[bytes | None]:
    """The answers; None for a payment that was not answered for a minute and a half."""
    headers = {"Authorization": f"Bearer {app.token}"}
    gate = asyncio.Semaphore(_AT_ONCE)

    async def until_answered(client: httpx.AsyncClient, body: Body) -> bytes | None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        async with gate:
            while time.monotonic() < deadline:
                try:
                    answer = await client.post(_PATH, json=body)
                except httpx.TransportError:
                    answer = None
                if answer is not None and answer.status_code == 200:
                    return answer.content
                await asyncio.sleep(0.2)
        return None

    url = f"http://{HOST}:{app.server.port}"
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as client:
        return list(await asyncio.gather(*(until_answered(client, body) for body in bodies)))


async def wrong_counts(app: Served, ledger: Ledger) -> dict[str, int]:
    """Payments that a customer's count lacks or has twice, as one more payment of each sees it."""
    counts = Counter(body["user_id"] for body in ledger.requests.values())
    latest = {body["user_id"]: body for body in ledger.requests.values()}
    lost = doubled = 0
    with Records(app.records) as records:
        await _drained(records, counts.total())
        waiting = list(counts)
        for attempt in range(_PROBES if waiting else 0):
            now = datetime.now(UTC).isoformat()
            probes = [
                {**latest[user], "transaction_id": f"probe-{attempt}-{number}", "event_time": now}
                for number, user in enumerate(waiting)
            ]
            await sent(app, probes)
            expected = dict(counts)
            counts.update(waiting)
            await _drained(records, counts.total())
            waiting = []
            for probe in probes:
                user = probe["user_id"]
                decision = records.decision("fraud", probe["transaction_id"])
                if decision is None or _COUNT not in decision.features:
                    waiting.append(user)  # a fallback answered, and says nothing of the past
                    continue
                difference = int(decision.features[_COUNT]) - expected[user]
                lost, doubled = lost + max(0, -difference), doubled + max(0, difference)
    return {
        "customers": len(counts),
        "unseen_customers": len(waiting),
        "lost_updates": lost,
        "doubled_updates": doubled,
    }


async def _drained(records: Records, decisions: int) -> None:
    """Returns once all is in the database and every fallback was scored again."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if count_decisions(records, "fraud") >= decisions and not records.rescore_backlog("fraud"):
            return
        await asyncio.sleep(0.5)


def wrong_answers(app: Served, ledger: Ledger) -> dict[str, int]:
    """Answers that are not on record as they were given, or that their model does not give."""
    scorers = {
        version: Scorer.load(
            read_artifact(
                Registry(app.registry).fetch("fraud", version, app.folder / "checked"), FRAUD
            )
        )
        for version in Registry(app.registry).versions("fraud")
    }
    wrong: Counter[str] = Counter(unrecorded=0, other_record=0, other_score=0, fallbacks=0)
    with Records(app.records) as records:
        for name, body in ledger.answers.items():
            decision = records.decision("fraud", name)
            if decision is None:
                wrong["unrecorded"] += 1
                continue
            answer = json.loads(body)
            wrong["other_record"] += answer != dict(decision.answer)
            wrong["fallbacks"] += answer["method"] == "fallback"
            wrong["other_score"] += _differs(answer, decision, scorers)
    fallbacks = wrong.pop("fallbacks")
    return {"wrong_answers": wrong.total(), **wrong, "answered_by_fallback": fallbacks}


def _differs(answer: Body, decision: Decision, scorers: dict[str, Scorer]) -> bool:
    """Whether the model that is named gives another score on the features that are recorded."""
    if answer["fraud_score"] is None or answer["model_version"] is None:
        return False
    values = np.array([decision.features[name] for name in FRAUD.names], dtype=np.float32)
    expected = float(scorers[answer["model_version"]].score(values[None, :])[0])
    return abs(expected - answer["fraud_score"]) > _TOLERANCE
