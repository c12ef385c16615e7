"""Training ends in a model that serves, a report, and advice where the data is not enough."""

import json
import shutil
import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.framework.options import read_options
from jobs.fraud.train import main
from jobs.fraud.training_config import TrainConfig
from lib.contract import ContractError
from lib.evaluation import roc_auc
from lib.fraud.features import FRAUD
from lib.fraud.model.inputs import feature_matrix
from lib.fraud.model.model import Ensemble
from lib.fraud.model.scoring import Scorer
from lib.fraud.model.settings import NetworkSettings, TreeSettings
from lib.fraud.model.time_split import Lengths
from lib.monitoring import REFERENCE_FILE, read_reference
from lib.registry import Registry, read_artifact, verify_artifact
from lib.storage import open_storage
from tests.jobs.training_rows import write_rows

SMALL = TrainConfig(
    output=Path("out"),
    engine="process",
    trees=TreeSettings(trees=30, depth=3, learning_rate=0.2, boosters=2),
    network=NetworkSettings(hidden=(8,), epochs=2, networks=2),
    slices=Lengths(label_delay=5, folds=2),
    bootstrap=5,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    folder = tmp_path_factory.mktemp("train")
    features = write_rows(folder / "features")
    config = replace(
        SMALL, features=features, output=folder / "out", registry=str(folder / "registry")
    )
    main(config)
    # other tests of this module train into the same place
    shutil.copy(folder / "out/report.json", folder / "first.json")
    return config


def test_published_model_is_what_the_alias_names_and_serves(trained: TrainConfig) -> None:
    registry = Registry(str(trained.registry))
    version = registry.resolve("fraud", "challenger")
    local = registry.fetch("fraud", version, trained.output / "fetched")
    scorer = Scorer.load(read_artifact(local, FRAUD))
    table = pq.read_table(trained.features / "data" / "b.parquet")
    matrix = feature_matrix(table, FRAUD.names)
    labels = np.asarray(table["fraud_from"].is_valid())
    assert roc_auc(labels, scorer.score(matrix)) > 0.8
    assert len(Ensemble.load(read_artifact(local, FRAUD)).trees.boosters) == 2


def test_the_artifact_remembers_its_rows_for_monitoring(trained: TrainConfig) -> None:
    artifact = verify_artifact(trained.output / "model")
    reference = read_reference(artifact)
    assert reference is not None
    assert [measure.bins.name for measure in reference.measures] == [
        *FRAUD.names,
        "score",
        "event hour",
    ]
    rows = sum(reference.rows)
    assert reference.measure("amount").by_day.sum() == rows
    assert 0 < reference.measure("score").by_day.sum() < rows
    assert (
        sum(part.rows for part in reference.calibration) == reference.measure("score").by_day.sum()
    )
    assert 0.0 < reference.prevalence < 0.5
    assert artifact.manifest.files[REFERENCE_FILE].bytes < 300_000


def test_report_compares_all_methods_and_states_its_assumptions(trained: TrainConfig) -> None:
    facts = json.loads((trained.output / "report.json").read_text())
    assert set(facts["measures"]) == {
        "rules alone",
        "logistic regression",
        "random forest",
        "trees alone",
        "network alone",
        "ensemble",
    }
    assert facts["assumptions"]["reviews_per_day"] == 100.0
    assert facts["served_difference"] < 1e-6
    assert facts["outcomes"]["ensemble"]["loss_reduction"] > 0
    assert facts["intervals"]["auc"]["low"] <= facts["measures"]["ensemble"]["auc"]
    assert facts["slices"]["train"]["end"] < facts["slices"]["test"]["start"]


def test_same_command_continues_and_publishes_the_same_version(
    trained: TrainConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = Registry(str(trained.registry))
    before = registry.versions("fraud")
    finished = next((trained.output / "stages").iterdir())
    written = {path.name: path.stat().st_mtime_ns for path in finished.glob("*.safetensors")}
    main(trained)
    again = {path.name: path.stat().st_mtime_ns for path in finished.glob("*.safetensors")}
    assert again == written
    assert registry.versions("fraud") == before
    output = capsys.readouterr().out
    for heading in ("model:", "registry:", "report.html", "report.json", "quarantine:"):
        assert heading in output.split("served form")[1]


def test_other_options_do_not_reuse_results(trained: TrainConfig) -> None:
    main(replace(trained, seed=8, registry=None, baselines=False, bootstrap=2))
    assert len(list((trained.output / "stages").iterdir())) == 2


def test_everything_may_lie_in_a_bucket(trained: TrainConfig) -> None:
    bucket = f"memory://{uuid.uuid4().hex}"
    storage = open_storage(bucket)
    for path in (trained.features / "data").iterdir():
        storage.write(f"features/data/{path.name}", path.read_bytes())
    there = replace(
        trained,
        features=f"{bucket}/features",
        output=f"{bucket}/out",
        registry=f"{bucket}/registry",
        baselines=False,
        bootstrap=2,
    )
    assert main(there).endswith("/out/model")
    assert {"out/report.html", "out/report.json"} <= set(storage.files("out"))
    stored = json.loads(storage.read("out/report.json") or b"")["measures"]["ensemble"]
    first = trained.output.parent / "first.json"
    locally = json.loads(first.read_text())["measures"]["ensemble"]
    assert stored == locally
    assert Registry(f"{bucket}/registry").resolve("fraud", "challenger")


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ({"days": 12}, "too few days"),
        ({"frauds": False}, "0 frauds among|0 known frauds among"),
        ({"rows": 0}, "no payments"),
    ],
)
def test_data_that_is_not_enough_is_refused_with_the_reason(
    tmp_path: Path, rows: dict, complaint: str
) -> None:
    features = write_rows(tmp_path / "features", **rows)
    with pytest.raises(ValueError, match=complaint):
        main(replace(SMALL, features=features, output=tmp_path / "out"))


