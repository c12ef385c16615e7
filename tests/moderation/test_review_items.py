"""Posts as items of the review queue: order and appeals."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.moderation.review.items import AppealError, appeal_item, priority_of
from lib.review.ranking import HIGHEST, LOWEST, rank_us
from lib.review.settings import HOUR_US, ReviewSettings
from tests.moderation.review_factories import removed

NOW = 1_795_428_900_000_000  # 2026-11-23T10:15:00Z in microseconds
SETTINGS = ReviewSettings(salt="tests")
ITEMS = st.tuples(st.floats(0, 1), st.integers(1, 5), st.integers(0, 10**10))


def rank(risk: float, severity: int, reach: int, created_at: int) -> int:
    due = created_at + SETTINGS.sla_us[severity]
    return rank_us(priority_of({"hate": risk}, severity, reach), due, SETTINGS)


@given(ITEMS, ITEMS, st.integers(0, 10**13))
def test_no_item_starves(early, late, extra):
    times = SETTINGS.sla_us.values()
    spread = max(times) - min(times) + round((HIGHEST - LOWEST) * SETTINGS.doubling_us)
    later = NOW + spread + extra
    assert rank(*early, NOW) <= rank(*late, later)


def test_the_priority_is_risk_by_severity_by_reach_in_doublings():
    assert priority_of({"hate": 0.5, "spam": 0.25}, 4, 511) == 10.0
    assert priority_of({"hate": 0.5}, 4, 1023) == 11.0
    assert priority_of({"hate": 0.0}, 5, 10**9) == -7.0
    due = NOW + SETTINGS.sla_us[3]
    assert rank_us(6.0, due, SETTINGS) == due - 6 * HOUR_US


def test_more_severe_posts_go_before_others_that_are_alike():
    ranks = [rank(0.5, severity, 100, NOW) for severity in range(1, 6)]
    assert ranks == sorted(ranks, reverse=True)


removal = partial(
    removed, post_id="p", removed_at=NOW, policies={"hate": 0.97}, severity=4, reach=50
)


def test_an_appeal_is_one_item_however_often_it_is_asked_for():
    first = appeal_item(removal(), "author", "It was a quotation.", NOW + HOUR_US, SETTINGS)
    again = appeal_item(removal(), "author", "Please!", NOW + 2 * HOUR_US, SETTINGS)
    assert first.id == again.id
    assert first.kind == "appeal"
    assert first.shown == {"text": "words", "appeal": "It was a quotation."}
    assert first.due_at == NOW + HOUR_US + SETTINGS.sla_us[4]


@pytest.mark.parametrize(
    ("changes", "author", "after", "words"),
    [
        ({}, "somebody", 0, "only its author may appeal"),
        ({}, "author", SETTINGS.appeal_window_us + 1, "expected an appeal within"),
        ({}, "author", -1, "expected an appeal within"),
        ({"policies": {}}, "author", 0, "removed for no policy"),
    ],
)
def test_an_appeal_that_cannot_be_is_refused(changes, author, after, words):
    with pytest.raises(AppealError, match=words):
        appeal_item(removal(**changes), author, "", NOW + after, SETTINGS)
