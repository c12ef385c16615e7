"""Retraining of the fraud model: what wins is published, and the words say why it does or not."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from sqlalchemy import insert

from jobs.fraud import retrain, train
from jobs.fraud.retrain import RetrainConfig
from jobs.fraud.training_config import TrainConfig
from lib.contract import ContractError
from lib.fraud.model.time_split import Lengths
from lib.records.errors import RecordsError
from lib.records.schema import INCIDENTS
from lib.registry import ArtifactError, Registry
from lib.registry.manifest import new_manifest
from lib.retraining.comparison import ComparisonError
from lib.retraining.margin import MarginError
from lib.retraining.repository import Retraining, RetrainingRepository
from tests.conftest import on_two_cores
from tests.fraud.changed_fraud import PaymentFiles, write_payments
from tests.fraud.small_retraining import SMALL, options
from tests.jobs.retraining_records import (
    add_fact,
    kept_retrainings,
    published_challenger,
    train_champion,
)

pytestmark = on_two_cores(minutes=10)

CHANGE, DAYS = 40, 80
NOW = 1_795_000_000_000_000


@pytest.fixture(scope="module")
def early(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry whose champion learnt from the days before the fraudsters change."""
    folder = tmp_path_factory.mktemp("early")
    files = write_payments(folder, days=DAYS, until=CHANGE)
    named = {"transactions": str(files.transactions), "labels": str(files.labels)}
    return train_champion(train.main, TrainConfig, SMALL | named, folder)


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> PaymentFiles:
    """The payments of all days, in which other crimes are committed from a day on."""
    return write_payments(tmp_path_factory.mktemp("changed"), days=DAYS, changes_on=CHANGE)


