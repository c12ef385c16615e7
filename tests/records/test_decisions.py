import math
from pathlib import Path

import pytest

from lib.records import DecisionLog, DecisionOutcome, Records, RecordsError
from tests.records.conftest import (
    NOVEMBER,
    SECOND,
    append,
    count_decisions,
    decision,
    keep_decisions,
)


def test_a_decision_comes_back_as_it_was_recorded(records: Records) -> None:
    keep_decisions(records, [decision("t1")])
    assert records.decision("fraud", "t1") == decision("t1")


def test_an_unknown_subject_has_no_decision(records: Records) -> None:
    assert records.decision("fraud", "t1") is None


def test_the_first_decision_wins(records: Records) -> None:
    keep_decisions(records, [decision("t1", decision="APPROVE")])
    outcome = keep_decisions(records, [decision("t1", decision="DECLINE"), decision("t2")])
    assert outcome == DecisionOutcome(stored=1, repeated=1)
    assert records.decision("fraud", "t1") == decision("t1", decision="APPROVE")


def test_the_first_of_two_in_one_batch_wins(records: Records) -> None:
    batch = [decision("t1", request_id="first"), decision("t1", request_id="second")]
    assert keep_decisions(records, batch) == DecisionOutcome(stored=1, repeated=1)
    record = records.decision("fraud", "t1")
    assert record is not None
    assert record.request_id == "first"


def test_two_systems_may_decide_about_the_same_id(records: Records) -> None:
    keep_decisions(records, [decision("t1"), decision("t1", system="churn")])
    assert count_decisions(records, "fraud") == 1
    assert count_decisions(records, "churn") == 1


def test_the_answer_comes_back_verbatim(records: Records) -> None:
    answer = {"z": 1, "a": [0.1, None, True], "text": "Zoë \x00 \u2028", "m": {"b": 1, "a": 2}}
    keep_decisions(records, [decision("t1", answer=answer)])
    record = records.decision("fraud", "t1")
    assert record is not None
    assert record.answer == answer
    assert list(record.answer) == list(answer)


def test_a_missing_feature_stays_missing_and_infinity_stays_infinite(records: Records) -> None:
    features = {"missing": math.nan, "high": math.inf, "low": -math.inf, "exact": 0.1 + 0.2}
    keep_decisions(records, [decision("t1", features=features)])
    record = records.decision("fraud", "t1")
    assert record is not None
    assert math.isnan(record.features["missing"])
    assert record.features["high"] == math.inf
    assert record.features["low"] == -math.inf
    assert record.features["exact"] == 0.1 + 0.2


def test_a_range_is_replayed_in_the_order_of_its_events(records: Records) -> None:
    decisions = [decision(f"t{n}", event_time=NOVEMBER + (7 * n) % 2500) for n in range(2500)]
    keep_decisions(records, decisions)
    replayed = list(records.decisions("fraud", NOVEMBER, NOVEMBER + 2499))
    assert replayed == sorted(decisions, key=lambda record: record.event_time)[:-1]


def test_an_empty_batch_changes_nothing(records: Records) -> None:
    assert keep_decisions(records, []) == DecisionOutcome(stored=0, repeated=0)


def test_a_large_batch_is_counted_exactly(records: Records) -> None:
    batch = [decision(f"t{number}") for number in range(5000)]
    assert keep_decisions(records, batch[:3000]) == DecisionOutcome(stored=3000, repeated=0)
    assert keep_decisions(records, batch) == DecisionOutcome(stored=2000, repeated=3000)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subject_id", ""),
        ("subject_id", "t\0"),
        ("subject_id", "\ud800"),
        ("subject_id", "é" * 257),
        ("system", None),
        ("event_time", 1.5),
        ("event_time", -1),
        ("decided_at", True),
        ("received_at", NOVEMBER * 1000),
        ("score", "high"),
        ("score", math.nan),
        ("method", ""),
        ("rule_id", 7),
    ],
)
def test_a_malformed_field_is_named(field: str, value: object) -> None:
    with pytest.raises(RecordsError, match=f"{field}: expected"):
        decision(**{"subject_id": "t1"} | {field: value})


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
def test_whichever_is_stored_first_the_earliest_stands(
    records: Records, tmp_path: Path, order: tuple[int, ...]
) -> None:
    day = 86_400 * SECOND
    several = [
        decision(
            "t1", decided_at=NOVEMBER + n // 2, request_id=f"q{n}", received_at=NOVEMBER + n * day
        )
        for n in range(3)
    ]
    with DecisionLog(tmp_path / "journal") as log:
        for index in order:
            append(log, several[index])
        assert log.find("fraud", "t1") == several[0]
    stored = [keep_decisions(records, [several[index]]).stored for index in order]
    assert stored == [1, 0, 0]
    assert records.decision("fraud", "t1") == several[0]
    assert list(records.decisions("fraud", 0, 2**60)) == [several[0]]
