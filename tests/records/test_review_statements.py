"""Statements, notes and items that are taken by name: what they change, refuse and leave behind."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from lib.records import RecordsError
from lib.records.review import (
    ContradictedVerdictError,
    LeaseLostError,
    RepeatedOpinionError,
    ReviewKey,
    UnknownItemError,
)
from lib.records.review.statements import MOST_STATED, Statement
from tests.records.conftest import NOVEMBER, SECOND
from tests.records.review_factories import (
    LEASE,
    claim,
    close,
    decide,
    item,
    look_twice,
)

AT = NOVEMBER + 5 * SECOND
FRAUD, FINE = {"hate": True, "spam": False}, {"hate": False, "spam": False}


def statement(name="s1", verdicts=FRAUD, reviewer="ann", **more):
    return Statement(id=name, reviewer=reviewer, verdicts=verdicts, at=AT, **more)


def chosen(number, name="s1", **changes):
    fields = {"id": f"{name}-{number}", "case_id": f"{name}-{number}", "rule": "stated"}
    return item(number, **(fields | {"created_at": AT} | changes))


def state(reviews, numbers, next_step=close, **fields):
    stated = statement(**fields)
    items = [chosen(number, stated.id) for number in numbers]
    return reviews.state(items, stated, next_step=next_step, lease_now=AT)


def take(reviews, item_id="i0", reviewer="ann", now=NOVEMBER, **more):
    return reviews.take(item_id, reviewer, now=now, lease=LEASE, **more)


def test_a_statement_closes_a_case_of_each_subject_and_is_in_the_audit(reviews):
    result = state(reviews, [1, 2], key=ReviewKey("k1", bound=True), note="one device")
    assert (sorted(result.stated), result.left_out, result.is_new) == (["p1", "p2"], (), True)
    (outcome,) = reviews.list_outcomes("p1")
    assert (outcome.rule, outcome.verdicts, outcome.at) == ("single", FRAUD, AT)
    entries = reviews.list_history("p1")
    assert [(entry.what, entry.who) for entry in entries] == [
        ("opened", "ann"),
        ("decided", "ann"),
        ("closed", "queue"),
    ]
    assert entries[1].after == {"verdicts": FRAUD, "statement": "s1"}
    assert entries[1].key_id == "k1"
    labels = [(label.subject_id, label.violates) for label in reviews.iterate_labels()]
    assert sorted(label for label in labels if label[1]) == [("p1", True), ("p2", True)]
    assert claim(reviews) == [], "nothing waits"
    assert {verdict.note for verdict in reviews.list_stated("s1")} == {"one device"}


def test_a_statement_of_which_nothing_stands_is_made_anew(reviews):
    reviews.admit([item(3)], "routing")
    lease = take(reviews, "i3", "bob", now=AT)
    assert state(reviews, [3]).left_out == ("p3",)
    assert reviews.find_statement_result("s1") is None
    reviews.release("i3", "bob", lease.token, now=AT)
    assert state(reviews, [3], reviewer="cem").stated == ("p3",)
    assert state(reviews, [3], reviewer="cem").is_new is False


def test_an_undone_verdict_of_a_statement_can_be_stated_again(reviews):
    state(reviews, [1])
    ((verdict),) = reviews.list_stated("s1")
    back = reviews.undo(
        verdict.item_id, "ann", verdict.token, now=AT + SECOND, lease=LEASE, lease_now=AT + SECOND
    )
    assert reviews.find_statement_result("s1") is None
    reviews.release(verdict.item_id, "ann", back.token, now=AT + SECOND)
    again = state(reviews, [1])
    assert (again.stated, again.is_new) == (("p1",), True)
    assert [each.verdicts for each in reviews.list_verdicts("p1")] == [FRAUD]


def test_the_same_statement_again_gives_its_answer_and_another_is_refused(reviews):
    reviews.admit([item(1), item(3)], "routing")
    take(reviews, "i3", "bob", now=AT)
    first = state(reviews, [1, 2, 3])
    assert (first.stated, first.left_out, first.is_new) == (("p1", "p2"), ("p3",), True)
    decide(reviews, take(reviews, "i3", "bob", now=AT), "bob", now=AT)
    assert state(reviews, [3, 2, 1]) == replace(first, is_new=False)
    assert reviews.find_statement_result("s1") == replace(first, is_new=False)
    for numbers in ([1, 2], [1, 2, 4], [1, 2, 3, 4], [4]):
        with pytest.raises(ContradictedVerdictError, match="other subjects"):
            state(reviews, numbers)
    assert reviews.list_verdicts("p4") == []
    for changed in ({"verdicts": FINE}, {"reviewer": "bob"}):
        with pytest.raises(ContradictedVerdictError, match="another verdict"):
            state(reviews, [1, 2, 3], **changed)
    assert len(list(reviews.iterate_labels())) == 6


def test_the_opposite_statement_is_a_later_label(reviews):
    state(reviews, [1])
    state(reviews, [1], name="s2", verdicts=FINE)
    labels = [label.violates for label in reviews.iterate_labels() if label.policy == "hate"]
    assert labels == [True, False]


def test_what_waits_for_a_first_opinion_is_decided_there_by_the_rules_of_the_queue(reviews):
    reviews.admit([item(1), item(2)], "routing")
    state(reviews, [1], next_step=close)
    assert [verdict.item_id for verdict in reviews.list_verdicts("p1")] == ["i1"]
    state(reviews, [2], name="s2", next_step=look_twice)
    assert reviews.list_outcomes("p2") == []
    (second,) = claim(reviews, "bob", now=AT)
    assert second.subject_id == "p2"
    assert claim(reviews, "ann", now=AT) == []


def test_what_waits_for_somebody_else_is_left_out(reviews):
    reviews.admit([item(1), item(2), item(3)], "routing")
    take(reviews, "i1", "bob", now=AT)
    reviews.assign("i2", "eve", "bob", now=AT)
    first = take(reviews, "i3", "bob", now=AT)
    decide(reviews, first, "bob", now=AT, step=look_twice)
    result = state(reviews, [1, 2, 3, 4])
    assert (result.stated, result.left_out) == (("p4",), ("p1", "p2", "p3"))
    assert reviews.list_verdicts("p1") == []


def test_statements_are_bounded_and_must_fit_the_questions(reviews):
    for numbers in ([], range(MOST_STATED + 1)):
        with pytest.raises(RecordsError, match=f"1 to {MOST_STATED}"):
            state(reviews, numbers)
    with pytest.raises(RecordsError, match="a verdict on each of"):
        state(reviews, [1], verdicts={"hate": True})
    with pytest.raises(RecordsError):
        statement("")
    with pytest.raises(RecordsError):
        statement(note="x" * 20_000)


def test_two_that_state_at_once_have_one_effect(reviews):
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda _: state(reviews, range(20)), range(4)))
    assert sum(result.is_new for result in results) == 1
    assert {frozenset(result.stated) for result in results} == {
        frozenset(f"p{number}" for number in range(20))
    }
    assert len(list(reviews.iterate_labels())) == 40


def test_an_item_is_taken_by_name_and_by_its_holder_again(reviews):
    reviews.admit([item(0), item(1)], "routing")
    lease = take(reviews, "i1")
    assert take(reviews, "i1", now=NOVEMBER + SECOND) == lease
    with pytest.raises(LeaseLostError, match="with another reviewer"):
        take(reviews, "i1", "bob")
    later = take(reviews, "i1", "bob", now=NOVEMBER + 2 * LEASE)
    assert later.token == lease.token + 1
    decide(reviews, later, "bob", now=NOVEMBER + 2 * LEASE)
    with pytest.raises(LeaseLostError, match="decided already"):
        take(reviews, "i1", "bob", now=NOVEMBER + 2 * LEASE)
    with pytest.raises(UnknownItemError):
        take(reviews, "nothing")


def test_nobody_takes_what_is_meant_for_another_or_gives_both_opinions(reviews):
    reviews.admit([item(0), item(1)], "routing")
    reviews.assign("i0", "eve", "bob", now=NOVEMBER)
    with pytest.raises(LeaseLostError, match="meant for another"):
        take(reviews, "i0", "ann")
    decide(reviews, take(reviews, "i1"), step=look_twice)
    with pytest.raises(RepeatedOpinionError):
        take(reviews, "i1-again", "ann", now=AT)
    assert take(reviews, "i1-again", "bob", now=AT).subject_id == "p1"


def test_a_note_is_kept_in_the_audit_alone(reviews):
    reviews.write_note(chosen(1), "ann", "called the bank", AT, ReviewKey("k1", bound=False))
    (entry,) = reviews.list_history("p1")
    assert (entry.what, entry.who, entry.key_id) == ("noted", "ann", "k1")
    assert entry.after == {"note": "called the bank"}
    assert claim(reviews) == reviews.list_items("p1") == []
    with pytest.raises(RecordsError):
        reviews.write_note(chosen(1), "ann", "", AT)
