from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.records import Records, RecordsError
from tests.records.conftest import NOVEMBER, SECOND, decision, keep_decisions


def fallback(subject_id: str, number: int = 0) -> object:
    return decision(subject_id, method="fallback", decided_at=NOVEMBER + number)


@pytest.fixture
def queue(records: Records) -> Records:
    """Five fallback decisions and one of the model."""
    keep_decisions(records, [fallback(f"t{number}", number) for number in range(5)])
    keep_decisions(records, [decision("model")])
    return records


def claim(records: Records, limit: int = 10, worker: str = "w1", now: int = NOVEMBER) -> list[str]:
    decisions = records.to_rescore("fraud", limit, worker=worker, now=now, lease=60 * SECOND)
    return [record.subject_id for record in decisions]


def test_only_fallback_decisions_wait_oldest_first(queue: Records) -> None:
    assert queue.rescore_backlog("fraud") == 5
    assert claim(queue) == ["t0", "t1", "t2", "t3", "t4"]


def test_a_pending_decision_waits_too(records: Records) -> None:
    keep_decisions(records, [decision("video", method="pending")])
    assert claim(records) == ["video"]


def test_a_claim_keeps_others_away_until_its_lease_ends(queue: Records) -> None:
    assert claim(queue, limit=2) == ["t0", "t1"]
    assert claim(queue, limit=2, worker="w2") == ["t2", "t3"]
    assert claim(queue, worker="w3", now=NOVEMBER + 59 * SECOND) == ["t4"]
    assert claim(queue, worker="w3", now=NOVEMBER + 60 * SECOND) == ["t0", "t1", "t2", "t3"]


def test_both_answers_are_kept(queue: Records) -> None:
    claim(queue)
    assert queue.mark_rescored("fraud", "t0", {"decision": "DECLINE"}, NOVEMBER + SECOND)
    rescore = queue.rescore("fraud", "t0")
    assert rescore is not None
    assert rescore.answer == {"decision": "DECLINE"}
    assert rescore.rescored_at == NOVEMBER + SECOND
    assert queue.decision("fraud", "t0") == fallback("t0")
    assert queue.rescore_backlog("fraud") == 4


def test_the_first_new_answer_stays(queue: Records) -> None:
    assert queue.mark_rescored("fraud", "t0", {"n": 1}, NOVEMBER)
    assert not queue.mark_rescored("fraud", "t0", {"n": 2}, NOVEMBER)
    rescore = queue.rescore("fraud", "t0")
    assert rescore is not None
    assert rescore.answer == {"n": 1}


def test_what_was_scored_again_is_not_claimed_again(queue: Records) -> None:
    queue.mark_rescored("fraud", "t0", {}, NOVEMBER)
    keep_decisions(queue, [fallback("t0")])
    assert "t0" not in claim(queue, now=NOVEMBER + 3600 * SECOND)


def test_attempts_are_counted(queue: Records) -> None:
    claim(queue, limit=1)
    claim(queue, limit=1, now=NOVEMBER + 3600 * SECOND)
    rescore = queue.rescore("fraud", "t0")
    assert rescore is not None
    assert rescore.attempts == 2


def test_a_fallback_that_came_second_is_not_queued(records: Records) -> None:
    keep_decisions(records, [decision("t1")])
    keep_decisions(records, [fallback("t1", 3 * SECOND)])
    assert records.rescore_backlog("fraud") == 0


def test_what_was_never_queued_cannot_be_marked(queue: Records) -> None:
    with pytest.raises(RecordsError, match="'model': expected a decision of a fallback"):
        queue.mark_rescored("fraud", "model", {}, NOVEMBER)


def test_racing_workers_share_the_queue_without_overlap(records: Records) -> None:
    keep_decisions(records, [fallback(f"t{number:03}", number) for number in range(200)])
    with ThreadPoolExecutor(4) as pool:
        claims = pool.map(lambda turn: claim(records, 10, f"w{turn}"), range(24))
    claimed = [subject for subjects in claims for subject in subjects]
    assert len(claimed) == len(set(claimed)) == 200


def test_a_limit_out_of_range_is_refused(records: Records) -> None:
    with pytest.raises(RecordsError, match="limit: expected 1 to 1000, got 0"):
        claim(records, limit=0)
