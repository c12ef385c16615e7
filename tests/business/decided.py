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


def drawn(
    draw: random.Random,
    system: str,
    count: int,
    days: int,
    entity: dict[str, int],
    names: list[str],
) -> list[Decision]:
    """Decisions of a system at times of some days, about so many entities."""
    ((column, most),) = entity.items()
    rows = []
    for number in range(count):
        at = START + draw.randrange(days * DAY)
        row = decision(
            f"{system[0]}{number}",
            system=system,
            entities={column: f"{column[0]}{draw.randrange(most)}"},
            decision=draw.choice(names),
            score=draw.random(),
        )
        rows.append(moved(row, at))
    return rows


def payments(draw: random.Random, count: int, days: int = 20) -> list[Decision]:
    """Payments of few customers."""
    rows = drawn(
        draw, "fraud", count, days, {"user_id": 9}, ["APPROVE", "APPROVE", "REVIEW", "DECLINE"]
    )
    return [
        replace(
            row, latency_ms=draw.uniform(1, 30),
            request={
                "amount_minor": draw.randrange(1, 200_000), "currency": "EUR",
                "payment_method": draw.choice(["card", "wallet"]),
            },
        )
        for row in rows
    ]  # fmt: skip


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
    names = ["MONITOR", "MONITOR", "SERVICE", "INSPECT", "STOP"]
    rows = drawn(draw, "maintenance", count, days, {"machine_id": 4}, names)
    return [replace(row, answer={"likely_mode": draw.choice(["bearing", "seal"])}) for row in rows]


def failures(draw: random.Random, machines: int = 4, days: int = 70) -> list[Fact]:
    """Failures of machines, days apart."""
    return [
        event("maintenance", FAILURE, f"m{machine}", START + draw.randrange(days * DAY))
        for machine in range(machines + 1)
        for _ in range(draw.randrange(4))
    ]


def scores(draw: random.Random, count: int, days: int = 100) -> list[Decision]:
    """Scores of few customers."""
    names = ["MONITOR", "MONITOR", "CONTACT", "ACT_NOW", "LEAVING"]
    rows = drawn(draw, "churn", count, days, {"customer_id": 6}, names)
    revenues = [float("nan"), 100.0, 2_500.0]
    return [
        replace(row, features={"mrr": draw.choice(revenues), "segment_code": 1.0}) for row in rows
    ]


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
    names = ["ALLOW", "ALLOW", "REVIEW", "REMOVE", "PENDING"]
    rows = drawn(draw, "moderation", count, days, {"author_id": 9}, names)
    policies = packaged_policies().ids
    return [
        replace(
            row, request={"reach": draw.choice([0, 1000, 7000]), "text": "x", "language": "en"},
            answer={"policy": draw.choice([None, *policies])},
        )
        for row in rows
    ]  # fmt: skip


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
