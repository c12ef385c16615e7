"""Undo, snooze, assign and escalate: what they change, what they refuse, what the audit keeps."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from lib.records import RecordsError
from lib.records.review import (
    LeaseLostError,
    RepeatedOpinionError,
    ReviewItem,
    UndoRefusedError,
)
from lib.records.review.transitions import LONGEST_SNOOZE_US, UNDO_US
from lib.review.golden import GoldenMixer
from lib.review.settings import ReviewSettings
from tests.records.conftest import NOVEMBER, SECOND
from tests.records.review_factories import (
    HOUR,
    LEASE,
    claim,
    decide,
    golden_item,
    item,
    look_twice,
)

DECIDED = NOVEMBER + SECOND


def undo(reviews, lease, reviewer="ann", now=DECIDED + SECOND):
    return reviews.undo(
        lease.item_id, reviewer, lease.token, now=now, lease=LEASE, lease_now=now
    )  # fmt: skip


def more_severe(changed: ReviewItem, now: int) -> ReviewItem:
    return replace(changed, severity=changed.severity + 1, skill="senior", rank_us=now)


def actions(reviews, subject="p0"):
    return [(entry.what, entry.who) for entry in reviews.list_history(subject)]


def test_an_undone_decision_counts_nowhere_and_is_in_the_audit(reviews):
    reviews.admit([item()], "routing")
    (lease,) = claim(reviews)
    decide(reviews, lease)
    new = undo(reviews, lease)
    assert undo(reviews, lease) == new
    assert reviews.list_verdicts("p0") == reviews.list_outcomes("p0") == []
    assert list(reviews.iterate_labels()) == []
    with pytest.raises(LeaseLostError, match="token 1 of 'ann' has ended"):
        decide(reviews, lease)
    new_lease = replace(lease, token=new.token)
    assert decide(reviews, new_lease, hate=False, now=DECIDED + 2 * SECOND)[1]
    (outcome,) = reviews.list_outcomes("p0")
    assert outcome.verdicts["hate"] is False
    assert actions(reviews)[2:] == [
        ("decided", "ann"), ("closed", "queue"), ("undone", "ann"), ("decided", "ann"),
        ("closed", "queue"),
    ]  # fmt: skip
    undone = reviews.list_history("p0")[4]
    assert undone.before == {"verdicts": {"hate": True, "spam": False}, "outcome": "single"}


def test_only_who_decided_can_undo_and_only_for_ten_seconds(reviews):
    reviews.admit([item(0), item(1)], "routing")
    first, second = claim(reviews)
    with pytest.raises(LeaseLostError, match="got one that is not decided"):
        undo(reviews, first)
    decide(reviews, first)
    decide(reviews, second)
    with pytest.raises(LeaseLostError, match="decided by another reviewer"):
        undo(reviews, first, "bob")
    with pytest.raises(UndoRefusedError, match="within 10 seconds"):
        undo(reviews, first, now=DECIDED + UNDO_US + 1)
    assert undo(reviews, second, now=DECIDED + UNDO_US).token == 2


def test_what_is_settled_stays_and_is_applied_once(reviews):
    reviews.admit([item()], "routing")
    (lease,) = claim(reviews)
    decide(reviews, lease)
    assert reviews.settle_outcomes(DECIDED + UNDO_US) == []
    (outcome,) = reviews.settle_outcomes(DECIDED + UNDO_US + 1)
    with pytest.raises(UndoRefusedError, match="its case was settled"):
        undo(reviews, lease)
    assert reviews.settle_outcomes(DECIDED + HOUR) == [outcome]
    reviews.mark_applied([outcome.case_id], DECIDED + HOUR)
    assert reviews.settle_outcomes(DECIDED + HOUR) == []


def test_an_opinion_that_nobody_claimed_goes_with_the_decision_that_asked_for_it(reviews):
    reviews.admit([item()], "routing")
    (lease,) = claim(reviews)
    decide(reviews, lease, step=look_twice)
    new_lease = replace(lease, token=undo(reviews, lease).token)
    assert claim(reviews, "bob") == []
    assert ("withdrawn", "queue") in actions(reviews)
    decide(reviews, new_lease, step=look_twice)
    (second,) = claim(reviews, "bob")
    with pytest.raises(UndoRefusedError, match="another reviewer was asked since"):
        undo(reviews, new_lease)
    decide(reviews, second, "bob", step=look_twice)
    undo(reviews, second, "bob")
    assert reviews.list_outcomes("p0") == []
    assert [verdict.reviewer for verdict in reviews.list_verdicts("p0")] == ["ann"]


def test_a_snoozed_item_comes_back_at_its_time(reviews):
    reviews.admit([item()], "routing")
    (lease,) = claim(reviews)
    until = NOVEMBER + HOUR
    for _ in range(2):
        reviews.snooze("i0", "ann", lease.token, until, now=NOVEMBER + 1, note="asks the bank")
    assert claim(reviews, "bob", now=until - 1) == []
    assert [lease.item_id for lease in claim(reviews, "bob", now=until)] == ["i0"]
    entry = reviews.list_history("p0")[2]
    assert entry.after == {"snoozed_until": until, "note": "asks the bank"}
    assert [what for what, _ in actions(reviews)] == ["opened", "claimed", "snoozed", "claimed"]
    for bad in (NOVEMBER, NOVEMBER + LONGEST_SNOOZE_US + 1):
        with pytest.raises(RecordsError, match="until: expected a time within 30 days"):
            reviews.snooze("i0", "bob", 2, bad, now=NOVEMBER)
    with pytest.raises(LeaseLostError, match="with another reviewer"):
        reviews.snooze("i0", "ann", lease.token, until + 1, now=until)


def test_an_assigned_item_is_claimed_by_nobody_else(reviews):
    reviews.admit([item()], "routing")
    for _ in range(2):
        reviews.assign("i0", "lead", "bob", now=NOVEMBER)
    assert claim(reviews) == []
    (lease,) = claim(reviews, "bob")
    with pytest.raises(LeaseLostError, match="with another reviewer"):
        reviews.assign("i0", "lead", "ann", now=NOVEMBER + 1)
    reviews.assign("i0", "bob", "ann", token=lease.token, now=NOVEMBER + 1)
    assert claim(reviews, "bob") == []
    reviews.assign("i0", "lead", None, now=NOVEMBER + 2)
    assert [lease.item_id for lease in claim(reviews, "bob")] == ["i0"]
    assert [what for what, _ in actions(reviews)].count("assigned") == 3


def test_another_opinion_is_not_assigned_to_who_gave_the_first(reviews):
    reviews.admit([item()], "routing")
    (lease,) = claim(reviews)
    decide(reviews, lease, step=look_twice)
    with pytest.raises(RepeatedOpinionError, match="did not decide about the post before"):
        reviews.assign("i0-again", "lead", "ann", now=NOVEMBER + 5)
    reviews.assign("i0-again", "lead", "bob", now=NOVEMBER + 5)
    with pytest.raises(UndoRefusedError, match="another reviewer was asked since"):
        undo(reviews, lease)


def test_an_escalated_item_goes_to_seniors(reviews):
    reviews.admit([item()], "routing")
    (lease,) = claim(reviews)
    first, again = (
        reviews.escalate("i0", "ann", lease.token, more_severe, now=NOVEMBER + 1, note="a ring")
        for _ in range(2)
    )
    assert first == again == reviews.find_item("i0").item
    assert claim(reviews, "bob", skills=()) == []
    (senior,) = claim(reviews, "eve", skills=("senior",))
    assert (senior.severity, senior.token) == (4, 2)
    entry = reviews.list_history("p0")[2]
    assert (entry.what, entry.before["severity"], entry.after["note"]) == ("escalated", 3, "a ring")


def test_of_an_undo_and_a_claim_at_once_one_takes_effect(reviews):
    reviews.admit([item(number) for number in range(12)], "routing")
    leases = claim(reviews, most=12)
    for lease in leases:
        decide(reviews, lease, step=look_twice)

    def take_back(lease):
        try:
            undo(reviews, lease)
        except UndoRefusedError:
            return None
        return lease.item_id

    with ThreadPoolExecutor(4) as pool:
        undone = [pool.submit(take_back, lease) for lease in leases]
        second = [pool.submit(claim, reviews, f"r{number}", 1) for number in range(12)]
        taken_back = {future.result() for future in undone} - {None}
        claimed = {lease.item_id for future in second for lease in future.result()}
    assert taken_back.isdisjoint(name.removesuffix("-again") for name in claimed)
    assert len(taken_back) + len(claimed) <= 12
    assert {name for name in taken_back if reviews.find_item(name).decided_at is not None} == set()


def golden_leases(reviews, numbers):
    """What a reviewer all of whose items are golden holds."""
    mixer = GoldenMixer(ReviewSettings(salt="tests", golden_share=1.0))
    reviews.insert_golden([golden_item(number) for number in numbers])
    return [lease for _ in numbers for lease in claim(reviews, mixer=mixer, most=1)]


def test_a_golden_item_that_is_given_to_others_stays_its_reviewers(reviews):
    reviews.admit([item(0), item(1)], "routing")
    first, second = golden_leases(reviews, [0, 1])
    before = [reviews.find_item(lease.item_id) for lease in (first, second)]
    assert {entry.item.kind for entry in before} == {"golden"}
    for _ in range(2):
        reviews.assign(
            first.item_id, "ann", "bob", token=first.token, now=NOVEMBER + 1, note="not mine"
        )
    escalated, again = (
        reviews.escalate(second.item_id, "ann", second.token, more_severe, now=NOVEMBER + number)
        for number in (1, 2)
    )
    assert escalated == again
    assert escalated.skill == "senior", "the reviewer must not tell it from any other"
    after = [reviews.find_item(lease.item_id) for lease in (first, second)]
    assert after == [replace(entry, leased_by=None, leased_until=None) for entry in before]
    assert actions(reviews, first.subject_id)[2:] == [("assigned", "ann")]
    assert reviews.list_history(first.subject_id)[2].after == {
        "assignee": "bob",
        "note": "not mine",
    }
    assert actions(reviews, second.subject_id)[2:] == [("escalated", "ann")]
    leased = {lease.item_id: lease for lease in claim(reviews, skills=(), now=NOVEMBER + 3)}
    for lease in (first, second):
        assert decide(reviews, leased[lease.item_id], now=NOVEMBER + 4)[1]
