"""Windows and incidents keep their promises on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from lib.monitoring.repository import (
    MonitoredWindow,
    MonitoringRepository,
    Recorded,
    StandingChange,
)
from tests.records.conftest import NOVEMBER, migrated

DAY = 86_400_000_000
CHANGE = StandingChange(kind="moved_mean", measure="amount", since=NOVEMBER, detail={"size": 0.3})


@pytest.fixture
def repository(url: str) -> Iterator[MonitoringRepository]:
    with migrated(MonitoringRepository(url)) as opened:
        yield opened


def end(day: int) -> int:
    return NOVEMBER + day * DAY


def window(day: int, rows: int = 10) -> MonitoredWindow:
    return MonitoredWindow(
        system="fraud",
        model_version="v1",
        since=end(day - 1),
        until=end(day),
        created_at=end(day) + 5,
        summary={"rows": rows, "shares": [0.5, None]},
    )


def test_the_same_window_twice_changes_nothing(repository: MonitoringRepository) -> None:
    first = repository.record("fraud", [window(1)], [CHANGE], end(1))
    assert (first.windows, len(first.opened)) == (1, 1)
    before = repository.open_incidents("fraud")
    later = replace(window(1), created_at=end(9))
    assert repository.record("fraud", [later], [CHANGE], end(1)) == Recorded()
    assert repository.open_incidents("fraud") == before
    assert repository.windows("fraud", 0, end(9)) == [window(1)]


def test_an_incident_is_opened_seen_again_and_closed(repository: MonitoringRepository) -> None:
    repository.record("fraud", [], [CHANGE], end(1))
    grown = replace(CHANGE, since=NOVEMBER + 7, detail={"size": 0.5})
    again = repository.record("fraud", [], [grown], end(2))
    (incident,) = repository.open_incidents("fraud")
    assert again.seen_again == (incident.id,)
    assert (incident.since, incident.opened_at, incident.seen_at) == (NOVEMBER, end(1), end(2))
    assert incident.detail == {"size": 0.5}
    assert repository.count_open("fraud") == 1
    assert repository.record("fraud", [], [], end(3)).closed == (incident.id,)
    assert repository.count_open("fraud") == 0
    (closed,) = repository.incidents("fraud", end(0), end(9))
    assert closed == replace(incident, closed_at=end(3))
    assert repository.incidents("fraud", end(3), end(9)) == []


def test_a_change_that_comes_back_reopens_or_opens_another(
    repository: MonitoringRepository,
) -> None:
    repository.record("fraud", [], [CHANGE], end(1))
    repository.record("fraud", [], [], end(2))
    assert len(repository.record("fraud", [], [CHANGE], end(3)).opened) == 1
    repository.record("fraud", [], [], end(4))
    repository.record("fraud", [], [replace(CHANGE, since=end(5))], end(6))
    incidents = repository.incidents("fraud", 0, end(9))
    assert [(i.since, i.closed_at) for i in incidents] == [(NOVEMBER, end(4)), (end(5), None)]


def test_a_past_window_neither_closes_nor_opens(repository: MonitoringRepository) -> None:
    other = replace(CHANGE, measure="hour_of_day")
    repository.record("fraud", [], [CHANGE, other], end(3))
    repository.record("fraud", [], [CHANGE], end(4))
    assert repository.record("fraud", [], [], end(3)) == Recorded()
    assert repository.record("fraud", [], [other], end(4)) == Recorded()
    assert [i.measure for i in repository.open_incidents("fraud")] == ["amount"]


def test_a_measure_that_could_not_be_judged_keeps_its_incident(
    repository: MonitoringRepository,
) -> None:
    repository.record("fraud", [], [CHANGE], end(1))
    assert repository.record("fraud", [], [], end(2), unjudged=["amount"]) == Recorded()
    assert repository.count_open("fraud") == 1


def test_systems_do_not_close_each_others_incidents(repository: MonitoringRepository) -> None:
    repository.record("fraud", [], [CHANGE], end(1))
    repository.record("churn", [], [CHANGE], end(1))
    repository.record("churn", [], [], end(2))
    assert (repository.count_open("fraud"), repository.count_open("churn")) == (1, 0)


def test_a_window_that_is_measured_anew_is_replaced(repository: MonitoringRepository) -> None:
    repository.record("fraud", [window(1), window(2)], [], end(2))
    assert repository.record("fraud", [window(1, rows=12)], [], end(2)).windows == 1
    first, second = repository.windows("fraud", 0, end(9), "v1")
    assert (first.summary["rows"], second.summary["rows"]) == (12, 10)
    assert repository.windows("fraud", 0, end(9), "v2") == []


def test_two_jobs_at_once_open_an_incident_once(repository: MonitoringRepository) -> None:
    with ThreadPoolExecutor(4) as threads:
        calls = [
            threads.submit(repository.record, "fraud", [window(1)], [CHANGE], end(1))
            for _ in range(4)
        ]
    outcomes = [call.result() for call in calls]
    assert sum(len(outcome.opened) for outcome in outcomes) == 1
    assert sum(outcome.windows for outcome in outcomes) == 1