@pytest.fixture(scope="module")
def won(early: Path, changed: PaymentFiles, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("won")
    config = options(changed, early, folder)
    return config, retrain.main(config)


def test_a_challenger_that_learnt_of_the_change_is_published(won) -> None:
    config, result = won
    registry = published_challenger("fraud", config, result)
    assert "better by more than the margin of 0 a week" in result["decision"]
    change = registry.history("fraud")[-1]
    assert change.by.startswith("jobs.fraud.retrain fraud-")
    assert change.evidence is not None
    assert change.evidence.statement == result["decision"]
    own = Path(config.output) / f"retraining/{result['id']}/report.json"
    assert change.evidence.name == str(own)
    assert change.evidence.sha256 == hashlib.sha256(own.read_bytes()).hexdigest()
    report = json.loads((Path(config.output) / "retraining/report.json").read_text())
    assert report["money_gain"]["low"] > 0
    assert report["challenger"]["version"] == result["version"]
    assert report["champion"]["version"] == registry.resolve("fraud", "champion")


def test_each_step_is_in_the_records_with_its_digests(won) -> None:
    config, result = won
    (kept,) = kept_retrainings(str(config.records), "fraud")
    assert kept.decision == "published"
    assert kept.steps == ("labels", "trained", "compared", "published")
    trained = kept.detail["steps"][1]
    manifest = Registry(str(config.registry)).manifest("fraud", result["version"])
    assert trained["model"] == manifest.digest
    assert trained["data"] == manifest.data_fingerprint
    assert len(trained["code"]) == len(kept.detail["steps"][0]["data"]) == 64


def test_with_nothing_new_the_same_command_ends_with_a_message(won) -> None:
    config, _ = won
    before = Registry(str(config.registry)).versions("fraud")
    again = retrain.main(config)
    assert (
        again["decision"] == "nothing trained: 0 new labels since the last time, expected --least 1"
    )
    assert Registry(str(config.registry)).versions("fraud") == before


def test_a_label_that_came_late_with_a_time_of_before_is_new(
    won, changed: PaymentFiles, tmp_path: Path
) -> None:
    config, _ = won
    labels = pq.read_table(changed.labels)
    ids = pq.read_table(changed.transactions)["transaction_id"]
    unlabelled = ids.filter(pc.invert(pc.is_in(ids, labels["transaction_id"])))
    late = labels.slice(0, 1).set_column(
        labels.schema.get_field_index("transaction_id"), "transaction_id", unlabelled.slice(0, 1)
    )
    pq.write_table(pa.concat_tables([labels, late]), tmp_path / "labels.parquet")
    later = replace(config, labels=str(tmp_path / "labels.parquet"), least=2)
    assert retrain.main(later)["decision"].startswith("nothing trained: 1 new labels since")


def test_two_at_once_do_not_write_to_one_output(won) -> None:
    config, _ = won
    at_work = "nothing trained: another retraining of fraud is at work"
    with RetrainingRepository(config.records) as other, other.working("fraud"):
        assert retrain.main(replace(config, least=0))["decision"] == at_work
    assert len(kept_retrainings(config.records, "fraud")) == 1


def test_a_challenger_that_gains_nothing_is_not_published_and_the_words_say_why(
    won, changed: PaymentFiles
) -> None:
    config, result = won
    registry = Registry(str(config.registry))
    registry.set_alias("fraud", "champion", result["version"], at=NOW, by="test")
    payment = pq.read_table(changed.transactions)["transaction_id"][0].as_py()
    add_fact(str(config.records), "fraud", payment, "fraud", NOW, value=False)
    kept = retrain.main(config)
    assert kept["won"] is False
    assert kept["decision"].startswith("not published: the lower limit of its gain, ")
    assert "does not beat the margin of 0; the challenger" in kept["decision"]
    assert registry.resolve("fraud", "challenger") == result["version"]
    registry.rollback("fraud", "champion", at=NOW + 1, by="test", reason="end of the test")


def test_an_incident_that_is_not_open_trains_nothing(early: Path, changed, tmp_path: Path) -> None:
    config = replace(options(changed, early, tmp_path), on_incident=True)
    assert retrain.main(config)["decision"] == "nothing trained: no incident of fraud is open"
    row = {
        "id": "i1", "system": "fraud", "kind": "moved mean", "measure": "amount", "since": 1,
        "opened_at": 1, "seen_at": 1, "closed_at": None, "detail": {},
    }  # fmt: skip
    with RetrainingRepository(str(config.records)) as repository:
        with repository._database.writing() as connection:
            connection.execute(insert(INCIDENTS), [row])
        at = time.time_ns() // 1000
        repository.insert(
            Retraining(id="r", system="fraud", began_at=at, ended_at=at, decision="failed")
        )
    waits = retrain.main(config)["decision"]
    assert waits.startswith("nothing trained: the last retraining began 0.0 hours ago, expected")
    with pytest.raises(ContractError, match="there are no labels of fraud"):
        retrain.main(replace(without_labels(config, tmp_path), pause_hours=0.0))


def without_labels(config: RetrainConfig, folder: Path) -> RetrainConfig:
    labels = pq.read_table(str(config.labels)).slice(0, 0)
    pq.write_table(labels, folder / "no_labels.parquet")
    return replace(config, labels=str(folder / "no_labels.parquet"))


def test_options_that_cannot_be_meant_are_refused(early: Path, changed, tmp_path: Path) -> None:
    config = options(changed, early, tmp_path)
    for faulty, error, words in (
        (replace(config, records=None), ContractError, "--records is missing"),
        (replace(config, registry=None), ContractError, "--registry is missing"),
        (replace(config, transactions=None), ContractError, "--transactions is missing"),
        (replace(config, features="x"), ContractError, "--features: expected the tables"),
        (replace(config, margin="much"), MarginError, "--margin: expected an amount a week"),
        (replace(config, least=-1), ContractError, "--least: expected 0 or more, got -1"),
        (replace(config, measure_margin=-1.0), ContractError, "--measure-margin: expected 0"),
        (replace(config, records="sqlite:///no/such.db"), RecordsError, "there is no file"),
    ):
        with pytest.raises(error, match=words):
            retrain.main(faulty)


def test_no_champion_is_an_error_before_anything_is_trained(changed, tmp_path: Path) -> None:
    config = options(changed, tmp_path / "empty", tmp_path)
    with pytest.raises(ContractError, match="has no champion of fraud to compare with; train a"):
        retrain.main(config)
    assert not (tmp_path / "retrain" / "features").exists()


def test_a_champion_that_does_not_say_what_it_saw_is_refused(
    early: Path, changed, tmp_path: Path
) -> None:
    artifact = Registry(early).fetch("fraud", "champion", tmp_path)
    text = json.loads((artifact / "manifest.json").read_text())
    del text["parameters"]["seen_until"]
    registry = republished(text, artifact, tmp_path)
    with pytest.raises(ArtifactError, match=r"parameters\.seen_until: expected the time"):
        retrain.main(options(changed, registry, tmp_path))


def test_a_champion_of_other_features_is_refused_and_the_retraining_has_failed(
    early: Path, changed, tmp_path: Path
) -> None:
    artifact = Registry(early).fetch("fraud", "champion", tmp_path)
    text = json.loads((artifact / "manifest.json").read_text())
    text["feature_names"][0] = "amount_of_another_time"
    text["feature_set_digest"] = "0" * 64
    config = options(changed, republished(text, artifact, tmp_path), tmp_path)
    with pytest.raises(ArtifactError, match="unknown to the server: amount_of_another_time"):
        retrain.main(config)
    (kept,) = kept_retrainings(str(config.records), "fraud")
    assert kept.decision == "failed"
    assert kept.detail["reason"] == "ArtifactError; the job prints why"


def republished(manifest: dict, artifact: Path, folder: Path) -> Path:
    """A registry whose champion is the artifact with another manifest."""
    fields = {k: v for k, v in manifest.items() if k != "version"}
    fields |= {"created_at": NOW, "feature_names": tuple(manifest["feature_names"])}
    new = new_manifest(**fields)
    (artifact / "manifest.json").write_bytes(new.to_json())
    registry = Registry(folder / "other")
    registry.publish(artifact, "fraud")
    registry.set_alias("fraud", "champion", new.version, at=NOW, by="test")
    return folder / "other"


def test_payments_that_the_champion_saw_all_leave_nothing_to_compare_on(
    early: Path, tmp_path: Path
) -> None:
    files = write_payments(tmp_path / "older", days=DAYS, until=CHANGE - 16)
    short = Lengths(label_delay=1, folds=1, test=4, calibrate=3)
    config = replace(options(files, early, tmp_path), slices=short)
    with pytest.raises(ComparisonError, match="no row is left that neither model saw"):
        retrain.main(config)


def test_labels_of_one_class_are_refused(early: Path, changed, tmp_path: Path) -> None:
    labels = pq.read_table(changed.labels)
    good = pa.array([False] * labels.num_rows)
    index = labels.schema.get_field_index("is_fraud")
    pq.write_table(labels.set_column(index, "is_fraud", good), tmp_path / "good.parquet")
    config = replace(options(changed, early, tmp_path), labels=str(tmp_path / "good.parquet"))
    with pytest.raises(ContractError, match="at least one fraud and one good payment are needed"):
        retrain.main(config)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["labels", "trained", "compared"])
def test_a_killed_run_is_continued_to_the_same_version(
    early: Path, changed, tmp_path: Path, step: str
) -> None:
    paths = [changed.transactions, changed.labels, early, tmp_path]
    command = [sys.executable, "-m", "tests.fraud.small_retraining", *map(str, paths)]
    options(changed, early, tmp_path)
    url = f"sqlite:///{tmp_path / 'records.db'}"
    with subprocess.Popen(command, env=os.environ, stdout=subprocess.PIPE) as process:
        while step not in steps_in(url):
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.02)
        process.kill()
    (cut_off,) = kept_retrainings(url, "fraud")
    assert cut_off.ended_at is None
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=True)
    (ended,) = kept_retrainings(url, "fraud")
    assert ended.id == cut_off.id
    assert ended.decision == "published"
    finished = cut_off.detail["steps"]
    assert ended.detail["steps"][: len(finished)] == finished
    assert done.stdout.splitlines()[-1] == ended.version


def steps_in(url: str) -> tuple[str, ...]:
    return next((each.steps for each in kept_retrainings(url, "fraud")), ())
