"""The review queue's store keeps its promises on SQLite and on PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import text

from lib.records import RecordsError, RefusedRowsError
from lib.records.database import Database
from lib.records.review import (
    ContradictedVerdictError,
    LeaseLostError,
    Step,
    UnknownItemError,
)
from tests.records.conftest import NOVEMBER, SECOND
from tests.records.review_factories import (
    HOUR,
    LEASE,
    claim,
    close,
    decide,
    golden_item,
    item,
    look_twice,
)


def test_items_come_by_rank_and_only_once(reviews):
    assert reviews.admit([item(2), item(0), item(1)], "routing") == 3
    assert reviews.admit([item(0, severity=5)], "routing") == 0
    assert [lease.item_id for lease in claim(reviews, most=2)] == ["i0", "i1"]
    assert [lease.item_id for lease in claim(reviews, "bob")] == ["i2"]
    assert reviews.find_item("i0").item == item(0)


def test_a_lease_that_ended_gives_the_item_to_another_and_refuses_the_first(reviews):
    reviews.admit([item()], "routing")
    (first,) = claim(reviews)
    assert claim(reviews, "bob", now=NOVEMBER + LEASE - 1) == []
    (second,) = claim(reviews, "bob", now=NOVEMBER + LEASE)
    with pytest.raises(LeaseLostError, match="'i0' is with another reviewer"):
        decide(reviews, first)
    verdict, fresh = decide(reviews, second, "bob", now=NOVEMBER + LEASE + 1)
    assert fresh
    assert verdict.reviewer == "bob"
    whats = [(entry.what, entry.who) for entry in reviews.list_history("p0")]
    assert whats == [
        ("opened", "routing"),
        ("claimed", "ann"),
        ("expired", "queue"),
        ("claimed", "bob"),
        ("decided", "bob"),
        ("closed", "queue"),
    ]


def test_a_late_decision_counts_while_nobody_else_has_the_item(reviews):
    reviews.admit([item()], "routing")
    (lease,) = claim(reviews)
    assert decide(reviews, lease, now=NOVEMBER + 2 * LEASE)[1]


def test_an_earlier_lease_of_the_same_reviewer_is_no_longer_good(reviews):
    reviews.admit([item()], "routing")
    (first,) = claim(reviews)
    (second,) = claim(reviews, now=NOVEMBER + LEASE)
    with pytest.raises(LeaseLostError, match="token 1 of 'ann' has ended"):
        decide(reviews, first)
    assert decide(reviews, second)[1]


def test_the_same_decision_again_changes_nothing_and_another_is_refused(reviews):
    reviews.admit([item()], "routing")
    (lease,) = claim(reviews)
    first, fresh = decide(reviews, lease)
    again, anew = decide(reviews, lease, now=NOVEMBER + 9 * SECOND)
    assert (fresh, anew) == (True, False)
    assert again == first
    with pytest.raises(ContradictedVerdictError, match="decided otherwise by 'ann'"):
        decide(reviews, lease, hate=False)
    with pytest.raises(LeaseLostError, match="by another reviewer"):
        decide(reviews, lease, "bob")
    assert len(list(reviews.iterate_labels())) == 2


def test_a_renewed_item_stays_and_a_released_one_goes_back(reviews):
    reviews.admit([item()], "routing")
    (lease,) = claim(reviews)
    until = reviews.renew("i0", "ann", lease.token, now=NOVEMBER + LEASE - 1, lease=LEASE)
    assert claim(reviews, "bob", now=until - 1) == []
    reviews.release("i0", "ann", lease.token, now=until - 1)
    with pytest.raises(LeaseLostError, match="back in the queue"):
        reviews.renew("i0", "ann", lease.token, now=until, lease=LEASE)
    (other_lease,) = claim(reviews, "bob", now=until - 1)
    with pytest.raises(LeaseLostError, match="with another"):
        reviews.release("i0", "ann", lease.token, now=until)
    decide(reviews, other_lease, "bob")
    with pytest.raises(LeaseLostError, match="decided already"):
        reviews.renew("i0", "bob", other_lease.token, now=until, lease=LEASE)


def test_what_is_not_there_or_not_complete_is_refused(reviews):
    with pytest.raises(UnknownItemError, match="no item 'i7'"):
        reviews.find_item("i7")
    reviews.admit([item()], "routing")
    (lease,) = claim(reviews)
    with pytest.raises(RecordsError, match="verdict on each of hate, spam, got hate"):
        reviews.decide("i0", "ann", lease.token, {"hate": True}, now=NOVEMBER, next_step=close)
    with pytest.raises(RecordsError, match=r"verdicts\.spam: expected true or false, got 1"):
        reviews.decide(
            "i0", "ann", lease.token, {"hate": True, "spam": 1}, now=NOVEMBER, next_step=close
        )
    with pytest.raises(RecordsError, match="most: expected 1 to 1000, got 0"):
        claim(reviews, most=0)
    with pytest.raises(RecordsError, match="expected review or appeal, got 'second_opinion'"):
        reviews.admit([item(1, kind="second_opinion")], "routing")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"severity": 6}, "severity: expected 1 to 5, got 6"),
        ({"reach": -1}, "reach: expected an integer of 0 or more, got -1"),
        ({"policies": {}}, "policies: expected at least one"),
        ({"policies": {"hate": 1.5}}, "policies.hate: expected a probability 0 to 1, got 1.5"),
        ({"kind": "guess"}, "kind: expected one of review, second_opinion"),
        ({"kind": "golden"}, "known: expected answers of golden items"),
        ({"subject_id": ""}, "subject_id: expected 1 to 512 bytes"),
        ({"due_at": 1.5}, "due_at: expected microseconds"),
    ],
)
def test_a_bad_item_is_refused_by_the_name_of_its_field(changes, words):
    with pytest.raises(RecordsError, match=words):
        item(**changes)


def test_a_second_opinion_never_goes_to_the_first_reviewer(reviews):
    reviews.admit([item()], "routing")
    (first,) = claim(reviews)
    decide(reviews, first, step=look_twice)
    assert claim(reviews, "ann", now=NOVEMBER + HOUR) == []
    (second,) = claim(reviews, "bob")
    assert second.item_id == "i0-again"
    decide(reviews, second, "bob", hate=False, step=look_twice)
    (pair,) = reviews.list_opinion_pairs()
    assert (pair.rule, pair.first["hate"], pair.second["hate"]) == ("sample", True, False)
    (outcome,) = reviews.list_outcomes("p0")
    assert outcome.verdicts == {"hate": False, "spam": False}
    assert [label.by for label in reviews.iterate_labels()] == ["ann,bob", "ann,bob"]


def test_languages_and_skills_decide_who_may_have_an_item(reviews):
    reviews.admit(
        [item(0, language="de"), item(1, skill="video"), item(2), item(3, language="fr")], "routing"
    )
    leases = claim(reviews, most=9, languages={"de"}, skills=())
    assert [lease.item_id for lease in leases] == ["i0", "i2"]
    assert [lease.item_id for lease in claim(reviews, "bob", most=9)] == ["i1", "i3"]


def test_labels_come_each_once_in_their_order(reviews):
    reviews.admit([item(number) for number in range(3)], "routing")
    claims = claim(reviews)
    decide(reviews, claims[0])
    labels = list(reviews.iterate_labels())
    assert [(label.post_id, label.policy, label.violates) for label in labels] == [
        ("p0", "hate", True),
        ("p0", "spam", False),
    ]
    assert labels[0].policy_version == "v1"
    assert list(reviews.iterate_labels(labels[-1].number)) == []
    decide(reviews, claims[1])
    assert {label.post_id for label in reviews.iterate_labels(labels[-1].number)} == {"p1"}


def test_the_audit_holds_before_and_after_and_cannot_be_changed(reviews, url):
    reviews.admit([item()], "routing")
    (lease,) = claim(reviews)
    decide(reviews, lease)
    opened, claimed, decided, closed = reviews.list_history("p0")
    assert opened.after["policies"] == {"hate": 0.625, "spam": 0.25}
    assert claimed.after == {"leased_by": "ann", "leased_until": NOVEMBER + LEASE}
    assert decided.after == {"verdicts": {"hate": True, "spam": False}}
    assert closed.before == {"i0": {"hate": True, "spam": False}}
    assert (closed.rule, closed.policy_version, closed.model_version) == ("single", "v1", "m1")
    database = Database(url)
    for change in ("UPDATE review_audit SET who = 'nobody'", "DELETE FROM review_audit"):
        with (
            pytest.raises(RefusedRowsError, match="refused a row"),
            database.writing() as connection,
        ):
            connection.execute(text(change))
    database.close()
    assert len(reviews.list_history("p0")) == 4


def test_figures_say_how_the_queue_stands(reviews):
    reviews.admit([item(number) for number in range(4)], "routing")
    reviews.admit([item(9, policies={"spam": 0.9}, created_at=NOVEMBER + HOUR)], "routing")
    first, second, *_ = claim(reviews, most=3)
    decide(reviews, first)
    decide(reviews, second, now=NOVEMBER + 2 * SECOND)
    figures = reviews.compute_figures(NOVEMBER + 30 * SECOND, 2 * HOUR)
    assert figures.depth == {"hate": 2, "spam": 1}
    assert (figures.waiting, figures.leased, figures.overdue_share) == (3, 1, 0.0)
    assert figures.oldest_age_us == 30 * SECOND - 2
    assert (figures.arrivals_per_hour, figures.decisions_per_hour) == (2.0, 1.0)
    assert figures.decisions_per_case == 1.0
    assert figures.overturned_share is None
    late = reviews.compute_figures(NOVEMBER + HOUR + 2, HOUR)
    assert late.overdue_share == pytest.approx(1 / 3)


def test_an_empty_queue_has_figures_too(reviews):
    figures = reviews.compute_figures(NOVEMBER, HOUR)
    assert (figures.waiting, figures.oldest_age_us, figures.overdue_share) == (0, 0, 0.0)
    assert figures.decisions_per_case is None
    with pytest.raises(RecordsError, match="window: expected 1 microsecond or more, got 0"):
        reviews.compute_figures(NOVEMBER, 0)


class EveryThird:
    """Every third item of a reviewer's is golden."""

    def draws(self, reviewer, slot):
        return slot % 3 == 2

    def item(self, unseen, like, reviewer, slot):
        post = unseen[0]
        return replace(
            like,
            id=f"{post.id}-{reviewer}",
            case_id=f"{post.id}-{reviewer}",
            kind="golden",
            subject_id=post.subject_id,
            policies=post.policies,
            shown=post.shown,
            known=post.known,
            for_reviewer=reviewer,
        )


