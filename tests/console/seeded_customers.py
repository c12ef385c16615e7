"""Customers who were scored for a quarter, the plan of today, and what people did about them."""

from __future__ import annotations

from collections.abc import Callable

from lib.churn.health import COMPONENTS, band_of
from lib.churn.health_repository import HealthEntry, HealthRepository
from lib.churn.intervention_repository import (
    Intervention,
    InterventionOutcome,
    InterventionRepository,
    StoredPlan,
)
from lib.churn.overrides import set_override
from lib.records import Records
from tests.records.conftest import NOVEMBER, SECOND, decision, keep_decisions

DAY = 86_400 * SECOND
CUSTOMERS, WEEKS = 60, 12
SEGMENTS = ("enterprise", "mid-market", "small business", None)
PLAN, CONTACTS = "plan-today", 14
HELD_OUT = 3
"""Place of the contact that nobody is to see."""
KEY = "0123456789ab"
Ids = Callable[[int], str]


def customer_id(ids: Ids, number: int) -> str:
    """The id of a customer; no subject of a decision has it."""
    return f"c{ids(number)}"


def seed_customers(url: str, ids: Ids) -> None:
    """Fill the records of the churn system, which are migrated.

    Args:
        url: of the records.
        ids: ids by their number, as callers might choose them.
    """
    with HealthRepository(url) as health:
        health.insert_entries(
            _entry(ids, number, week) for number in range(CUSTOMERS) for week in range(WEEKS)
        )
        set_override(
            health,
            customer_id(ids, 5),
            80.0,
            author="bob",
            key_id=KEY,
            reason=f"their board renewed; told by {ids(5)}",
            now=NOVEMBER - DAY,
            until=NOVEMBER + 20 * DAY,
        )
    with InterventionRepository(url) as book:
        _plans(book, ids)
    with Records(url) as records:
        keep_decisions(records, [_decision(ids, number) for number in range(4)])


def _entry(ids: Ids, number: int, week: int) -> HealthEntry:
    """Customers of a segment get worse or better together, and each has a place of its own."""
    trend = (-1.5, 0.4, 1.0, 0.0)[number % 4] * week
    score = min(99.0, max(1.0, (number * 37) % 100 + trend))
    raising = {"words": f"open tickets: {number % 7}, usually 1; raises the risk", "effect": 0.8}
    lowering = {"words": "last survey score (0 to 10): 9; lowers the risk", "effect": -0.3}
    return HealthEntry(
        customer_id=customer_id(ids, number),
        at=NOVEMBER - (WEEKS - 1 - week) * 7 * DAY,
        created_at=NOVEMBER,
        chance=0.6 * (1.0 - score / 100.0),
        score=score,
        band=band_of(score),
        components={
            name: None if name == "sentiment" and number % 5 == 0 else (number * 13 + index) % 100
            for index, name in enumerate(COMPONENTS)
        },
        reasons=[raising, lowering, {"words": f"note of {ids(number)}", "effect": 0.1}],
        model_version="20261101T000000Z-0a1b2c3d",
        segment=SEGMENTS[number % 4],
        mrr=None if number % 9 == 0 else 150.0 + 40.0 * number,
    )


def _plans(book: InterventionRepository, ids: Ids) -> None:
    for name, at in (("plan-before", NOVEMBER - 2 * DAY), (PLAN, NOVEMBER + SECOND)):
        plan = StoredPlan(
            id=name,
            planned_at=at - SECOND,
            created_at=at,
            request={"hours": 40.0, "budget": 4000.0, "most": None, "customers": None},
            summary={
                "considered": CUSTOMERS,
                "value": 21_500.0,
                "cost": 3_950.0,
                "hours": 31.5,
                "other_ways": {"do nothing": 0.0, "highest risk first": 17_200.0, "random": 9e3},
                "prices": {"budget": 3.25, "playbook executive_sponsor": 410.0},
                "words": {
                    "success_call": "call by the customer-success manager",
                    "executive_sponsor": f"an executive of ours meets theirs; {ids(0)}",
                },
                "effects": {},
                "overridden": {customer_id(ids, 5): 80.0},
                "not_considered": {},
                "enabled": True,
                "model_version": "v1",
            },
        )
        count = CONTACTS if name == PLAN else 4
        book.insert_plan(plan, [_contact(ids, name, at, number) for number in range(count)])
    book.insert_outcomes(
        [
            _outcome("plan-before-1", True, "ann", f"spoke to {ids(1)}"),
            _outcome("plan-before-2", False, "bob", None),
        ]
    )


def _contact(ids: Ids, plan_id: str, at: int, number: int) -> Intervention:
    return Intervention(
        id=f"{plan_id}-{number}",
        plan_id=plan_id,
        customer_id=customer_id(ids, number),
        playbook="executive_sponsor" if number % 3 == 0 else "success_call",
        planned_at=at - SECOND,
        held_out=number == HELD_OUT,
        propensity=0.9,
        chance=0.4,
        expected_fall=0.06,
        value=4_000.0 - 250.0 * number,
        cost=500.0 if number % 3 == 0 else 60.0,
        hours=6.0 if number % 3 == 0 else 1.5,
    )


def _outcome(name: str, value: bool, author: str, note: str | None) -> InterventionOutcome:
    return InterventionOutcome(
        intervention_id=name,
        kind="delivered",
        value=value,
        observed_at=NOVEMBER - DAY,
        received_at=NOVEMBER - DAY,
        note=note,
        author=author,
        key_id=KEY,
    )


def _decision(ids: Ids, number: int) -> object:
    at = NOVEMBER - (19 - number) * DAY
    name = customer_id(ids, 1)
    return decision(
        f"{name}:{at}",
        system="churn",
        decision="CONTACT",
        entities={"customer_id": name},
        event_time=at,
        received_at=at,
        decided_at=at,
    )
