"""Retrainings are kept with their steps; a killed one is continued; experiments are evidence."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import insert

from lib.records.schema import ERASURES, EXPERIMENT_CHANGES, EXPERIMENTS, INCIDENTS
from lib.retraining.promotion import EvidenceError, PromotionRepository
from lib.retraining.repository import (
    Retraining,
    RetrainingRepository,
    UnknownRetrainingError,
)


def retraining(number: int, system: str = "fraud", options: str = "o") -> Retraining:
    name = f"{system}-{number}"
    return Retraining(id=name, system=system, began_at=number, detail={"options": options})


@pytest.fixture
def repository(tmp_path: Path) -> RetrainingRepository:
    opened = RetrainingRepository(f"sqlite:///{tmp_path / 'records.db'}")
    opened.migrate()
    return opened


def test_one_that_was_killed_is_continued_with_its_steps(repository: RetrainingRepository) -> None:
    assert repository.insert(retraining(1))
    assert not repository.insert(retraining(1))
    repository.add_step("fraud-1", "labels", 5, data="d")
    repository.add_step("fraud-1", "trained", 6, model="m")
    repository.add_step("fraud-1", "labels", 7, data="e")
    present = repository.unfinished("fraud", "o")
    assert present is not None
    assert present.steps == ("trained", "labels")
    assert present.detail["steps"][1] == {"name": "labels", "at": 7, "data": "e"}
    assert repository.unfinished("fraud", "other") is None
    assert repository.unfinished("churn", "o") is None


def test_what_ended_stays_as_it_ended(repository: RetrainingRepository) -> None:
    repository.insert(retraining(1))
    repository.end("fraud-1", "published", "better", 9, "v2", "v1")
    repository.end("fraud-1", "failed", "no", 10)
    (kept,) = repository.list_of("fraud")
    assert (kept.decision, kept.ended_at, kept.version) == ("published", 9, "v2")
    assert kept.detail["reason"] == "better"
    assert repository.unfinished("fraud", "o") is None


def test_labels_of_a_failed_one_are_new_again(repository: RetrainingRepository) -> None:
    for number, decision in ((1, "not published"), (2, "failed")):
        repository.insert(retraining(number))
        labels = {"marks": {"received": number * 10}, "total": number}
        repository.describe(f"fraud-{number}", labels=labels)
        repository.end(f"fraud-{number}", decision, "why", number + 5)
    assert repository.learnt_labels("fraud") == {"marks": {"received": 10}, "total": 1}
    assert repository.learnt_labels("churn") == {}


def test_one_retraining_of_a_system_is_at_work_at_a_time(url: str) -> None:
    with RetrainingRepository(url) as first, RetrainingRepository(url) as second:
        with first.working("fraud") as free:
            assert free
            with second.working("fraud") as same, second.working("churn") as other:
                assert (same, other) == (False, True)
        with second.working("fraud") as free_again:
            assert free_again


def test_those_cut_off_end_when_one_of_other_options_begins(
    repository: RetrainingRepository,
) -> None:
    repository.insert(retraining(1))
    repository.insert(retraining(2, options="other"))
    repository.end("fraud-2", "not published", "why", 3)
    repository.insert(retraining(3, system="churn"))
    repository.end_cut_off("fraud", 9)
    ended = {each.id: (each.decision, each.ended_at) for each in repository.list_of("fraud")}
    assert ended == {"fraud-1": ("failed", 9), "fraud-2": ("not published", 3)}
    assert repository.unfinished("churn", "o") is not None


def test_an_erasure_makes_copies_of_labels_stale(repository: RetrainingRepository) -> None:
    row = {"id": "e", "system": "fraud", "kind": "customer", "entity_hash": "h", "by": "ana"}
    with repository._database.writing() as connection:
        connection.execute(insert(ERASURES), [row | {"began_at": 5, "counts": {}}])
    assert repository.erased_since("fraud", 5)
    assert not repository.erased_since("fraud", 6)
    assert not repository.erased_since("churn", 5)


def test_an_unknown_one_is_an_error(repository: RetrainingRepository) -> None:
    with pytest.raises(UnknownRetrainingError, match="there is no retraining 'x'"):
        repository.add_step("x", "labels", 1)


def test_open_incidents_are_those_of_the_system(repository: RetrainingRepository) -> None:
    row = {"kind": "moved mean", "measure": "amount", "since": 1, "opened_at": 1, "seen_at": 1}
    rows = [
        row | {"id": "a", "system": "fraud", "closed_at": None, "detail": {}},
        row | {"id": "b", "system": "fraud", "closed_at": 5, "detail": {}},
        row | {"id": "c", "system": "churn", "closed_at": None, "detail": {}},
    ]
    with repository._database.writing() as connection:
        connection.execute(insert(INCIDENTS), rows)
    assert repository.open_incidents("fraud") == ["a"]
    assert repository.open_incidents("moderation") == []


@pytest.fixture
def experiments(repository: RetrainingRepository, tmp_path: Path) -> PromotionRepository:
    row = {
        "id": "e1", "system": "fraud", "key": "k", "declaration": {"name": "spring"},
        "share": 0.5, "started_at": 1,
    }  # fmt: skip
    with repository._database.writing() as connection:
        connection.execute(insert(EXPERIMENTS), [row])
    return PromotionRepository(f"sqlite:///{tmp_path / 'records.db'}")


def judged(repository: RetrainingRepository, sentence: str) -> None:
    row = {
        "experiment_id": "e1", "action": "judged", "by": "ana", "at": 2,
        "detail": {"verdict": {"sentence": sentence}},
    }  # fmt: skip
    with repository._database.writing() as connection:
        connection.execute(insert(EXPERIMENT_CHANGES), [row])


def test_the_last_verdict_of_an_experiment_is_evidence(
    repository: RetrainingRepository, experiments: PromotionRepository
) -> None:
    judged(repository, "go on")
    judged(repository, "the challenger keeps 12,400 USD a week more; promote")
    for name in ("spring", "e1"):
        verdict = experiments.judged("fraud", name)
        assert verdict.id == "e1"
        assert verdict.evidence.statement.endswith("a week more; promote")
    for _ in range(2):
        experiments.note_promotion("e1", "champion", "v", at=3, by="ana")
    with repository._database.reading() as connection:
        rows = connection.execute(EXPERIMENT_CHANGES.select()).all()
    assert [(row.action, row.by) for row in rows][2:] == [("promoted", "ana")]


def test_an_experiment_without_a_verdict_is_no_evidence(experiments: PromotionRepository) -> None:
    with pytest.raises(EvidenceError, match="experiment spring has no verdict yet"):
        experiments.judged("fraud", "spring")
    with pytest.raises(EvidenceError, match=r"one of the experiments of fraud: spring; got 'x'"):
        experiments.judged("fraud", "x")
    with pytest.raises(EvidenceError, match=r"of churn: \(there are none\)"):
        experiments.judged("churn", "spring")