def test_missing_feature_column_is_named(tmp_path: Path) -> None:
    features = write_rows(tmp_path / "features", rows=100)
    for file in (features / "data").iterdir():
        pq.write_table(pq.read_table(file).drop_columns(["amount_zscore"]), file)
    with pytest.raises(ValueError, match="'amount_zscore' is missing"):
        main(replace(SMALL, features=features, output=tmp_path / "out"))


def test_features_of_another_feature_set_are_refused(tmp_path: Path) -> None:
    features = write_rows(tmp_path / "features", rows=100)
    (features / "features.json").write_text(json.dumps({"feature_set_digest": "0" * 64}))
    with pytest.raises(ContractError, match=r"run jobs\.fraud\.features again"):
        main(replace(SMALL, features=features, output=tmp_path / "out"))


def test_neither_features_nor_payments_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="--features or --transactions"):
        main(replace(SMALL, output=tmp_path / "out"))


def test_yaml_gives_defaults_that_the_command_line_overrides(tmp_path: Path) -> None:
    file = tmp_path / "options.yaml"
    file.write_text("output: here\ntrees: {depth: 4, trees: 200}\nnetwork: {hidden: [32, 16]}\n")
    options = read_options(TrainConfig, ["--config", str(file), "--trees.trees", "50"])
    assert (options.output, options.trees.depth, options.trees.trees) == ("here", 4, 50)
    assert options.network.hidden == (32, 16)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("trees: {deptf: 4}", r":1: trees\.deptf: unknown field; did you mean 'depth'"),
        ("seed: many", ":1: seed: expected a whole number, got 'many'"),
        ("- a", "expected 'key: value' lines at the top"),
    ],
)
def test_wrong_yaml_is_refused_with_a_hint(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "options.yaml"
    file.write_text(text)
    with pytest.raises(SystemExit, match=complaint):
        read_options(TrainConfig, ["--config", str(file), "--output", "x"])
