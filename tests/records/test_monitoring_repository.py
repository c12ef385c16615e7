"""Windows and incidents keep their promises on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from lib.monitoring.repository import (
    MonitoredWindow,
    MonitoringRepository,
    ObservedIncident,
    Recorded,
)
from tests.records.conftest import NOVEMBER, migrated

DAY = 86_400_000_000


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


def observed(
    first: int, last: int, closed: int | None = None, **changes: object
) -> ObservedIncident:
    """An incident of days `first` to `last`, by their ends."""
    incident = ObservedIncident(
        measure="amount",
        kind="mean moved",
        since=end(first - 1),
        opened_at=end(first),
        seen_at=end(last),
        closed_at=None if closed is None else end(closed),
        detail={"effect": 0.3},
    )
    return replace(incident, **changes)  # type: ignore[arg-type]


def test_the_same_window_twice_changes_nothing(repository: MonitoringRepository) -> None:
    detail = {"segments": ({"merchant_id": "m1"},), "effect": 1.0}
    first = repository.record("fraud", [window(1)], [observed(1, 1, detail=detail)], end(1))
    assert (first.windows, len(first.opened)) == (1, 1)
    before = repository.open_incidents("fraud")
    later = replace(window(1), created_at=end(9))
    again = repository.record("fraud", [later], [observed(1, 1, detail=detail)], end(1))
    assert again == Recorded()
    assert repository.open_incidents("fraud") == before
    assert repository.windows("fraud", 0, end(9)) == [window(1)]


def test_an_incident_is_opened_seen_again_and_closed(repository: MonitoringRepository) -> None:
    repository.record("fraud", [], [observed(1, 1)], end(1))
    grown = observed(1, 2, kind="unit changed", detail={"effect": 0.5})
    again = repository.record("fraud", [], [grown], end(2))
    (incident,) = repository.open_incidents("fraud")
    assert again.seen_again == (incident.id,)
    assert (incident.since, incident.opened_at, incident.seen_at) == (NOVEMBER, end(1), end(2))
    assert (incident.kind, incident.detail) == ("unit changed", {"effect": 0.5})
    assert repository.count_open("fraud") == 1
    closed_too = observed(1, 2, closed=3, kind="unit changed", detail={"effect": 0.5})
    assert repository.record("fraud", [], [closed_too], end(3)).closed == (incident.id,)
    assert repository.count_open("fraud") == 0
    (closed,) = repository.incidents("fraud", end(0), end(9))
    assert closed == replace(incident, closed_at=end(3))
    assert repository.incidents("fraud", end(3), end(9)) == []


def test_an_incident_that_began_and_ended_within_the_run_is_recorded(
    repository: MonitoringRepository,
) -> None:
    changed = repository.record("fraud", [], [observed(1, 2, closed=3), observed(5, 6)], end(6))
    assert len(changed.opened) == 2
    incidents = repository.incidents("fraud", 0, end(9))
    assert [incident.closed_at for incident in incidents] == [end(3), None]
    assert (
        repository.record("fraud", [], [observed(1, 2, closed=3), observed(5, 6)], end(6))
        == Recorded()
    )


def test_a_run_that_begins_later_sees_the_same_incident(repository: MonitoringRepository) -> None:
    repository.record("fraud", [], [observed(1, 4)], end(4))
    (incident,) = repository.open_incidents("fraud")
    changed = repository.record("fraud", [], [observed(3, 5)], end(5))
    assert changed == Recorded(seen_again=(incident.id,))
    assert [i.since for i in repository.open_incidents("fraud")] == [NOVEMBER]


def test_a_run_with_later_windows_closes_what_it_does_not_see(
    repository: MonitoringRepository,
) -> None:
    repository.record("fraud", [], [observed(1, 1)], end(1))
    assert len(repository.record("fraud", [], [], end(2)).closed) == 1
    assert repository.count_open("fraud") == 0


def test_a_past_window_neither_closes_nor_reopens(repository: MonitoringRepository) -> None:
    other = observed(2, 3, measure="hour_of_day")
    repository.record("fraud", [], [observed(1, 3), other], end(3))
    repository.record("fraud", [], [observed(1, 4), replace(other, closed_at=end(4))], end(4))
    assert repository.record("fraud", [], [], end(3)) == Recorded()
    assert (
        repository.record("fraud", [], [observed(2, 2, measure="hour_of_day")], end(2))
        == Recorded()
    )
    assert [incident.measure for incident in repository.open_incidents("fraud")] == ["amount"]


def test_a_measure_that_could_not_be_judged_keeps_its_incident(
    repository: MonitoringRepository,
) -> None:
    repository.record("fraud", [], [observed(1, 1)], end(1))
    assert repository.record("fraud", [], [], end(2), unjudged=["amount"]) == Recorded()
    assert repository.count_open("fraud") == 1


def test_systems_do_not_close_each_others_incidents(repository: MonitoringRepository) -> None:
    repository.record("fraud", [], [observed(1, 1)], end(1))
    repository.record("churn", [], [observed(1, 1)], end(1))
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
            threads.submit(repository.record, "fraud", [window(1)], [observed(1, 1)], end(1))
            for _ in range(4)
        ]
    outcomes = [call.result() for call in calls]
    assert sum(len(outcome.opened) for outcome in outcomes) == 1
    assert sum(outcome.windows for outcome in outcomes) == 1
