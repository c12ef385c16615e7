"""What cannot be scored again waits longer each time, then is parked; the others go on."""

from lib.records import Records
from lib.records.rescoring import pause_us
from tests.records.conftest import NOVEMBER, SECOND, decision, keep_decisions


def fallbacks(records: Records, *subjects: str) -> None:
    keep_decisions(
        records,
        [
            decision(name, method="fallback", decided_at=NOVEMBER + index)
            for index, name in enumerate(subjects)
        ],
    )


def claim(records: Records, at: int, limit: int = 10) -> list[str]:
    now = NOVEMBER + at * SECOND
    decisions = records.to_rescore("fraud", limit, worker="w", now=now, lease=SECOND)
    return [record.subject_id for record in decisions]


def fail(records: Records, subject: str, at: int) -> bool:
    now = NOVEMBER + at * SECOND
    return records.fail_rescore("fraud", subject, "OverflowError", now=now)


def test_one_that_fails_is_passed_over_and_tried_again_later(records: Records) -> None:
    fallbacks(records, "bad", "good")
    assert claim(records, 0, limit=1) == ["bad"]
    assert not fail(records, "bad", 0)
    assert claim(records, 1, limit=1) == ["good"]
    assert claim(records, 29) == ["good"]
    assert claim(records, 30) == ["bad", "good"]


def test_after_some_failures_it_is_parked_until_someone_says_otherwise(records: Records) -> None:
    fallbacks(records, "bad")
    assert [fail(records, "bad", 5_000 * times) for times in range(8)] == [False] * 7 + [True]
    assert claim(records, 100_000) == []
    assert records.rescore_backlog("fraud") == 0
    rescore = records.rescore("fraud", "bad")
    assert rescore is not None
    assert (rescore.failures, rescore.fault) == (8, "OverflowError")
    assert records.list_parked("fraud") == [rescore]
    assert records.unpark_rescores("fraud", ["bad"]) == 1
    assert claim(records, 100_000) == ["bad"]


def test_pauses_grow_up_to_a_limit() -> None:
    pauses = [pause_us(failures) // SECOND for failures in (1, 2, 3, 30, 10**6)]
    assert pauses == [30, 60, 120, 3600, 3600]


def test_what_was_not_tried_is_free_at_once(records: Records) -> None:
    fallbacks(records, "t1")
    assert claim(records, 0) == ["t1"]
    records.give_back("fraud", ["t1"])
    assert claim(records, 0) == ["t1"]


def test_a_worker_whose_clock_is_ahead_takes_no_live_lease(records: Records) -> None:
    fallbacks(records, "t1")
    assert [record.subject_id for record in records.to_rescore("fraud", 1, worker="w1")] == ["t1"]
    assert records.to_rescore("fraud", 1, worker="w2") == []


def test_an_answer_after_a_failure_stands(records: Records) -> None:
    fallbacks(records, "t1")
    fail(records, "t1", 0)
    assert records.mark_rescored("fraud", "t1", {"decision": "APPROVE"}, NOVEMBER)
    assert not fail(records, "t1", 1)
