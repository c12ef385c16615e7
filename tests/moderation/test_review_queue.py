"""The review queue from a doubt to a label, on a real database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.moderation.review.queue import PostReviewQueue
from lib.records import RecordsError
from lib.records.review import ReviewStore
from lib.review.settings import HOUR_US, ReviewSettings
from tests.moderation.review_factories import NOW, POLICIES, doubt, removed
from tests.records.conftest import migrated
from tests.records.review_factories import golden_item


@pytest.fixture
def reviews(tmp_path: Path) -> Iterator[ReviewStore]:
    with migrated(ReviewStore(f"sqlite:///{tmp_path}/records.db")) as opened:
        yield opened


def queue(reviews: ReviewStore, **changes: object) -> PostReviewQueue:
    fields: dict[str, object] = {
        "salt": "s",
        "second_opinion_share": 0.0,
        "second_opinion_severity": 6,
        "golden_share": 0.0,
    }
    return PostReviewQueue(reviews, ReviewSettings(**(fields | changes)))


def decide(queue, reviewer, hate, now):
    (claim,) = queue.claim(reviewer, 1, now)
    verdicts = {"hate": hate, "spam": False}
    return queue.decide(claim.item_id, reviewer, claim.token, verdicts, now)


def test_one_decision_is_enough_where_no_rule_asks_for_more(reviews):
    review_queue = queue(reviews)
    assert review_queue.admit_posts([doubt()], NOW) == 1
    assert review_queue.admit_posts([doubt()], NOW + 1) == 0
    decide(review_queue, "ann", True, NOW + 5)
    (outcome,) = reviews.list_outcomes("p0")
    assert (outcome.rule, outcome.verdicts) == ("single", {"hate": True, "spam": False})
    assert review_queue.claim("bob", 9, NOW + 6) == []


def test_a_new_version_of_the_policies_asks_again(reviews):
    review_queue = queue(reviews)
    assert review_queue.admit_posts([doubt(), doubt(policy_version="v2")], NOW) == 2


def test_two_who_agree_close_a_severe_case(reviews):
    review_queue = queue(reviews, second_opinion_severity=4)
    review_queue.admit_posts([doubt(severity=5)], NOW)
    decide(review_queue, "ann", True, NOW + 1)
    assert reviews.list_outcomes("p0") == []
    assert review_queue.claim("ann", 1, NOW + HOUR_US) == []
    decide(review_queue, "bob", True, NOW + 2)
    (outcome,) = reviews.list_outcomes("p0")
    assert outcome.rule == "agreed"
    rules = [
        (entry.what, entry.rule) for entry in reviews.list_history("p0") if entry.what == "opened"
    ]
    assert rules == [("opened", "routed"), ("opened", "severity")]


def test_where_two_differ_a_third_decides_by_majority(reviews):
    review_queue = queue(reviews, second_opinion_share=1.0)
    review_queue.admit_posts([doubt()], NOW)
    decide(review_queue, "ann", True, NOW + 1)
    decide(review_queue, "bob", False, NOW + 2)
    for reviewer in ("ann", "bob"):
        assert review_queue.claim(reviewer, 1, NOW + HOUR_US) == []
    decide(review_queue, "cleo", True, NOW + 3)
    (outcome,) = reviews.list_outcomes("p0")
    assert (outcome.rule, outcome.verdicts["hate"]) == ("majority", True)
    opened = [entry.rule for entry in reviews.list_history("p0") if entry.what == "opened"]
    assert opened == ["routed", "sample", "disagreement"]
    assert {label.by for label in reviews.iterate_labels()} == {"ann,bob,cleo"}
    assert review_queue.agreement(0, seed=1)["hate"].pairs == 1


@pytest.mark.parametrize(("still", "rule"), [(True, "upheld"), (False, "overturned")])
def test_an_appeal_goes_to_another_and_becomes_a_label(reviews, still, rule):
    review_queue = queue(reviews)
    review_queue.admit_posts([doubt()], NOW)
    decide(review_queue, "ann", True, NOW + 1)
    item_id, fresh = review_queue.appeal(removed(), "author", "A quotation.", NOW + 10)
    assert fresh
    assert review_queue.appeal(removed(), "author", "Again!", NOW + 20) == (item_id, False)
    assert review_queue.claim("ann", 1, NOW + HOUR_US) == []
    (claim,) = review_queue.claim("bob", 1, NOW + 30)
    assert claim.shown["appeal"] == "A quotation."
    review_queue.decide(claim.item_id, "bob", claim.token, {"hate": still}, NOW + 40)
    assert [outcome.rule for outcome in reviews.list_outcomes("p0")] == [rule, "single"]
    last = list(reviews.iterate_labels())[-1]
    assert (last.policy, last.violates, last.rule, last.by) == ("hate", still, rule, "bob")
    assert reviews.compute_figures(NOW + 50, HOUR_US).overturned_share == float(not still)


def test_nothing_tells_a_golden_item_from_another(reviews):
    review_queue = queue(reviews, golden_share=0.3)
    reviews.insert_golden(
        [
            golden_item(
                number,
                subject_id=f"q{number}",
                policies=POLICIES,
                reach=100,
                shown={"text": "words"},
            )
            for number in range(40)
        ]
    )
    review_queue.admit_posts([doubt(number) for number in range(60)], NOW)
    claims = review_queue.claim("ann", 60, NOW + 1)
    golden = [claim for claim in claims if claim.post_id.startswith("q")]
    assert 8 <= len(golden) <= 28
    assert {len(claim.item_id) for claim in claims} == {32}
    for claim in claims:
        assert (claim.created_at, claim.policy_version, claim.token) == (NOW, "v1", 1)
        review_queue.decide(
            claim.item_id, "ann", claim.token, {"hate": True, "spam": False}, NOW + 2
        )
    assert review_queue.accuracy(0)["ann", "hate"].answers == len(golden)
    assert all(label.post_id.startswith("p") for label in reviews.iterate_labels())
    assert len({claim.post_id for claim in golden}) == len(golden)


def test_severe_posts_with_reach_come_first_and_old_ones_are_not_forgotten(reviews):
    review_queue = queue(reviews)
    review_queue.admit_posts([doubt(0, severity=1, reach=0)], NOW)
    review_queue.admit_posts([doubt(1, severity=5, reach=10**6)], NOW + 1)
    verdict, _ = decide(review_queue, "ann", True, NOW + 2)
    assert verdict.post_id == "p1"
    day = 24 * HOUR_US
    review_queue.admit_posts(
        [doubt(number, severity=5, reach=10**6) for number in range(2, 9)], NOW + 6 * day
    )
    assert review_queue.claim("ann", 1, NOW + 6 * day)[0].post_id == "p0"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"severity": 9}, "severity: expected 1 to 5, got 9"),
        ({"policies": {"hate": float("nan")}}, "policies.hate: expected a probability"),
        ({"policies": {}}, "policies: expected at least one"),
        ({"reach": -5}, "reach: expected an integer of 0 or more, got -5"),
    ],
)
def test_a_doubt_that_cannot_be_is_refused(reviews, changes, words):
    with pytest.raises(RecordsError, match=words):
        queue(reviews).admit_posts([doubt(**changes)], NOW)
