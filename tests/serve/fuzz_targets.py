"""Every application as a target, with one thing of each kind in them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tests.maintenance.small_fleet import week
from tests.serve.application import iso
from tests.serve.churn_app import NOW, churn
from tests.serve.conftest import Models, new_workspace, starting
from tests.serve.factories import payment
from tests.serve.fuzzing import Target, path_of, target
from tests.serve.maintenance_app import maintenance
from tests.serve.moderation_app import moderation, png, published, sent

HOUR = 3_600_000_000  # microseconds
SLASHED = "order/2026/77"
Prepared = tuple[dict[tuple[str, str], Any], dict[str, str]]


@contextmanager
def fuzz_target(system: str, folder: Path, records: str, models: Models) -> Iterator[Target]:
    """An application in a folder.

    Args:
        system: which.
        folder: empty.
        records: URL of its database.
        models: of the fraud application.
    """
    folder.mkdir(parents=True, exist_ok=True)
    starters = {
        "fraud": lambda: starting(new_workspace(folder, models), records=records),
        "maintenance": lambda: maintenance(None, folder, NOW, records=records),
        "churn": lambda: churn(folder, NOW, records=records),
        "moderation": lambda: moderation(folder, published(folder), records=records),
    }
    with target(starters[system], f"/{system}", _PREPARE[system]) as application:
        yield application


LEASE = {"reviewer": "bob", "token": 1}
ITEM = "/review/items/{item_id}"
_STEP = {"by": "bob", "reason": "a wave of card testing"}
_RULES = "version: 2\nrules: []\n"


def _of_queue(item: str, verdicts: dict[str, bool], subject: str) -> Prepared:
    """Requests about an item, and where it is."""
    answer = {"subject_id": subject, "verdicts": verdicts}
    snoozed_until = iso(time.time_ns() // 1000 + HOUR)
    return {
        ("POST", "/review/claim"): {"reviewer": "bob", "most": 1, "languages": ["de"]},
        ("POST", f"{ITEM}/renew"): LEASE,
        ("POST", f"{ITEM}/release"): LEASE,
        ("POST", f"{ITEM}/undo"): LEASE,
        ("POST", f"{ITEM}/snooze"): {**LEASE, "until": snoozed_until, "note": "later"},
        ("POST", f"{ITEM}/assign"): {**LEASE, "assignee": "eve", "note": "hers"},
        ("POST", f"{ITEM}/escalate"): {**LEASE, "note": "odd"},
        ("POST", f"{ITEM}/decide"): {**LEASE, "verdicts": verdicts, "note": "seen"},
        ("POST", "/review/golden"): {"reviewer": "bob", "answers": [answer]},
        ("POST", "/rules/validate"): {"text": _RULES},
        ("POST", "/rules/versions"): {**_STEP, "text": _RULES},
        ("POST", "/rules/activate"): {**_STEP, "version": 2},
        ("POST", "/rules/{rule_id}/status"): {**_STEP, "status": "shadow"},
    }, {"item_id": path_of(item), "subject_id": path_of(subject)}


async def _reviewed(app: Any, system: str, question: str) -> Prepared:
    """Requests about the item of a stored decision, if it has one."""
    await app.service.decision_store.drain()
    await app.service.admission.run_once()
    request = {"reviewer": "bob"}
    answer = await app.client.post(f"/{system}/review/claim", json=request)
    items = [(claim["item_id"], claim["subject_id"]) for claim in answer.json()["claims"]]
    item, subject = items[0] if items else ("none", "none")
    return _of_queue(item, {question: False}, subject)


async def _fraud(app: Any) -> Prepared:
    sent_payment = payment(transaction_id=SLASHED)
    await app.client.post("/fraud/score_transaction", json=sent_payment)
    label = {
        "transaction_id": SLASHED,
        "is_fraud": True,
        "declined": False,
        "observed_at": sent_payment["event_time"],
        "source": "chargeback",
    }
    bodies, values = await _reviewed(app, "fraud", "fraud")
    return {
        **bodies,
        ("POST", "/score_transaction"): payment(),
        ("POST", "/labels"): [label, label],
    }, {**values, "transaction_id": path_of(SLASHED)}


async def _maintenance(app: Any) -> Prepared:
    at = iso(NOW)
    reading = {"event_time": at, "sensors": {}}
    features = app.service.features
    reading["sensors"] = dict.fromkeys(list(features.sensor_names)[:3], 1.5)
    news = {
        "machine_id": "m1",
        "installed_at": iso(NOW - 10 * 24 * HOUR),
        "readings": [reading],
        "errors": [],
        "services": [{"event_time": at, "component": None, "maintenance_type": "scheduled"}],
        "waveforms": [],
    }
    await app.client.post("/maintenance/readings", json=news)
    planned = {
        "machines": [{"machine_id": "m1", "plant": "p", "line": "l", "criticality": 0.5}],
        "week": week(NOW),
        "at": at,
        "gap": 0.5,
        "seconds": 0.5,
    }
    outcome = {"result": "done", "event_time": at, "cost": 1.0, "note": "ok", "parts_replaced": "x"}
    bodies, values = await _reviewed(app, "maintenance", "fault")
    decided = {"revision": 0, "author": "bob", "reason": "rain", "change_id": "c1"}
    moved = {**decided, "action": "move", "machine_id": "m1", "component": "seal", "start": at}
    return {
        **bodies,
        ("POST", "/machines/{machine_id}/inspect"): {"author": "bob", "note": "look"},
        ("POST", "/machines/{machine_id}/notes"): {"author": "bob", "note": "it hums"},
        ("POST", "/schedules/{schedule_id}/change"): {**moved, "preview": False},
        ("POST", "/schedules/{schedule_id}/solve"): {**decided, "gap": 0.5, "seconds": 0.5},
        ("POST", "/schedules/{schedule_id}/accept"): decided,
        ("POST", "/readings"): [news],
        ("POST", "/predict"): {"machine_id": "m1", "at": at},
        ("POST", "/schedules"): planned,
        ("POST", "/work_orders/{order_id}/outcome"): outcome,
    }, {**values, "machine_id": "m1"}


async def _churn(app: Any) -> Prepared:
    at = iso(NOW - HOUR)
    customer = {
        "customer_id": SLASHED,
        "event_time": at,
        "contract_start": iso(NOW - 100 * 24 * HOUR),
        "renewal_at": iso(NOW + 100 * 24 * HOUR),
        "seats": 3,
        "mrr_minor": 1000,
    }
    events = {"customers": [customer], "usage": [{"customer_id": SLASHED, "event_time": at}]}
    await app.client.post("/churn/events", json={"customers": [customer]})
    override = {"score": 5, "author": "ann", "reason": "met", "expires_at": iso(NOW + HOUR)}
    plan = {"plan_id": "p", "at": at, "hours": 1, "budget": 9, "most": 1, "customers": [SLASHED]}
    outcome = {"intervention_id": "p-0", "delivered": True, "observed_at": at, "note": "n"}
    bodies, values = await _reviewed(app, "churn", "at_risk")
    return {
        **bodies,
        ("POST", "/events"): events,
        ("POST", "/score"): {"customer_id": SLASHED, "at": iso(NOW)},
        ("POST", "/customers/{customer_id}/override"): override,
        ("POST", "/interventions/plan"): plan,
        ("POST", "/interventions/stop"): {"author": "ann", "reason": "wrong prices"},
        ("POST", "/interventions/resume"): {"author": "ann", "reason": "corrected"},
        ("POST", "/outcomes"): [outcome],
        ("POST", "/outcomes/withdraw"): {"intervention_id": "p-0", "author": "ann"},
    }, {**values, "customer_id": path_of(SLASHED), "plan_id": "p"}


async def _moderation(app: Any) -> Prepared:
    picture = sent(png(np.zeros((16, 16, 3), np.uint8)))
    post = {
        "post_id": SLASHED,
        "author_id": "ann",
        "created_at": iso(app.clock.us),
        "text": "doubtfulword",
        "language": "de",
        "reports": 1,
        "reach": 2,
    }
    await app.client.post("/moderation/posts", json={**post, "images": [picture]})
    await app.settled()
    claim = {"reviewer": "bob", "most": 1, "languages": ["de"]}
    claimed = (await app.client.post("/moderation/review/claim", json=claim)).json()["claims"]
    item = claimed[0]["item_id"] if claimed else "none"
    verdicts = dict.fromkeys(claimed[0]["policies"], False) if claimed else {"hate": False}
    bodies, values = _of_queue(item, verdicts, SLASHED)
    return {
        ("POST", "/posts"): {**post, "post_id": "other", "images": []},
        ("POST", "/appeals"): {"post_id": SLASHED, "author_id": "ann", "statement": "why"},
        **bodies,
    }, {**values, "post_id": path_of(SLASHED)}


_PREPARE = {
    "fraud": _fraud,
    "maintenance": _maintenance,
    "churn": _churn,
    "moderation": _moderation,
}
