"""The model as served equals the model as trained, row by row and in batches."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.fraud.model.model import Ensemble
from lib.fraud.model.scoring import Scorer
from lib.registry import Artifact, ArtifactError, TrainingRecord, read_artifact
from tests.fraud.model_sample import DIGEST, NAMES, sample_of, small_ensemble

RECORD = TrainingRecord(1_700_000_000_000_000, "data", "code", {"trees": 40}, {"auc": 0.9})


class Features:
    names = NAMES
    digest = DIGEST


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return small_ensemble()


@pytest.fixture(scope="module")
def artifact(ensemble: Ensemble, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    directory = tmp_path_factory.mktemp("model") / "artifact"
    ensemble.save(directory, RECORD)
    return read_artifact(directory, Features())


@pytest.fixture(scope="module")
def scorer(artifact: Artifact) -> Scorer:
    return Scorer.load(artifact)


def test_served_model_equals_the_trained_one(ensemble: Ensemble, scorer: Scorer) -> None:
    matrix = sample_of(3_000, 9).matrix
    assert np.abs(ensemble.score(matrix) - scorer.score(matrix)).max() < 1e-6


def test_one_row_is_answered_as_in_a_batch(scorer: Scorer) -> None:
    matrix = sample_of(500, 10).matrix
    single = [scorer.model_scores(row[None, :])[0].probability for row in matrix]
    assert np.abs(np.array(single) - scorer.score(matrix)).max() < 1e-6


def split_values(ensemble: Ensemble) -> list[float]:
    forest = ensemble.forest()
    return sorted(set(forest.threshold[forest.feature >= 0].tolist()))


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_values_on_a_split_and_missing_ones_go_the_same_way(
    ensemble: Ensemble, scorer: Scorer, data: st.DataObject
) -> None:
    edges = st.sampled_from(split_values(ensemble))
    number = st.one_of(
        edges,
        edges.map(lambda edge: float(np.nextafter(np.float32(edge), np.float32(-np.inf)))),
        st.just(float("nan")),
        st.sampled_from([0.0, -0.0, 1e8, -1e8]),
        st.floats(-1e6, 1e6, width=32),
    )
    values = data.draw(st.lists(number, min_size=len(NAMES), max_size=len(NAMES)))
    row = np.array([values], dtype=np.float32)
    answer = scorer.model_scores(row)[0]
    expected = ensemble.log_odds(row)[0]
    assert scorer.log_odds(row)[0] == pytest.approx(expected, abs=5e-6, rel=2e-6)
    assert answer.probability == pytest.approx(float(ensemble.score(row)[0]), abs=1e-6)


def test_stored_model_loads_into_the_same_model(ensemble: Ensemble, artifact: Artifact) -> None:
    matrix = sample_of(500, 11).matrix
    loaded = Ensemble.load(artifact)
    assert np.array_equal(loaded.score(matrix), ensemble.score(matrix))
    assert loaded.policy == ensemble.policy


def test_tree_contributions_equal_xgboosts_approximate_ones(ensemble: Ensemble) -> None:
    rows = sample_of(100, 12).matrix
    forest = ensemble.forest()
    expected = np.mean(
        [
            booster.predict(xgb.DMatrix(rows), pred_contribs=True, approx_contribs=True)[:, :-1]
            for booster in ensemble.trees.boosters
        ],
        axis=0,
    )
    ours = np.stack([forest.contributions(row) for row in rows])
    assert np.abs(ours - expected).max() < 1e-5


def test_contributions_add_up_to_the_score(ensemble: Ensemble, scorer: Scorer) -> None:
    rows = sample_of(200, 13).matrix
    sums = np.array([scorer.contributions(row).sum() for row in rows])
    assert np.ptp(ensemble.log_odds(rows) - sums) < 0.05


def test_reasons_name_what_raised_the_score(scorer: Scorer) -> None:
    row = np.array([20.0, 5.0, 4.0, 1.0, 0.0, 0.0], dtype=np.float32)
    reasons = scorer.reasons(row)
    assert {reason["code"] for reason in reasons[:2]} == {
        "AMOUNT_UNUSUAL_FOR_USER",
        "MERCHANT_FRAUD",
    }
    assert all(reason["contribution"] > 0 for reason in reasons)


def test_a_row_of_the_wrong_width_is_refused(scorer: Scorer) -> None:
    with pytest.raises(ValueError, match=r"expected \(rows, 6\)"):
        scorer.model_scores(np.zeros((1, 5), dtype=np.float32))


def test_model_of_other_features_is_refused(artifact: Artifact) -> None:
    class Other:
        names = (*NAMES[:-1], "velocity_kmh")
        digest = "cd" * 32

    with pytest.raises(ArtifactError, match="velocity_kmh"):
        read_artifact(artifact.directory, Other())


def test_changed_weights_are_refused(ensemble: Ensemble, tmp_path: Path) -> None:
    ensemble.save(tmp_path / "model", RECORD)
    file = tmp_path / "model" / "forest.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match=r"forest\.safetensors"):
        read_artifact(tmp_path / "model", Features())


def test_serving_imports_neither_xgboost_nor_torch() -> None:
    code = (
        "import sys, lib.fraud.model.scoring as s; "
        "print([m for m in ('xgboost', 'torch', 'sklearn', 'ray') if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