def test_golden_items_are_mixed_in_one_by_one_and_judged(reviews):
    reviews.admit([item(number) for number in range(8)], "routing")
    assert (
        reviews.insert_golden([golden_item(0), golden_item(1), golden_item(2, policy_version="v0")])
        == 3
    )
    leases = [claim(reviews, most=1, mixer=EveryThird())[0] for _ in range(9)]
    assert [lease.item_id for lease in leases] == [
        "i0",
        "i1",
        "g0-ann",
        "i2",
        "i3",
        "g1-ann",
        "i4",
        "i5",
        "i6",
    ]
    decide(reviews, leases[2], step=lambda item, case: Step())
    decide(reviews, leases[5], hate=False, step=lambda item, case: Step())
    answers = reviews.list_golden_answers()
    assert [(answer.known["hate"], answer.verdicts["hate"]) for answer in answers] == [
        (True, True),
        (True, False),
    ]
    assert list(reviews.iterate_labels()) == []
    assert reviews.compute_figures(NOVEMBER, HOUR).depth == {"hate": 8}


def test_a_golden_post_without_its_answers_is_refused():
    with pytest.raises(RecordsError, match="known: expected a verdict on each of hate, spam"):
        golden_item(0, known={"hate": True})


def test_racing_reviewers_share_the_queue_without_overlap(reviews):
    reviews.admit([item(number) for number in range(120)], "routing")
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(lambda turn: claim(reviews, f"r{turn % 8}", 6), range(40)))
    names = [lease.item_id for claims in batches for lease in claims]
    assert len(names) == len(set(names)) == 120


def test_of_reviewers_who_decide_one_item_at_once_one_is_heard(reviews):
    reviews.admit([item()], "routing")
    tokens = [claim(reviews, f"r{number}", now=NOVEMBER + number * LEASE)[0] for number in range(6)]

    def attempt(number: int) -> bool:
        try:
            return decide(reviews, tokens[number], f"r{number}")[1]
        except LeaseLostError:
            return False

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(attempt, range(6))) == 1
    assert len(reviews.list_verdicts("p0")) == 1


def test_numbers_of_labels_never_come_late(reviews):
    reviews.admit([item(number) for number in range(40)], "routing")
    claims = claim(reviews, most=40)
    with ThreadPoolExecutor(4) as pool:
        work = [pool.submit(decide, reviews, lease) for lease in claims]
        keys, last = [], 0
        while not all(future.done() for future in work) or len(keys) < 80:
            for label in reviews.iterate_labels(last):
                keys.append((label.case_id, label.policy))
                last = label.number
    assert len(keys) == len(set(keys)) == 80
