"""Health, overrides and interventions keep their promises on SQLite and on PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from alembic import command
from sqlalchemy import text

from lib.churn.customer_steps import CustomerStepRepository
from lib.churn.health_repository import HealthRepository, Override
from lib.churn.intervention_repository import (
    ContradictedOutcomeError,
    InterventionOutcome,
    InterventionRepository,
    StalePlanError,
    StoredPlan,
    UnknownInterventionError,
)
from lib.churn.intervention_switch import RepeatedSwitchError, SwitchUnchangedError
from lib.churn.interventions.outcome_labels import notice_labels
from lib.churn.overrides import LONGEST_US, ExpiryError, set_override
from lib.churn.standing_repository import MOST_FOLLOWED, StandingFilter, StandingRepository
from lib.records import Records, RecordsError
from lib.records.database import Database
from lib.records.migration import alembic_config
from lib.records.retention import Retention
from tests.records.conftest import NOVEMBER, SECOND, migrated
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


def test_of_a_customer_the_newest_override_is_in_force_until_it_expires_or_is_withdrawn(health):
    long = NOVEMBER + 100 * SECOND
    health.insert_override(override(1, customer_id="c1", expires_at=long))
    health.insert_override(override(2, customer_id="c1", score=20.0, expires_at=long))
    health.insert_override(override(3, customer_id="c2"))
    health.insert_override(override(4, customer_id="c3", expires_at=long))
    health.insert_override(override(5, customer_id="c3", score=None, expires_at=long))
    assert [entry.id for entry in health.list_in_force(NOVEMBER + 6 * SECOND)] == ["o3", "o2"]
    assert [entry.id for entry in health.list_in_force(NOVEMBER + 60 * SECOND)] == ["o2"]
    assert health.list_in_force(long) == []


def test_a_withdrawn_override_stays_withdrawn_when_the_withdrawal_expires(health):
    by = {"author": "ann", "key_id": "k", "reason": "met"}
    until = NOVEMBER + 100 * SECOND
    set_override(health, "c1", 90.0, **by, now=NOVEMBER, until=until)
    set_override(health, "c1", None, **by, now=NOVEMBER + 1, until=NOVEMBER + SECOND)
    assert health.list_in_force(NOVEMBER + 10 * SECOND) == []
    newest = health.list_overrides("c1")[0]
    assert (newest.score, newest.expires_at) == (None, until)
    steps = health.sharing(CustomerStepRepository).list_steps_of_customer("c1", 10)
    assert [step.action for step in steps] == ["override withdrawn", "overridden"]


def test_an_override_that_was_replaced_never_returns_when_records_age(health, url):
    health.insert_override(override(1, expires_at=NOVEMBER + 100 * SECOND))
    health.insert_override(override(2, score=20.0, expires_at=NOVEMBER + 30 * SECOND))
    health.insert_override(override(3, customer_id="c2", expires_at=NOVEMBER + 100 * SECOND))
    health.insert_override(override(60, customer_id="c2", score=None))
    now = NOVEMBER + 50 * SECOND
    assert [entry.id for entry in health.list_in_force(now)] == []
    for count_only in (True, False):
        with Retention(url, count_only=count_only) as retention:
            assert (
                retention.delete_health(NOVEMBER + 40 * SECOND).deleted == 3 + 2
            )  # steps, overrides
    assert health.list_in_force(now) == []
    assert [entry.id for entry in health.list_overrides("c2")] == ["o60", "o3"]


@pytest.mark.parametrize("until", [NOVEMBER, NOVEMBER + LONGEST_US + 1])
def test_an_override_expires_within_a_year(health, until):
    by = {"author": "ann", "key_id": "k", "reason": "met"}
    with pytest.raises(ExpiryError):
        set_override(health, "c1", 90.0, **by, now=NOVEMBER, until=until)


def test_a_customer_stands_where_its_newest_entry_put_it(health):
    standings = health.sharing(StandingRepository)
    entries = [health_entry(2, score=50.0, mrr=100.0, segment="smb"), health_entry(1, score=9.0)]
    health.insert_entries(entries)
    health.insert_entries([health_entry(0, score=1.0)])
    standing = standings.find_standing("c1")
    assert (standing.score, standing.segment) == (50.0, "smb")
    assert standing.revenue_at_risk == pytest.approx(0.25 * 100.0 * 12.0)
    standings.note_notices({"c1": NOVEMBER + 3 * SECOND, "unknown": NOVEMBER})
    assert standings.list_standings(StandingFilter(), "id", 10) == []
    assert len(standings.list_standings(StandingFilter(left=True), "id", 10)) == 1
    health.insert_entries([health_entry(4)])
    assert standings.find_standing("c1").noticed_at is None


def test_a_notice_that_is_sent_again_neither_counts_twice_nor_moves(health):
    standings, records = health.sharing(StandingRepository), health.sharing(Records)
    notices = [NOVEMBER + SECOND, NOVEMBER + 2 * SECOND]
    health.insert_entries([health_entry(0)])
    standings.note_notices({"c1": notices[1]})
    standings.note_notices({"c1": notices[0]})
    assert standings.find_standing("c1").noticed_at == notices[1]
    records.record_labels(notice_labels([("c1", at) for at in notices], NOVEMBER))
    health.insert_entries([health_entry(9)])
    standings.note_notices({"c1": notices[1]})
    assert standings.find_standing("c1").noticed_at is None
    standings.note_notices({"c1": NOVEMBER + 10 * SECOND})
    assert standings.find_standing("c1").noticed_at == NOVEMBER + 10 * SECOND


def test_standings_of_earlier_records_say_who_gave_notice(url_without_tables):
    rows = {
        # customer: when its health is of, was computed, the notice was observed, was received
        "before": (5, 6, 3, 4), "late": (5, 6, 3, 7), "after": (5, 6, 7, 8), "never": (5, 6, 0, 0),
    }  # fmt: skip
    database = Database(url_without_tables)
    with database.migrating() as connection:
        command.upgrade(alembic_config(connection), "0013")
        for name, (at, computed, observed, received) in rows.items():
            connection.execute(
                text(
                    "INSERT INTO customer_health (customer_id, at, created_at, band, chance, "
                    "score, components, reasons) "
                    "VALUES (:name, :at, :computed, 'red', 0.5, 9, '{}', '[]')"
                ),
                {"name": name, "at": NOVEMBER + at, "computed": NOVEMBER + computed},
            )
            fact = (
                "INSERT INTO facts (system, subject_id, kind, source, value, observed_at,"
                " received_at) VALUES ('churn', :name, :kind, 'event', true, :observed, :received)"
            )
            connection.execute(
                text(fact),
                {
                    "name": name, "kind": "notice" if observed else "left",
                    "observed": NOVEMBER + observed, "received": NOVEMBER + received,
                },
            )  # fmt: skip
    database.close()
    with migrated(StandingRepository(url_without_tables)) as standings:
        noticed = {name: standings.find_standing(name).noticed_at for name in rows}
    assert noticed == {
        "before": None, "late": NOVEMBER + 3, "after": NOVEMBER + 7, "never": None
    }  # fmt: skip


@pytest.mark.parametrize("order", ["risk", "health", "id"])
def test_customers_are_listed_in_parts_without_gap_or_repeat(health, order):
    standings = health.sharing(StandingRepository)
    health.insert_entries(
        health_entry(0, customer_id=f"c{number:02}", score=float(number % 4), mrr=float(number % 3))
        for number in range(25)
    )
    everybody = standings.list_standings(StandingFilter(), order, 100)
    parts, last = [], None
    while part := standings.list_standings(StandingFilter(), order, 7, last):
        parts += part
        last = part[-1]
    assert parts == everybody
    assert len(everybody) == 25
    measures = {
        "risk": [-standing.revenue_at_risk for standing in everybody],
        "health": [standing.score for standing in everybody],
        "id": [standing.customer_id for standing in everybody],
    }
    assert measures[order] == sorted(measures[order])


def test_segments_are_counted_and_followed_by_week(health):
    standings = health.sharing(StandingRepository)
    week = 7 * 86_400 * SECOND
    health.insert_entries(
        health_entry(
            0,
            customer_id=f"c{number}",
            at=NOVEMBER - ago * week - 1,
            score=60.0 - 10.0 * ago,
            segment="smb" if number < 3 else None,
            band="red" if number == 0 else "green",
            mrr=10.0,
        )
        for number in range(5)
        for ago in (2, 0)
    )
    by_segment = {figures.segment: figures for figures in standings.segment_figures()}
    assert by_segment["smb"].customers == {"red": 1, "green": 2}
    assert (by_segment["smb"].count, by_segment["smb"].mean_score) == (3, 60.0)
    assert by_segment[None].revenue_at_risk == pytest.approx(2 * 0.25 * 10.0 * 12.0)
    points = standings.weekly_scores(NOVEMBER, 3)
    assert {(point.segment, point.week, point.mean_score) for point in points} == {
        ("smb", 0, 40.0),
        ("smb", 2, 60.0),
        (None, 0, 40.0),
        (None, 2, 60.0),
    }


def test_curves_follow_the_same_few_customers_of_each_segment_by_their_key(health):
    standings = health.sharing(StandingRepository)
    count = 2 * MOST_FOLLOWED + 50
    health.insert_entries(
        health_entry(
            0,
            customer_id=f"c{number:04}",
            at=NOVEMBER - week * 7 * 86_400 * SECOND - 1,
            score=float(number % 100),
            segment="smb" if number else "one of its own",
        )
        for number in range(count)
        for week in (1, 0)
    )
    points = {
        (point.segment, point.week): point.mean_score
        for point in standings.weekly_scores(NOVEMBER, 2)
    }
    followed = [float(number % 100) for number in range(3, count, 3)]
    assert len(followed) <= MOST_FOLLOWED
    assert points == pytest.approx(
        {("smb", week): sum(followed) / len(followed) for week in (0, 1)}
        | {("one of its own", week): 0.0 for week in (0, 1)}
    )


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


def test_no_plan_with_contacts_is_kept_while_interventions_are_stopped(book):
    switch = {"author": "ann", "key_id": "k", "reason": "prices", "at": NOVEMBER}
    book.set_switch(stopped=True, request_id="r1", **switch)
    with pytest.raises(StalePlanError, match="stopped"):
        book.insert_plan(PLAN, [intervention(1)], past=[])
    assert book.insert_plan(PLAN, [], past=[])
    with pytest.raises(SwitchUnchangedError, match="by ann"):
        book.set_switch(stopped=True, request_id="r2", **switch)
    assert book.set_switch(stopped=True, request_id="r1", **switch) == book.find_stop()
    book.set_switch(stopped=False, request_id="r3", **switch)
    assert book.find_stop() is None


def set_switch(book: InterventionRepository, request_id: str, stopped: bool, at: int = NOVEMBER):
    return book.set_switch(
        stopped=stopped, request_id=request_id, author="ann", key_id="k", reason="prices", at=at
    )


def test_a_request_that_is_sent_again_never_undoes_what_came_after(book):
    first = set_switch(book, "stop", True)
    resumed = set_switch(book, "resume", False, NOVEMBER + 1)
    assert set_switch(book, "stop", True, NOVEMBER + 2) == first
    assert book.find_stop() is None
    with pytest.raises(RepeatedSwitchError, match="interventions resumed by ann"):
        set_switch(book, "resume", True, NOVEMBER + 3)
    set_switch(book, "again", True, NOVEMBER + 4)
    assert set_switch(book, "resume", False, NOVEMBER + 5) == resumed
    assert book.find_stop().subject_id == "again"


def test_a_stop_holds_that_a_replica_with_a_slow_clock_wrote(book):
    set_switch(book, "1", True)
    set_switch(book, "2", False, NOVEMBER + 60 * SECOND)
    slow = set_switch(book, "3", True, NOVEMBER + SECOND)
    assert book.find_stop() == slow
    with pytest.raises(SwitchUnchangedError):
        set_switch(book, "4", True, NOVEMBER + 2 * SECOND)


def test_of_people_who_stop_at_once_one_does(book):
    def stop(number: int) -> bool:
        try:
            book.set_switch(
                stopped=True,
                author=f"p{number}",
                key_id="k",
                reason="prices",
                at=NOVEMBER,
                request_id=f"r{number}",
            )
        except SwitchUnchangedError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(stop, range(4))) == 1


def test_contacts_are_counted_without_those_who_are_held_out(book):
    book.insert_plan(PLAN, [intervention(1), intervention(2), intervention(3)])
    book.insert_outcomes([outcome(author="ann", key_id="k")])
    assert book.count_contacts(["p"]) == (2, 1)
    assert book.count_open(NOVEMBER) == 1
    assert [row.id for row in book.list_contacts(["p"], 10)] == ["p-3", "p-1"]
    assert [row.id for row in book.list_contacts(["p"], 10, intervention(3))] == ["p-1"]
    with pytest.raises(UnknownInterventionError):
        book.find_contact("p-2")
    assert [plan.id for plan in book.list_plans(NOVEMBER, NOVEMBER + 1, 5)] == ["p"]
