"""The review queue from a doubt to a label, on a real database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.moderation.review import HOUR_US, Doubt, Removal, ReviewQueue, ReviewSettings
from lib.records import GoldenPost, RecordsError, Reviews

NOW = 1_795_428_900_000_000  # 2026-11-23T10:15:00Z in microseconds
POLICIES = {"hate": 0.5, "spam": 0.25}


@pytest.fixture
def reviews(tmp_path: Path) -> Iterator[Reviews]:
    opened = Reviews(f"sqlite:///{tmp_path}/records.db")
    opened.migrate()
    yield opened
    opened.close()


def queue(reviews: Reviews, **changes: object) -> ReviewQueue:
    fields: dict[str, object] = {
        "salt": "s", "second_opinion_share": 0.0, "second_opinion_severity": 6, "golden_share": 0.0,
    }  # fmt: skip
    return ReviewQueue(reviews, ReviewSettings(**(fields | changes)))


def doubt(number: int = 0, **changes: object) -> Doubt:
    fields: dict[str, object] = {
        "post_id": f"p{number}", "policies": POLICIES, "severity": 2, "reach": 100,
        "policy_version": "v1", "model_version": "m1", "shown": {"text": "words"},
    }  # fmt: skip
    return Doubt(**(fields | changes))


def decide(queue, reviewer, hate, now):
    (one,) = queue.claim(reviewer, 1, now)
    verdicts = {"hate": hate, "spam": False}
    return queue.decide(one.item_id, reviewer, one.token, verdicts, now)


def test_one_decision_is_enough_where_no_rule_asks_for_more(reviews):
    found = queue(reviews)
    assert found.admit([doubt()], NOW) == 1
    assert found.admit([doubt()], NOW + 1) == 0
    decide(found, "ann", True, NOW + 5)
    (outcome,) = reviews.outcomes("p0")
    assert (outcome.rule, outcome.verdicts) == ("single", {"hate": True, "spam": False})
    assert found.claim("bob", 9, NOW + 6) == []


def test_a_new_version_of_the_policies_asks_again(reviews):
    found = queue(reviews)
    assert found.admit([doubt(), doubt(policy_version="v2")], NOW) == 2


def test_two_who_agree_close_a_severe_case(reviews):
    found = queue(reviews, second_opinion_severity=4)
    found.admit([doubt(severity=5)], NOW)
    decide(found, "ann", True, NOW + 1)
    assert reviews.outcomes("p0") == []
    assert found.claim("ann", 1, NOW + HOUR_US) == []
    decide(found, "bob", True, NOW + 2)
    (outcome,) = reviews.outcomes("p0")
    assert outcome.rule == "agreed"
    rules = [(one.what, one.rule) for one in reviews.history("p0") if one.what == "opened"]
    assert rules == [("opened", "routed"), ("opened", "severity")]


def test_where_two_differ_a_third_decides_by_majority(reviews):
    found = queue(reviews, second_opinion_share=1.0)
    found.admit([doubt()], NOW)
    decide(found, "ann", True, NOW + 1)
    decide(found, "bob", False, NOW + 2)
    for seen in ("ann", "bob"):
        assert found.claim(seen, 1, NOW + HOUR_US) == []
    decide(found, "cleo", True, NOW + 3)
    (outcome,) = reviews.outcomes("p0")
    assert (outcome.rule, outcome.verdicts["hate"]) == ("majority", True)
    opened = [one.rule for one in reviews.history("p0") if one.what == "opened"]
    assert opened == ["routed", "sample", "disagreement"]
    assert {one.by for one in reviews.labels()} == {"ann,bob,cleo"}
    assert found.agreement(0, seed=1)["hate"].pairs == 1
    assert found.agreement(0, seed=1, rule="severity") == {}


def removed(**changes: object) -> Removal:
    fields: dict[str, object] = {
        "post_id": "p0", "author_id": "author", "removed_at": NOW + 1, "policies": {"hate": 1.0},
        "severity": 2, "reach": 100, "policy_version": "v1", "model_version": "m1",
        "shown": {"text": "words"},
    }  # fmt: skip
    return Removal(**(fields | changes))


@pytest.mark.parametrize(("still", "rule"), [(True, "upheld"), (False, "overturned")])
def test_an_appeal_goes_to_another_and_becomes_a_label(reviews, still, rule):
    found = queue(reviews)
    found.admit([doubt()], NOW)
    decide(found, "ann", True, NOW + 1)
    item_id, fresh = found.appeal(removed(), "author", "A quotation.", NOW + 10)
    assert fresh
    assert found.appeal(removed(), "author", "Again!", NOW + 20) == (item_id, False)
    assert found.claim("ann", 1, NOW + HOUR_US) == []
    (one,) = found.claim("bob", 1, NOW + 30)
    assert one.shown["appeal"] == "A quotation."
    found.decide(one.item_id, "bob", one.token, {"hate": still}, NOW + 40)
    assert [outcome.rule for outcome in reviews.outcomes("p0")] == [rule, "single"]
    last = list(reviews.labels())[-1]
    assert (last.policy, last.violates, last.rule, last.by) == ("hate", still, rule, "bob")
    assert reviews.figures(NOW + 50, HOUR_US).overturned_share == float(not still)


def test_nothing_tells_a_golden_item_from_another(reviews):
    found = queue(reviews, golden_share=0.3)
    reviews.keep_golden(
        [
            GoldenPost(
                id=f"g{number}", post_id=f"q{number}", policies=POLICIES, severity=2, reach=100,
                policy_version="v1", shown={"text": "words"}, known={"hate": True, "spam": False},
            )
            for number in range(40)
        ]
    )  # fmt: skip
    found.admit([doubt(number) for number in range(60)], NOW)
    claims = found.claim("ann", 60, NOW + 1)
    golden = [one for one in claims if one.post_id.startswith("q")]
    assert 8 <= len(golden) <= 28
    assert {len(one.item_id) for one in claims} == {32}
    for one in claims:
        assert (one.created_at, one.policy_version, one.token) == (NOW, "v1", 1)
        found.decide(one.item_id, "ann", one.token, {"hate": True, "spam": False}, NOW + 2)
    assert found.accuracy(0)["ann", "hate"].answers == len(golden)
    assert all(one.post_id.startswith("p") for one in reviews.labels())
    assert len({one.post_id for one in golden}) == len(golden)


def test_severe_posts_with_reach_come_first_and_old_ones_are_not_forgotten(reviews):
    found = queue(reviews)
    found.admit([doubt(0, severity=1, reach=0)], NOW)
    found.admit([doubt(1, severity=5, reach=10**6)], NOW + 1)
    verdict, _ = decide(found, "ann", True, NOW + 2)
    assert verdict.post_id == "p1"
    day = 24 * HOUR_US
    found.admit([doubt(number, severity=5, reach=10**6) for number in range(2, 9)], NOW + 6 * day)
    assert found.claim("ann", 1, NOW + 6 * day)[0].post_id == "p0"


def test_a_lease_is_renewed_or_given_back_by_its_claim(reviews):
    found = queue(reviews)
    found.admit([doubt()], NOW)
    (one,) = found.claim("ann", 1, NOW)
    assert found.renew(one, "ann", NOW + 5) == NOW + 5 + found.settings.lease_us
    found.release(one, "ann", NOW + 6)
    assert found.claim("bob", 1, NOW + 7)[0].item_id == one.item_id


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
        queue(reviews).admit([doubt(**changes)], NOW)
