"""Experiments keep their promises on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace

import pytest

from lib.experiment import repository
from lib.experiment.errors import ExperimentEndedError, ExperimentError
from lib.experiment.models import RecordedDecision
from lib.experiment.repository import ExperimentRepository
from lib.records import RecordsError
from tests.experiment.factories import CHALLENGER, DAY, experiment, experiment_decision
from tests.records.conftest import NOVEMBER, SECOND, migrated


@pytest.fixture
def experiments(url: str) -> Iterator[ExperimentRepository]:
    with migrated(ExperimentRepository(url)) as opened:
        yield opened


def test_a_started_experiment_runs_for_its_system_alone(experiments: ExperimentRepository) -> None:
    assert experiments.running("fraud") is None
    started = experiments.start(experiment(), by="ann", at=NOVEMBER)
    assert experiments.running("fraud") == started == experiments.find("fraud/november")
    assert experiments.running("churn") is None
    assert (len(started.key), started.share) == (32, 0.1)
    assert str(started.key) not in repr(started)
    assert [change.action for change in experiments.changes(started.id)] == ["started"]


def test_keys_differ_between_experiments(experiments: ExperimentRepository) -> None:
    one_key = experiments.start(experiment(), by="ann", at=NOVEMBER).key
    churn = experiment(system="churn", entity="customer_id")
    assert experiments.start(churn, by="ann", at=NOVEMBER).key != one_key


def test_one_runs_at_a_time_and_a_name_is_used_once(experiments: ExperimentRepository) -> None:
    experiments.start(experiment(), by="ann", at=NOVEMBER)
    with pytest.raises(ExperimentError, match=r"fraud/november of fraud runs since 2026-11-23T10"):
        experiments.start(experiment(name="other"), by="ann", at=NOVEMBER)
    experiments.end("fraud/november", by="ann", reason="enough", at=NOVEMBER + SECOND)
    with pytest.raises(ExperimentError, match="another name draws other arms"):
        experiments.start(experiment(), by="ann", at=NOVEMBER + 2 * SECOND)
    experiments.start(experiment(name="other"), by="ann", at=NOVEMBER + 2 * SECOND)
    listed = [stored.id for stored in experiments.list_of_system("fraud")]
    assert listed == ["fraud/other", "fraud/november"]


def test_of_two_that_start_at_once_one_runs(url: str, experiments: ExperimentRepository) -> None:
    def start(name: str) -> bool:
        with ExperimentRepository(url) as other:
            try:
                other.start(experiment(name=name), by="ann", at=NOVEMBER)
            except ExperimentError:
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(start, "abcd")) == 1
    assert len(experiments.list_of_system("fraud")) == 1


@pytest.mark.parametrize("changes", [{"challenger": "challenger"}, {"until": NOVEMBER}])
def test_what_cannot_run_is_not_started(
    experiments: ExperimentRepository, changes: dict[str, object]
) -> None:
    with pytest.raises(ExperimentError):
        experiments.start(experiment(**changes), by="ann", at=NOVEMBER)
    assert experiments.running("fraud") is None
    assert experiments.changes("fraud/november") == []


def test_a_share_is_raised_and_never_lowered(experiments: ExperimentRepository) -> None:
    started = experiments.start(experiment(), by="ann", at=NOVEMBER)
    raised = experiments.raise_share(started.id, 0.3, by="bob", at=NOVEMBER + SECOND)
    assert raised == replace(started, share=0.3) == experiments.running("fraud")
    assert experiments.raise_share(started.id, 0.3, by="bob", at=NOVEMBER + SECOND) == raised
    with pytest.raises(ExperimentError, match=r"expected at least the present 0.3, got 0.2"):
        experiments.raise_share(started.id, 0.2, by="bob", at=NOVEMBER)
    with pytest.raises(ExperimentError, match="promote the challenger instead"):
        experiments.raise_share(started.id, 1.0, by="bob", at=NOVEMBER)
    changes = experiments.changes(started.id)
    assert [(change.action, change.by) for change in changes] == [
        ("started", "ann"),
        ("share raised", "bob"),
    ]
    assert changes[1].detail == {"before": 0.1, "after": 0.3}


def test_the_first_end_stands(experiments: ExperimentRepository) -> None:
    started = experiments.start(experiment(), by="ann", at=NOVEMBER)
    ended = experiments.end(started.id, by="guardrail", reason="p99 80 ms", at=NOVEMBER + SECOND)
    assert experiments.running("fraud") is None
    for change in (
        lambda: experiments.end(started.id, by="ann", reason="bored", at=NOVEMBER + DAY),
        lambda: experiments.raise_share(started.id, 0.5, by="ann", at=NOVEMBER + DAY),
    ):
        with pytest.raises(ExperimentEndedError, match=r"ended before, at .* by guardrail: p99"):
            change()
    assert experiments.find(started.id) == ended
    assert len(experiments.changes(started.id)) == 2


def test_a_judgement_is_added_also_after_the_end(experiments: ExperimentRepository) -> None:
    started = experiments.start(experiment(), by="ann", at=NOVEMBER)
    experiments.end(started.id, by="ann", reason="enough", at=NOVEMBER + SECOND)
    experiments.record_judgement(started.id, {"promote": True}, by="ann", at=NOVEMBER + DAY)
    assert experiments.changes(started.id)[-1].detail == {"promote": True}


def test_an_unknown_experiment_is_named_with_those_that_are_there(
    experiments: ExperimentRepository,
) -> None:
    experiments.start(experiment(), by="ann", at=NOVEMBER)
    with pytest.raises(ExperimentError, match=r"no 'fraud/x'; there is fraud/november"):
        experiments.end("fraud/x", by="ann", reason="r", at=NOVEMBER)
    with pytest.raises(ExperimentError, match="there is none of churn"):
        experiments.record_judgement("churn/x", {}, by="ann", at=NOVEMBER)
    with pytest.raises(RecordsError, match="by: "):
        experiments.end("fraud/november", by="", reason="r", at=NOVEMBER)


def test_decisions_are_stored_once_and_read_in_pages(
    experiments: ExperimentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "_ROWS_PER_PAGE", 3)
    rows = [experiment_decision(number, decided_at=NOVEMBER + number // 4) for number in range(20)]
    rows[3] = replace(rows[3], challenger_score=None, fault="TimeoutError")
    assert experiments.insert_decisions(rows[:12]) == 12
    assert experiments.insert_decisions([replace(rows[0], arm="challenger"), *rows[8:]]) == 8
    expected = sorted(rows, key=lambda row: (row.decided_at, row.subject_id))
    assert list(experiments.decisions("fraud/november")) == expected
    some = experiments.decisions("fraud/november", NOVEMBER + 1, NOVEMBER + 3)
    assert list(some) == [row for row in expected if 1 <= row.decided_at - NOVEMBER < 3]
    assert list(experiments.decisions("fraud/other")) == []
    judged = list(experiments.recorded("fraud/november", NOVEMBER + 3))
    names = [field.name for field in fields(RecordedDecision)]
    assert [[getattr(row, name) for name in names] for row in judged] == [
        [getattr(row, name) for name in names] for row in expected if row.decided_at < NOVEMBER + 3
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [("arm", "both"), ("entity_id", ""), ("challenger_score", float("nan")), ("event_time", 1.5)],
)
def test_a_wrong_row_is_refused(field: str, value: object) -> None:
    with pytest.raises(RecordsError, match=f"{field}: expected"):
        experiment_decision(1, **{field: value})


def test_arms_follow_from_the_stored_key(experiments: ExperimentRepository) -> None:
    ab = experiments.start(experiment(share=0.5), by="ann", at=NOVEMBER)
    shadow = experiments.start(
        experiment(system="churn", mode="shadow", share=0.5), by="ann", at=NOVEMBER
    )
    entities = [f"u{number}" for number in range(200)]
    assert {ab.deciding_arm(entity) for entity in entities} == {"champion", "challenger"}
    assert all(ab.is_scored(entity) for entity in entities)
    assert {shadow.deciding_arm(entity) for entity in entities} == {"champion"}
    assert 60 < sum(shadow.is_scored(entity) for entity in entities) < 140
    assert not ab.is_past(NOVEMBER)
    assert ab.is_past(NOVEMBER + 14 * DAY)
    assert ab.declaration.challenger == CHALLENGER
