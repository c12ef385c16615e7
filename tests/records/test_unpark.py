"""An operator lists what is parked and lets it be scored again."""

from __future__ import annotations

import pytest

from jobs.records.unpark import UnparkConfig, main
from lib.records import Records, RecordsError
from lib.records.rescoring import DECISION_ABSENT, MOST_FAILURES
from tests.records.conftest import NOVEMBER, SECOND, decision, keep_decisions


def park(records: Records, fault: str, *subjects: str, system: str = "fraud") -> None:
    keep_decisions(records, [decision(name, system=system, method="fallback") for name in subjects])
    for index, name in enumerate(subjects):
        now = NOVEMBER + index * SECOND
        is_parked = [
            records.fail_rescore(system, name, fault, now=now) for _ in range(MOST_FAILURES)
        ]
        assert is_parked[-1]


def parked(records: Records, system: str) -> int:
    return len(records.list_parked(system))


def claimed(records: Records) -> set[str]:
    decisions = records.to_rescore("fraud", 100, worker="w", now=NOVEMBER, lease=SECOND)
    return {each.subject_id for each in decisions}


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_what_is_parked_is_listed_counted_and_released(
    url: str, records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    park(records, "OverflowError", "t1", "t2", "t3")
    park(records, "DataError", "t4")
    park(records, "OverflowError", "p1", system="moderation")
    assert main(UnparkConfig("fraud", url, dry_run=True)) == 0
    assert printed(capsys)[-1] == "would be released: 4"
    assert claimed(records) == set()

    assert main(UnparkConfig("fraud", url, show=2)) == 4
    lines = printed(capsys)
    assert lines[2] == "t1 2026-11-23 10:15:00Z 8 OverflowError"
    assert lines[4:] == [
        "... and 2 more; --show 4 lists all",
        "parked in fraud: 4",
        "3 OverflowError",
        "1 DataError",
        "released: 4",
    ]
    assert claimed(records) == {"t1", "t2", "t3", "t4"}
    assert (parked(records, "fraud"), parked(records, "moderation")) == (0, 1)
    assert main(UnparkConfig("fraud", url)) == 0
    assert printed(capsys) == ["parked in fraud: 0", "released: 0"]


def test_some_are_chosen_by_id_or_by_fault(url: str, records: Records) -> None:
    park(records, "OverflowError", "t1", "t2")
    park(records, "DataError", "t3")
    assert main(UnparkConfig("fraud", url, fault="DataError")) == 1
    assert claimed(records) == {"t3"}
    with pytest.raises(RecordsError, match="1 of 2 ids are not parked in fraud"):
        main(UnparkConfig("fraud", url, subject=("t2", "t9")))
    assert parked(records, "fraud") == 2
    assert main(UnparkConfig("fraud", url, subject=("t2",))) == 1
    assert parked(records, "fraud") == 1


def test_what_is_gone_stays_parked_and_what_is_answered_is_not_listed(
    url: str, records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    park(records, DECISION_ABSENT, "t1")
    park(records, "OverflowError", "t2", "t3")
    # a worker that held it still answered after it was parked
    assert records.mark_rescored("fraud", "t3", {"decision": "APPROVE"}, NOVEMBER)
    assert main(UnparkConfig("fraud", url)) == 1
    assert printed(capsys)[-2:] == ["released: 1", f"still parked: 1, {DECISION_ABSENT}"]
    assert claimed(records) == {"t2"}


def test_more_than_one_statement_takes_are_released(
    url: str, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.records.rescoring._KEYS_PER_QUERY", 2)
    park(records, "OverflowError", "t1", "t2", "t3", "t4", "t5")
    assert main(UnparkConfig("fraud", url, show=0)) == 5
    assert records.rescore_backlog("fraud") == 5
