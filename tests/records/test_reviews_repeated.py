"""Requests of reviewers and outcomes that come twice, one after the other and at once: one effect.

Also under which key they come: the audit keeps it, and a key for all names counts as one person.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import pytest

from lib.churn.intervention_repository import (
    InterventionOutcome,
    InterventionRepository,
    StoredPlan,
)
from lib.records import RecordsUnavailableError
from lib.records.database import Database
from lib.records.review import RepeatedOpinionError, ReviewKey, ReviewStore
from tests.records.conftest import NOVEMBER, SECOND
from tests.records.customer_factories import intervention
from tests.records.review_factories import LEASE, claim, close, decide, item, look_twice

Answer = TypeVar("Answer")
ANN, BOB = ReviewKey("a" * 12, bound=True), ReviewKey("b" * 12, bound=True)
ANYBODY = ReviewKey("c" * 12, bound=False)


def at_once(work: Callable[[], Answer], times: int = 6) -> list[Answer]:
    with ThreadPoolExecutor(times) as pool:
        return [each.result() for each in [pool.submit(work) for _ in range(times)]]


def whats(reviews: ReviewStore, post_id: str = "p0") -> list[str]:
    return [entry.what for entry in reviews.list_history(post_id)]


def test_a_claim_that_comes_twice_and_at_once_leases_once(reviews):
    reviews.admit([item(number) for number in range(9)], "routing")
    first = claim(reviews, most=2, claim_id="q1")
    assert claim(reviews, most=2, claim_id="q1", now=NOVEMBER + SECOND) == first
    answers = at_once(lambda: claim(reviews, most=3, claim_id="q2"))
    assert all(claims == answers[0] for claims in answers)
    assert [lease.item_id for lease in answers[0]] == ["i2", "i3", "i4"]
    assert whats(reviews, "p2") == ["opened", "claimed"]
    assert [lease.item_id for lease in claim(reviews, "bob", most=2, claim_id="q2")] == ["i5", "i6"]
    assert [lease.item_id for lease in claim(reviews, most=9)] == ["i7", "i8"]


def test_a_name_is_free_for_another_claim_once_nothing_of_the_first_is_held(reviews):
    reviews.admit([item(number) for number in range(4)], "routing")
    first, second = claim(reviews, most=2, claim_id="q")
    decide(reviews, first)
    assert claim(reviews, most=2, claim_id="q") == [second]
    reviews.release(second.item_id, "ann", second.token, now=NOVEMBER)
    assert [lease.item_id for lease in claim(reviews, most=2, claim_id="q")] == ["i1", "i2"]
    later = claim(reviews, most=2, claim_id="q", now=NOVEMBER + LEASE)
    assert [(lease.item_id, lease.leased_until) for lease in later] == [
        ("i1", NOVEMBER + 2 * LEASE),
        ("i2", NOVEMBER + 2 * LEASE),
    ]


def test_a_decision_that_comes_at_once_is_kept_once(reviews):
    reviews.admit([item()], "routing")
    (lease,) = claim(reviews, key=ANN)
    answers = at_once(lambda: decide(reviews, lease))
    assert sorted(new for _, new in answers) == [False] * 5 + [True]
    assert whats(reviews) == ["opened", "claimed", "decided", "closed"]
    assert len(list(reviews.iterate_labels())) == 2


def test_an_outcome_that_comes_twice_and_at_once_is_kept_once(url, reviews):
    book = InterventionRepository(url)
    plan = StoredPlan(id="d", planned_at=NOVEMBER, created_at=NOVEMBER, request={}, summary={})
    chosen = intervention(0, id="d-0", plan_id="d", customer_id="c")
    book.insert_plan(plan, [chosen], [], 0)
    outcome = InterventionOutcome(
        intervention_id="d-0",
        kind="left",
        value=True,
        observed_at=NOVEMBER,
        received_at=NOVEMBER,
        note=None,
    )
    assert sum(at_once(lambda: book.insert_outcomes([outcome]))) == 1
    assert book.insert_outcomes([outcome]) == 0
    assert len(book.list_outcomes()) == 1
    book.close()


def test_leases_go_by_the_clock_of_the_database(reviews, monkeypatch):
    clock = [NOVEMBER]
    monkeypatch.setattr(Database, "now", lambda self, connection: clock[0])
    reviews.admit([item()], "routing")
    (lease,) = reviews.claim("ann", 1, lease=LEASE)
    assert lease.leased_until == NOVEMBER + LEASE
    clock[0] += LEASE - 1
    assert reviews.claim("bob", 1, lease=LEASE) == []
    assert reviews.renew("i0", "ann", lease.token, lease=LEASE) == NOVEMBER + 2 * LEASE - 1
    clock[0] += LEASE
    assert [next_lease.token for next_lease in reviews.claim("bob", 1, lease=LEASE)] == [
        lease.token + 1
    ]


def test_the_audit_and_the_verdict_keep_the_key_that_acted(reviews):
    reviews.admit([item()], "routing")
    (lease,) = claim(reviews, key=ANN)
    reviews.renew("i0", "ann", lease.token, now=NOVEMBER, lease=LEASE, key=ANN)
    reviews.release("i0", "ann", lease.token, now=NOVEMBER, key=ANN)
    (other_lease,) = claim(reviews, "bob", key=BOB)
    verdict, _ = opinion(reviews, other_lease, "bob", BOB)
    assert verdict.key_id == BOB.id
    assert [(entry.what, entry.key_id) for entry in reviews.list_history("p0")] == [
        ("opened", None),
        ("claimed", ANN.id),
        ("renewed", ANN.id),
        ("released", ANN.id),
        ("claimed", BOB.id),
        ("decided", BOB.id),
        ("closed", None),
    ]


def opinion(reviews, claimed, reviewer, key, step=close):
    return reviews.decide(
        claimed.item_id,
        reviewer,
        claimed.token,
        {"hate": True, "spam": False},
        now=NOVEMBER + SECOND,
        next_step=step,
        key=key,
    )


@pytest.mark.parametrize("kind", ["second_opinion", "appeal"])
def test_a_key_for_all_names_gives_one_opinion_of_a_post(reviews, kind):
    reviews.admit([item()], "routing")
    (first,) = claim(reviews, "ann", key=ANYBODY)
    opinion(reviews, first, "ann", ANYBODY, look_twice if kind == "second_opinion" else close)
    if kind == "appeal":
        reviews.admit([replace(item(), id="i0-again", case_id="a", kind="appeal")], "author")
    assert claim(reviews, "bob", key=ANYBODY) == []
    (second,) = claim(reviews, "bob", key=BOB)
    assert second.item_id == "i0-again"
    # the token is no secret: it counts leases
    with pytest.raises(RepeatedOpinionError, match="did not decide about the post before"):
        opinion(reviews, second, "bob", ANYBODY, look_twice)
    assert opinion(reviews, second, "bob", BOB, look_twice)[1]
    assert reviews.list_outcomes("p0")


def test_keys_that_are_bound_to_names_may_share_an_id(reviews):
    reviews.admit([item()], "routing")
    (first,) = claim(reviews, "ann", key=ANN)
    opinion(reviews, first, "ann", ANN, look_twice)
    assert claim(reviews, "ann", key=BOB) == []
    (second,) = claim(reviews, "bob", key=ANN)
    assert opinion(reviews, second, "bob", ANN, look_twice)[1]


def test_a_salt_is_made_once_for_all_and_another_for_each_database(reviews, url, tmp_path):
    another = ReviewStore(url)
    salts = at_once(reviews.ensure_salt) + at_once(another.ensure_salt)
    another.close()
    assert set(salts) == {salts[0]}
    assert len(salts[0]) == 64
    other = ReviewStore(f"sqlite:///{tmp_path}/other.db")
    other.migrate()
    assert other.ensure_salt() != salts[0]
    other.close()
    away = ReviewStore("postgresql+psycopg://nobody@127.0.0.1:1/records")
    with pytest.raises(RecordsUnavailableError):
        away.ensure_salt()
    away.close()
