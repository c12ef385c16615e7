"""Boosting, the network, training, scoring and tuning on a real local Ray."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import xgboost as xgb
import yaml

from jobs.framework.workers import Workers
from jobs.framework.xgboost_training import (
    Backend,
    XGBoostData,
    backend_of,
    fit_boosted_trees,
)
from jobs.fraud import score, train, tune
from jobs.fraud.training_config import TrainConfig
from lib.boosting.boosted_trees import BoostedTrees
from lib.evaluation import average_precision
from lib.fraud.features import FRAUD
from lib.fraud.model.inputs import feature_matrix
from lib.fraud.model.sample import Sample
from lib.fraud.model.scoring import Scorer
from lib.fraud.model.settings import NetworkSettings, TreeSettings
from lib.fraud.model.time_split import Lengths
from lib.fraud.model.trees import booster_parameters, fit_trees
from lib.registry import read_artifact
from lib.storage import open_storage
from tests.conftest import on_two_cores
from tests.fraud.model_sample import NAMES, sample_of
from tests.jobs.training_rows import write_rows

pytestmark = on_two_cores(minutes=10)

SETTINGS = TreeSettings(trees=30, depth=3, learning_rate=0.2, subsample=1.0, colsample=1.0)


def local(uri: object) -> Path:
    """Where this machine keeps what a test's URI names."""
    return Path(str(uri).removeprefix("fsspec+file://"))


def write_sample(path: Path, sample: Sample) -> str:
    columns = {name: sample.matrix[:, column] for column, name in enumerate(NAMES)}
    columns["label"] = sample.labels.astype(np.float32)
    columns["weight"] = sample.weights.astype(np.float32)
    pq.write_table(pa.table(columns), path)
    return str(path)


BACKENDS: tuple[Backend, ...] = (
    ("xgboost_ray", "ray_train") if xgb.__version__.startswith("2.0.") else ("ray_train",)
)


@pytest.fixture(scope="module")
def parts() -> list[Sample]:
    """Two to train on and two later ones."""
    return [sample_of(2_000, seed) for seed in (1, 2, 3, 4)]


@pytest.fixture(scope="module")
def spread_trees(
    parts: list[Sample], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Backend], BoostedTrees]:
    """Grows trees by two workers on the first two parts, once in each way."""
    folder = tmp_path_factory.mktemp("spread")
    files = [write_sample(folder / f"{n}.parquet", part) for n, part in enumerate(parts)]
    data = XGBoostData(tuple(files[:2]), tuple(files[2:]), NAMES)
    parameters = booster_parameters(SETTINGS, seed=1)

    @cache
    def grow(backend: Backend) -> BoostedTrees:
        ray_train = open_storage(folder / backend)
        stored = fit_boosted_trees(
            data, parameters, 30, 10, Workers(), backend=backend, storage=ray_train
        )
        return BoostedTrees.from_bytes([stored], len(NAMES))

    return grow


@pytest.mark.parametrize("backend", BACKENDS)
def test_spread_trees_rank_like_trees_of_one_process(
    parts: list[Sample], spread_trees: Callable[[Backend], BoostedTrees], backend: Backend
) -> None:
    train_sample, later = (
        Sample(
            np.concatenate([part.matrix for part in pair]),
            np.concatenate([part.labels for part in pair]),
            np.ones(4_000),
        )
        for pair in (parts[:2], parts[2:])
    )
    alone = fit_trees(train_sample, later, replace(SETTINGS, early_stopping=10), seed=1, threads=1)
    fresh = sample_of(4_000, 9)
    expected = average_precision(fresh.labels, alone.log_odds(fresh.matrix))
    spread = spread_trees(backend)
    assert average_precision(fresh.labels, spread.log_odds(fresh.matrix)) > expected - 0.03


@pytest.mark.skipif(len(BACKENDS) < 2, reason="xgboost-ray works with xgboost 2.0 alone")
def test_both_ways_of_spreading_grow_the_same_trees(
    spread_trees: Callable[[Backend], BoostedTrees],
) -> None:
    first, other = (spread_trees(backend) for backend in BACKENDS)
    matrix = sample_of(4_000, 9).matrix
    assert first.rounds == other.rounds
    assert np.abs(first.log_odds(matrix) - other.log_odds(matrix)).max() < 1e-4


def test_xgboost_ray_is_refused_beside_a_later_xgboost() -> None:
    assert backend_of("auto", "2.0.3") == "xgboost_ray"
    assert backend_of("auto", "3.2.0") == "ray_train"
    with pytest.raises(ValueError, match=r"xgboost 3\.2\.0 is installed; choose ray_train"):
        backend_of("xgboost_ray", "3.2.0")


def test_too_few_files_for_the_actors_are_refused(tmp_path: Path) -> None:
    file = write_sample(tmp_path / "0.parquet", sample_of(50, 1))
    with pytest.raises(ValueError, match="1 training files for 2 actors"):
        fit_boosted_trees(XGBoostData((file,), (), NAMES), {}, 5, 5, Workers())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    folder = tmp_path_factory.mktemp("ray-train")
    # reached through fsspec, as a bucket is: nothing may take it for a local folder
    config = TrainConfig(
        output=f"fsspec+file://{folder}/out",
        features=f"fsspec+file://{write_rows(folder / 'features')}",
        num_workers=2,
        trees=replace(SETTINGS, trees=20),
        network=NetworkSettings(hidden=(8,), epochs=2),
        slices=Lengths(label_delay=5, folds=2),
        bootstrap=2,
        baselines=False,
    )
    train.main(config)
    return config


def test_training_spread_over_ray_ends_in_a_model_that_serves(trained: TrainConfig) -> None:
    scorer = Scorer.load(read_artifact(local(trained.output) / "model", FRAUD))
    assert len(scorer.names) == len(FRAUD.names)


def test_batch_scores_equal_single_ones(trained: TrainConfig, tmp_path: Path) -> None:
    model = local(trained.output) / "model"
    written = score.main(
        score.ScoreConfig(
            features=str(trained.features),
            output=f"fsspec+file://{tmp_path}/scores",
            model=f"{trained.output}/model",
            actors=1,
        )
    )
    assert json.loads((tmp_path / "scores/_complete.json").read_text())["payments"] == 6_000
    table = ds.dataset(local(written), format="parquet").to_table()
    stored = {
        row["transaction_id"]: (row["fraud_score"], row["decision"]) for row in table.to_pylist()
    }
    payments = ds.dataset(local(trained.features) / "data").to_table()
    scorer = Scorer.load(read_artifact(model, FRAUD))
    assert len(stored) == payments.num_rows
    ids = payments["transaction_id"].to_pylist()
    for index in range(0, payments.num_rows, 20):
        row = feature_matrix(payments.slice(index, 1), FRAUD.names)
        single = scorer.model_scores(row)[0]
        probability, decision = stored[ids[index]]
        assert abs(single.probability - probability) < 1e-6
        assert single.decision == decision


@pytest.mark.slow
def test_search_resumes_and_writes_settings_that_training_reads(
    trained: TrainConfig, tmp_path: Path
) -> None:
    config = tune.TuneConfig(
        features=trained.features,
        output=f"fsspec+file://{tmp_path}/tune",
        trials=2,
        trees=20,
        epochs=2,
        report_every=5,
        slices=trained.slices,
    )
    best = tune.main(config)
    settings = yaml.safe_load(local(best).read_text())
    assert TreeSettings(**settings["trees"]).trees == 20
    assert NetworkSettings(**settings["network"]).epochs == 2
    assert yaml.safe_load(local(tune.main(config)).read_text()) == settings
