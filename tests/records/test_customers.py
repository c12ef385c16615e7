"""Health, overrides and interventions keep their promises on SQLite and on PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from lib.churn.health_repository import HealthRepository, Override
from lib.churn.intervention_repository import (
    ContradictedOutcomeError,
    InterventionOutcome,
    InterventionRepository,
    StalePlanError,
    StoredPlan,
    UnknownInterventionError,
)
from lib.records import RecordsError
from tests.records.conftest import NOVEMBER, SECOND
from tests.records.customer_factories import health_entry, intervention


@pytest.fixture
def health(opened):
    return opened(HealthRepository)


@pytest.fixture
def book(opened):
    return opened(InterventionRepository)


def override(number: int, **changes) -> Override:
    fields = {
        "id": f"o{number}",
        "customer_id": "c1",
        "score": 90.0,
        "author": "ann",
        "reason": "met",
        "key_id": "k",
        "created_at": NOVEMBER + number * SECOND,
        "expires_at": NOVEMBER + (number + 10) * SECOND,
    }
    return Override(**(fields | changes))


def outcome(**changes) -> InterventionOutcome:
    fields = {
        "intervention_id": "p-1",
        "kind": "delivered",
        "value": True,
        "observed_at": NOVEMBER,
        "received_at": NOVEMBER + SECOND,
        "note": "went well",
    }
    return InterventionOutcome(**(fields | changes))


PLAN = StoredPlan(
    id="p", planned_at=NOVEMBER, created_at=NOVEMBER, request={"hours": 8}, summary={"value": 1.5}
)


def test_history_comes_newest_first_and_the_first_entry_of_a_moment_stays(health):
    assert health.insert_entries([health_entry(1), health_entry(3), health_entry(2)]) == 3
    assert (
        health.insert_entries([health_entry(3, score=1.0), health_entry(4, customer_id="c2")]) == 1
    )
    assert health.list_entries("c1") == [health_entry(3), health_entry(2), health_entry(1)]
    assert health.list_entries("c1", limit=1) == [health_entry(3)]
    assert health.list_entries("nobody") == []


def test_overrides_are_listed_from_the_newest(health):
    health.insert_override(override(1))
    health.insert_override(override(2, score=20.0))
    health.insert_override(override(5, score=None, reason="wrong customer"))
    assert [entry.id for entry in health.list_overrides("c1")] == ["o5", "o2", "o1"]


def test_an_override_that_ends_before_it_begins_is_refused():
    with pytest.raises(RecordsError, match="expires_at: expected after created_at"):
        override(1, expires_at=NOVEMBER)


def test_a_plan_is_kept_once_with_those_who_were_left_alone(book):
    assert book.insert_plan(PLAN, [intervention(1), intervention(2)])
    assert not book.insert_plan(replace(PLAN, summary={}), [intervention(3)])
    assert book.find_plan("p") == (PLAN, [intervention(2), intervention(1)])
    assert book.list_since(NOVEMBER) == [intervention(1), intervention(2)]
    assert book.list_since(NOVEMBER + 1) == []
    assert book.list_of_customer("c2") == [intervention(2)]


def test_outcomes_are_told_once_and_never_turned_round(book):
    book.insert_plan(PLAN, [intervention(1), intervention(2)])
    left = outcome(intervention_id="p-2", kind="left", value=False)
    assert book.insert_outcomes([outcome(), left]) == 2
    assert book.insert_outcomes([outcome(note=None), left]) == 0
    assert book.list_outcomes() == [outcome(), left]
    with pytest.raises(ContradictedOutcomeError, match="delivered was True"):
        book.insert_outcomes([outcome(kind="left"), outcome(value=False)])
    assert book.list_outcomes() == [outcome(), left]  # nothing of a refused batch stays


def test_what_is_not_there_is_said(book):
    with pytest.raises(UnknownInterventionError, match="no plan 'q' is stored"):
        book.find_plan("q")
    with pytest.raises(UnknownInterventionError, match="there is no intervention 'p-1'"):
        book.insert_outcomes([outcome()])


def test_two_who_keep_the_same_entries_in_opposite_order_do_not_wait_for_each_other(health):
    entries = [health_entry(number, customer_id=f"c{number % 50}") for number in range(2_000)]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(5):
            both = list(pool.map(health.insert_entries, (entries, entries[::-1])))
            assert sum(both) in (len(entries), 0)


def test_a_plan_made_beside_another_is_stale(book):
    first, second = replace(PLAN, id="a"), replace(PLAN, id="b")
    assert book.insert_plan(first, [intervention(1, id="a-1", plan_id="a")], past=[], since=0)
    with pytest.raises(StalePlanError):
        book.insert_plan(second, [intervention(1, id="b-1", plan_id="b")], past=[], since=0)
    past = book.list_since(0)
    assert book.insert_plan(second, [intervention(2, id="b-1", plan_id="b")], past=past, since=0)
    assert not book.insert_plan(second, [], past=past, since=0)


def test_of_plans_made_at_once_one_stands(book):
    def keep(number: int) -> bool:
        name = f"p{number}"
        try:
            return book.insert_plan(
                replace(PLAN, id=name),
                [intervention(1, id=f"{name}-1", plan_id=name)],
                past=[],
                since=0,
            )
        except StalePlanError:
            return False

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(keep, range(4))) == 1
