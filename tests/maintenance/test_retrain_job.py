"""Retraining of the maintenance model: failures since, and both models' alarms in money."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.maintenance import retrain, train
from jobs.maintenance.retrain import RetrainConfig
from jobs.maintenance.retraining import UNSPECIFIED
from jobs.maintenance.training_config import TrainConfig
from lib.contract import ContractError
from lib.maintenance.feature_set import FeatureError
from lib.maintenance.machine_kind import KIND_FILE
from lib.maintenance.model.model import load_model
from lib.registry import Registry
from lib.retraining.comparison import ComparisonError
from tests.conftest import on_two_cores
from tests.jobs import retraining_records as retrainings
from tests.maintenance.attribute_tables import FEATURES, write_attributes
from tests.maintenance.changed_sensors import SMALL, sources, until, write_machines

pytestmark = [pytest.mark.slow, *on_two_cores(minutes=15)]

WEEKS, EARLY = 40, 24
NOW = 1_795_000_000_000_000


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_machines(tmp_path_factory.mktemp("fleet"), WEEKS)


@pytest.fixture(scope="module")
def early(fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry whose champion learnt from weeks in which sensors were exchanged."""
    folder = tmp_path_factory.mktemp("early")
    files = until(fleet, folder / "files", EARLY, exchanged=True)
    return retrainings.train_champion(train.main, TrainConfig, SMALL | sources(files), folder)


@pytest.fixture(scope="module")
def won(fleet: Path, early: Path, tmp_path_factory: pytest.TempPathFactory):
    return retrainings.retrained(retrain, SMALL | sources(fleet), early, tmp_path_factory)


def test_a_challenger_that_learnt_from_the_right_sensors_is_published(won) -> None:
    config, result = won
    registry = retrainings.published_challenger("maintenance", config, result)
    assert "entities in" in result["decision"]
    champion = registry.manifest("maintenance", "champion")
    challenger = registry.manifest("maintenance", result["version"])
    compared = result["detail"]["steps"][2]
    assert champion.seen_until <= compared["start_us"]
    assert challenger.seen_until <= compared["start_us"] < compared["end_us"]


def test_with_nothing_new_nothing_is_trained(won) -> None:
    assert retrain.main(won[0])["decision"].startswith("nothing trained: 0 new labels")


def test_what_gains_too_little_is_not_published(won, fleet: Path) -> None:
    config, result = won
    registry = Registry(str(config.registry))
    before = registry.aliases("maintenance")
    failed_at = NOW - 3_600_000_000
    retrainings.add_fact(
        str(config.records), "maintenance", "M00001", "failure", failed_at, value=True
    )
    kept = retrain.main(replace(config, margin="1000%", kind=str(KIND_FILE)))
    # the champion's rows were computed again, by its own kind of machine
    assert (Path(config.output) / "champion_rows" / "data").is_dir()
    assert kept["won"] is False
    assert "does not beat the margin of" in kept["decision"]
    assert registry.aliases("maintenance") == before
    failures = pq.read_table(Path(config.output) / "labels/failures.parquet")
    assert failures.num_rows == pq.read_table(fleet / "failures.parquet").num_rows + 1
    assert failures["failure_mode"].to_pylist()[-1] == UNSPECIFIED
    newest, _ = retrainings.kept_retrainings(str(config.records), "maintenance")
    assert (newest.decision, newest.version) == ("not published", kept["version"])
    assert kept["version"] != result["version"]


def test_attributes_that_the_champion_does_not_read_are_the_challengers(
    fleet: Path, early: Path, tmp_path: Path
) -> None:
    registry = Path(shutil.copytree(early, tmp_path / "registry"))
    options = SMALL | sources(fleet) | write_attributes(fleet, tmp_path / "own")
    config = retrainings.retraining(RetrainConfig, options, registry, tmp_path / "retrained")
    result = retrain.main(config)
    assert "entities in" in result["decision"]
    assert (Path(config.output) / "champion_rows" / "data").is_dir()
    folder = retrainings.published_challenger("maintenance", config, result).fetch(
        "maintenance", result["version"], tmp_path / "models"
    )
    assert load_model(folder).features.names[-5:] == FEATURES


def test_readings_that_the_champion_saw_all_leave_nothing(fleet, early, tmp_path: Path) -> None:
    files = until(fleet, tmp_path / "files", EARLY)
    with pytest.raises(ComparisonError, match="no row is left that neither model saw"):
        retrain.main(retrainings.retraining(RetrainConfig, SMALL | sources(files), early, tmp_path))
    (kept,) = retrainings.kept_retrainings(f"sqlite:///{tmp_path / 'records.db'}", "maintenance")
    assert kept.decision == "failed"


def test_a_sensor_that_is_no_more_is_named(fleet: Path, early: Path, tmp_path: Path) -> None:
    files = until(fleet, tmp_path / "files", WEEKS)
    for file in (files / "telemetry").glob("*.parquet"):
        pq.write_table(pq.read_table(file).drop_columns(["vibration"]), file)
    text = (files / "telemetry.yaml").read_text()
    lines = "  vibration:\n    from: vibration\n    unit: mm/s\n"
    assert lines in text
    (files / "telemetry.yaml").write_text(text.replace(lines, ""))
    with pytest.raises(FeatureError, match="telemetry has no sensor 'vibration'"):
        retrain.main(retrainings.retraining(RetrainConfig, SMALL | sources(files), early, tmp_path))


def test_options_that_cannot_be_meant_are_refused(fleet, early, tmp_path: Path) -> None:
    config = retrainings.retraining(RetrainConfig, SMALL | sources(fleet), early, tmp_path)
    for faulty, words in (
        (replace(config, telemetry=None), "--telemetry is missing"),
        (replace(config, features="rows"), "--features: expected the tables"),
        (replace(config, learn_until="2025-06-01"), "--learn-until, --run-to-failure: expected"),
    ):
        with pytest.raises(ContractError, match=words):
            retrain.main(faulty)
    empty = pq.read_table(fleet / "failures.parquet").slice(0, 0)
    pq.write_table(pa.table(empty), tmp_path / "failures.parquet")
    with pytest.raises(ContractError, match="there are no labels of maintenance"):
        retrain.main(replace(config, failures=str(tmp_path / "failures.parquet")))
