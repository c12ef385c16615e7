"""Payments that people choose: what they refer and state, in or out of the queue."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lib.fraud.review import PaymentReview
from lib.records import Records, RecordsError
from lib.records.review import ReviewStore
from lib.records.review.statements import Statement
from lib.review.queue import ReviewQueue
from tests.records.conftest import NOVEMBER, keep_decisions, migrated
from tests.review.factories import SETTINGS, payment

POLICY = PaymentReview()


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    with migrated(Records(f"sqlite:///{tmp_path}/records.db")) as records:
        yield records


@pytest.fixture
def queue(tmp_path: Path, records: Records) -> Iterator[ReviewQueue]:
    with ReviewStore(f"sqlite:///{tmp_path}/records.db", "fraud") as reviews:
        yield ReviewQueue(reviews, SETTINGS)


def test_a_subject_is_referred_with_its_note_or_not_at_all(queue: ReviewQueue) -> None:
    with pytest.raises(RecordsError, match="note"):
        queue.refer(POLICY, payment(), "c1", "ann", NOVEMBER, note="x" * 20_000)
    assert queue.reviews.list_items("t1") == []
    assert queue.reviews.list_history("t1") == []
    for is_new in (True, False):
        assert is_new == queue.refer(POLICY, payment(), "c1", "ann", NOVEMBER, note="odd")
    (item,) = queue.reviews.list_items("t1")
    assert (item.skill, item.rule) == ("senior", "referred")
    history = queue.reviews.list_history("t1")
    assert [(entry.what, entry.who, entry.at) for entry in history] == [
        ("opened", "ann", NOVEMBER),
        ("noted", "ann", NOVEMBER),
    ]
    assert history[1].after == {"note": "odd"}


def test_what_is_to_come_into_the_queue_is_decided_there(
    queue: ReviewQueue, records: Records
) -> None:
    known = replace(payment(), subject_id="t2", decision="APPROVE")
    keep_decisions(records, [payment(), known])
    statement = Statement(id="s1", reviewer="ann", verdicts={"fraud": True}, at=NOVEMBER)
    result = queue.state(POLICY, [payment(), known], statement, NOVEMBER)
    assert result.stated == ("t1", "t2")
    routed = POLICY.item(payment(), NOVEMBER + 1, SETTINGS)
    assert routed is not None
    assert queue.admit([routed], "routing") == 0, "it does not come again"
    rules = {name: [item.rule for item in queue.reviews.list_items(name)] for name in ("t1", "t2")}
    assert rules == {"t1": ["routed"], "t2": ["stated"]}
    assert queue.claim("bob", 9, NOVEMBER) == []
