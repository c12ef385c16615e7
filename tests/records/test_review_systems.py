"""The review queue holds subjects of every system, each system's apart from the others'."""

from collections.abc import Iterator

import pytest
from alembic import command
from sqlalchemy import text

from lib.records import RecordsError
from lib.records.database import Database
from lib.records.migration import alembic_config
from lib.records.review import ReviewItem, ReviewStore, UnknownItemError
from tests.records.conftest import NOVEMBER, SECOND
from tests.records.review_factories import LEASE, close, item


@pytest.fixture
def payments(reviews: ReviewStore, url: str) -> Iterator[ReviewStore]:
    """The queue of payments in the database of moderation's."""
    opened = ReviewStore(url, "fraud")
    yield opened
    opened.close()


def payment() -> ReviewItem:
    changes = {"system": "fraud", "policies": {"fraud": 0.71}, "shown": {"amount_minor": 129_900}}
    return item(0, id="review-p0", case_id="review-p0", **changes)


def test_a_payment_is_queued_claimed_and_decided(payments, reviews):
    assert payments.admit([payment()], "fraud") == 1
    reviews.admit([item(0)], "routing")
    (claim,) = payments.claim("ann", 10, now=NOVEMBER, lease=LEASE)
    assert (claim.system, claim.subject_id, claim.policies) == ("fraud", "p0", {"fraud": 0.71})
    verdict, new = payments.decide(
        claim.item_id, "ann", claim.token, {"fraud": True}, now=NOVEMBER + SECOND, next_step=close
    )
    assert (new, verdict.system, verdict.subject_id) == (True, "fraud", "p0")
    (outcome,) = payments.list_outcomes("p0")
    assert outcome.verdicts == {"fraud": True}
    (label,) = payments.iterate_labels()
    assert (label.system, label.policy, label.violates) == ("fraud", "fraud", True)
    history = [entry.what for entry in payments.list_history("p0")]
    assert history == ["opened", "claimed", "decided", "closed"]


def test_a_system_sees_nothing_of_another_even_under_the_same_id(payments, reviews):
    payments.admit([payment()], "fraud")
    (claim,) = payments.claim("ann", 10, now=NOVEMBER, lease=LEASE)
    payments.decide(
        claim.item_id, "ann", claim.token, {"fraud": True}, now=NOVEMBER + SECOND, next_step=close
    )
    assert reviews.claim("bob", 10, now=NOVEMBER, lease=LEASE) == []
    assert reviews.list_outcomes("p0") == reviews.list_history("p0") == []
    assert reviews.list_verdicts("p0") == list(reviews.iterate_labels()) == []
    assert reviews.compute_figures(NOVEMBER + SECOND, LEASE).decisions_per_hour == 0
    with pytest.raises(UnknownItemError, match="no item 'review-p0'"):
        reviews.find_item("review-p0")
    with pytest.raises(RecordsError, match="system: expected moderation, got 'fraud'"):
        reviews.admit([payment()], "fraud")


def test_who_decided_about_a_payment_may_still_review_the_appeal_of_a_post(payments, reviews):
    payments.admit([payment()], "fraud")
    (claim,) = payments.claim("ann", 10, now=NOVEMBER, lease=LEASE)
    payments.decide(
        claim.item_id, "ann", claim.token, {"fraud": True}, now=NOVEMBER + SECOND, next_step=close
    )
    reviews.admit([item(0, kind="appeal")], "author")
    assert len(reviews.claim("ann", 10, now=NOVEMBER, lease=LEASE)) == 1


def test_items_from_before_the_systems_are_moderations_posts(reviews, url):
    reviews.admit([item(0)], "routing")
    database = Database(url)
    with database.writing() as connection:
        command.downgrade(alembic_config(connection), "0007")
        assert connection.execute(text("SELECT post_id FROM review_items")).scalar_one() == "p0"
    reviews.migrate()
    stored = reviews.find_item("i0").item
    assert stored == item(0)
    assert (stored.system, stored.post_id) == ("moderation", "p0")
    (entry,) = reviews.list_history("p0")
    assert entry.what == "opened"
    with pytest.raises(RecordsError, match="refused a row"), database.writing() as connection:
        connection.execute(text("UPDATE review_audit SET system = 'fraud'"))
    database.close()
