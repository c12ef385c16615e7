"""The model that is served: what it answers holds together, and travels as files."""

import hashlib
import json

import numpy as np
import pytest

from lib.maintenance.feature_set import AssetFeatureSet, Sensor
from lib.maintenance.model.model import load_model
from lib.maintenance.model.prediction import feature_groups
from lib.maintenance.model.scores import curves_of_scores, scores_table
from lib.registry import ArtifactError
from lib.survival.outcomes import SurvivalError
from tests.maintenance.small_fleet import CONFIG, save, trained


@pytest.fixture(scope="module")
def training(small_fleet):
    return trained(small_fleet)


def test_answers_hold_together(training):
    rows = training.rows.rows[::60]
    predictions = training.model.predict(rows)
    for each in predictions:
        survival = np.array(each.survival)
        assert survival[0] == 1.0
        assert (np.diff(survival) <= 1e-12).all()
        assert (np.array(each.low) <= survival + 1e-12).all()
        assert (survival <= np.array(each.high) + 1e-12).all()
        probabilities = [each.probabilities[name] for name in ("24h", "72h", "7d", "30d")]
        assert probabilities == sorted(probabilities)
        assert sum(each.modes.values()) == pytest.approx(1.0)
        assert each.likely_hours[0] <= each.likely_hours[1]
        assert 0.0 < each.mean_hours <= training.model.horizon
        assert each.alarm == (probabilities[2] >= training.model.alarm_threshold)
    assert max(len(each.drivers) for each in predictions) > 0


def test_modes_together_are_the_whole(training):
    rows = training.rows.rows[::60]
    together = np.prod([each.survival for each in training.model.by_mode(rows).values()], axis=0)
    np.testing.assert_allclose(together, training.model.curves(rows).survival, rtol=1e-6)


def test_the_highest_driver_is_what_was_made_unusual(training):
    names = training.features.names
    row = training.model.usual.copy()
    risk = training.model.risk(row[None])[0]
    raised = row.copy()
    # what Cox makes most of, far out of its usual range
    effects = np.abs(training.model.main_half.cox.coefficients)
    column = training.model.main_half.cox.scaling.columns[int(effects.argmax())]
    index = names.index(column)
    sign = np.sign(training.model.main_half.cox.coefficients[int(effects.argmax())])
    raised[index] += sign * 6.0 * training.model.spread[index]
    assert training.model.risk(raised[None])[0] > risk
    first = training.model.predict(raised[None])[0].drivers[0]
    groups = feature_groups(training.features)
    assert index in groups[first.what]
    assert first.effect > 0


def test_every_feature_is_in_one_group():
    groups = feature_groups(CONFIG.features)
    indices = sorted(index for group in groups.values() for index in group)
    assert indices == list(range(len(CONFIG.features.names)))
    assert {"vibration", "E_seal", "age of motor", "age_hours"} <= set(groups)


def test_a_saved_model_answers_the_same(training, tmp_path):
    loaded = load_model(save(training.model, tmp_path / "model"))
    rows = training.rows.rows[::90]
    assert loaded.predict(rows) == training.model.predict(rows)
    assert loaded.version is not None
    assert loaded.features.digest == training.features.digest


def test_a_model_of_another_kind_is_refused_with_its_features(training, tmp_path):
    folder = save(training.model, tmp_path / "model")
    other = AssetFeatureSet(sensors=(Sensor("torque"),))
    with pytest.raises(ArtifactError, match=r"torque_mean_24h.*unknown to the server"):
        load_model(folder, other)


def test_a_model_whose_parts_do_not_belong_together_is_refused(training, tmp_path):
    folder = save(training.model, tmp_path / "model")
    about = json.loads((folder / "model.json").read_text())
    manifest = json.loads((folder / "manifest.json").read_text())
    text = json.dumps(about | {"modes": ["bearing"]}).encode()
    (folder / "model.json").write_bytes(text)
    manifest["files"]["model.json"] = {
        "sha256": hashlib.sha256(text).hexdigest(),
        "bytes": len(text),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises((SurvivalError, ArtifactError), match=r"belong together|manifest"):
        load_model(folder)


def test_scores_give_the_same_curves_back(training):
    rows = training.rows.rows[::200]
    names = [f"m{k}" for k in range(len(rows))]
    last = np.full(len(rows), np.iinfo(np.int64).min)
    table = scores_table(training.model, names, rows, 1_700_000_000_000_000, last)
    curves, by_mode = curves_of_scores(table, training.model.grid)
    np.testing.assert_array_equal(curves.survival, training.model.curves(rows).survival)
    assert set(by_mode) == set(training.model.modes)
    assert table["last_reading"].null_count == len(rows)
    assert scores_table(training.model, [], rows[:0], 0, last[:0]).schema == table.schema


def test_a_machine_of_which_nothing_is_known_is_answered(training):
    prediction = training.model.predict(np.full((1, len(training.features.names)), np.nan))[0]
    assert all(np.isfinite(prediction.survival))
    assert 0.0 < prediction.probabilities["30d"] < 1.0
