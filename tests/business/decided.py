"""Decisions and labels of each system as a service records them, drawn at random."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from lib.maintenance.outcomes import FAILURE
from lib.moderation.outcomes import packaged_policies
from lib.records import Decision, Fact
from lib.records.decision_table import LABEL_SCHEMA, decision_table, label_table
from tests.records.conftest import NOVEMBER, decision, fact

DAY = 86_400_000_000
HOUR = 3_600_000_000
START = NOVEMBER - 322 * DAY
"""2026-01-05T10:15:00Z: what follows it for months is past."""


def payments(draw: random.Random, count: int, days: int = 20) -> list[Decision]:
    """Payments of few customers."""
    rows = []
    for number in range(count):
        at = START + draw.randrange(days * DAY)
        amount = draw.randrange(1, 200_000)
        rows.append(
            decision(
                f"t{number}",
                entities={"user_id": f"u{draw.randrange(9)}", "merchant_id": "m"},
                event_time=at,
                received_at=at,
                decided_at=at,
                decision=draw.choice(["APPROVE", "APPROVE", "REVIEW", "DECLINE"]),
                score=draw.random(),
                latency_ms=draw.uniform(1, 30),
                request={
                    "amount_minor": amount,
                    "payment_method": draw.choice(["card", "wallet"]),
                    "currency": "EUR",
                },
            )
        )
    return rows


def fraud_labels(draw: random.Random, rows: list[Decision]) -> list[Fact]:
    """Labels of some payments, some withdrawn, some of payments that nobody decided about."""
    facts = []
    for row in rows:
        for _ in range(draw.choice([0, 0, 1, 2])):
            at = row.event_time + draw.randrange(12 * DAY)
            facts.append(
                fact(row.subject_id, value=draw.random() < 0.7, observed_at=at, received_at=at)
            )
    return [*facts, fact("stranger")]


def predictions(draw: random.Random, count: int, days: int = 60) -> list[Decision]:
    """Predictions of few machines."""
    rows = []
    for number in range(count):
        at = START + draw.randrange(days * DAY)
        decided = draw.choice(["MONITOR", "MONITOR", "SERVICE", "INSPECT", "STOP"])
        rows.append(
            decision(
                f"p{number}",
                system="maintenance",
                entities={"machine_id": f"m{draw.randrange(4)}"},
                event_time=at,
                received_at=at,
                decided_at=at,
                decision=decided,
                score=draw.random(),
                answer={"likely_mode": draw.choice(["bearing", "seal"])},
            )
        )
    return rows


def failures(draw: random.Random, machines: int = 4, days: int = 70) -> list[Fact]:
    """Failures of machines, days apart."""
    return [
        event("maintenance", FAILURE, f"m{machine}", START + draw.randrange(days * DAY))
        for machine in range(machines + 1)
        for _ in range(draw.randrange(4))
    ]


def scores(draw: random.Random, count: int, days: int = 100) -> list[Decision]:
    """Scores of few customers."""
    rows = []
    for number in range(count):
        at = START + draw.randrange(days * DAY)
        decided = draw.choice(["MONITOR", "MONITOR", "CONTACT", "ACT_NOW", "LEAVING"])
        rows.append(
            decision(
                f"s{number}",
                system="churn",
                entities={"customer_id": f"c{draw.randrange(6)}"},
                event_time=at,
                received_at=at,
                decided_at=at,
                decision=decided,
                score=draw.random(),
                features={"mrr": draw.choice([float("nan"), 100.0, 2_500.0]), "segment_code": 1.0},
            )
        )
    return rows


def notices(draw: random.Random, customers: int = 6, days: int = 160) -> list[Fact]:
    """Notices of some customers, in two kinds of labels."""
    return [
        event(
            "churn", draw.choice(["notice", "left"]), f"c{customer}",
            START + draw.randrange(days * DAY),
        )
        for customer in range(customers)
        if draw.random() < 0.6
    ]  # fmt: skip


def posts(draw: random.Random, count: int, days: int = 30) -> list[Decision]:
    """Posts of few authors."""
    rows = []
    policies = packaged_policies().ids
    for number in range(count):
        at = START + draw.randrange(days * DAY)
        rows.append(
            decision(
                f"p{number}",
                system="moderation",
                entities={"author_id": f"a{draw.randrange(9)}"},
                event_time=at,
                received_at=at,
                decided_at=at,
                decision=draw.choice(["ALLOW", "ALLOW", "REVIEW", "REMOVE", "PENDING"]),
                score=draw.random(),
                request={"reach": draw.choice([0, 1000, 7000]), "text": "x", "language": "en"},
                answer={"policy": draw.choice([None, *policies])},
            )
        )
    return rows


def review_labels(draw: random.Random, rows: list[Decision]) -> pa.Table:
    """What reviewers said of some posts about some policies."""
    policies = packaged_policies().ids
    labels = [
        {
            "subject_id": row.subject_id,
            "kind": policy,
            "value": draw.random() < 0.4,
            "observed_at": (at := row.event_time + draw.randrange(20 * DAY)),
            "received_at": at,
            "source": "single",
        }
        for row in rows
        if draw.random() < 0.5
        for policy in draw.sample(policies, 2)
    ]
    return pa.Table.from_pylist(labels, LABEL_SCHEMA)


def event(system: str, kind: str, entity: str, at: int, **changes: Any) -> Fact:
    """A fact about an entity at a time."""
    fields = {"system": system, "kind": kind, "observed_at": at, "received_at": at, **changes}
    return fact(entity, **fields)


def tables(rows: list[Decision], facts: list[Fact], entity: str) -> tuple[pa.Table, pa.Table]:
    """Both as the tables that outcomes are made of."""
    return decision_table(rows, entity), label_table(facts)


def text(time_us: int) -> str:
    """A time in ISO 8601."""
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat()


def moved(row: Decision, at: int, **changes: Any) -> Decision:
    """The decision as one of another time."""
    return replace(row, event_time=at, received_at=at, decided_at=at, **changes)
