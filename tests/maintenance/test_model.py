"""The model that is served: what it answers holds together, and travels as files."""

import hashlib
import json

import numpy as np
import pytest

from lib.maintenance.feature_set import FeatureSet, Sensor
from lib.maintenance.model.drivers import feature_groups
from lib.maintenance.model.loading import load_model
from lib.maintenance.model.scores import curves_of_scores, scores_table
from lib.registry import ArtifactError
from lib.survival import SurvivalError
from tests.maintenance.small_fleet import CONFIG, save, trained


@pytest.fixture(scope="module")
def one(small_fleet):
    return trained(small_fleet)


def test_answers_hold_together(one):
    rows = one.rows.rows[::60]
    found = one.model.predict(rows)
    for each in found:
        survival = np.array(each.survival)
        assert survival[0] == 1.0
        assert (np.diff(survival) <= 1e-12).all()
        assert (np.array(each.low) <= survival + 1e-12).all()
        assert (survival <= np.array(each.high) + 1e-12).all()
        chances = [each.chances[name] for name in ("24h", "72h", "7d", "30d")]
        assert chances == sorted(chances)
        assert sum(each.modes.values()) == pytest.approx(1.0)
        assert each.likely_hours[0] <= each.likely_hours[1]
        assert 0.0 < each.mean_hours <= one.model.horizon
        assert each.alarm == (chances[2] >= one.model.alarm_threshold)
    assert max(len(each.drivers) for each in found) > 0


def test_modes_together_are_the_whole(one):
    rows = one.rows.rows[::60]
    together = np.prod([each.survival for each in one.model.by_mode(rows).values()], axis=0)
    np.testing.assert_allclose(together, one.model.curves(rows).survival, rtol=1e-6)


def test_the_highest_driver_is_what_was_made_unusual(one):
    names = one.features.names
    row = one.model.usual.copy()
    risk = one.model.risk(row[None])[0]
    raised = row.copy()
    # what Cox makes most of, far out of its usual range
    effects = np.abs(one.model.whole.cox.coefficients)
    column = one.model.whole.cox.scaling.columns[int(effects.argmax())]
    place = names.index(column)
    sign = np.sign(one.model.whole.cox.coefficients[int(effects.argmax())])
    raised[place] += sign * 6.0 * one.model.spread[place]
    assert one.model.risk(raised[None])[0] > risk
    first = one.model.predict(raised[None])[0].drivers[0]
    groups = feature_groups(one.features)
    assert place in groups[first.what]
    assert first.effect > 0


def test_every_feature_is_in_one_group():
    groups = feature_groups(CONFIG.features)
    places = sorted(place for group in groups.values() for place in group)
    assert places == list(range(len(CONFIG.features.names)))
    assert {"vibration", "E_seal", "age of motor", "age_hours"} <= set(groups)


def test_a_saved_model_answers_the_same(one, tmp_path):
    loaded = load_model(save(one.model, tmp_path / "model"))
    rows = one.rows.rows[::90]
    assert loaded.predict(rows) == one.model.predict(rows)
    assert loaded.version != "unpublished"
    assert loaded.features.digest == one.features.digest


def test_a_model_of_another_kind_is_refused_with_its_features(one, tmp_path):
    folder = save(one.model, tmp_path / "model")
    other = FeatureSet(sensors=(Sensor("torque"),))
    with pytest.raises(ArtifactError, match=r"torque_mean_24h.*unknown to the server"):
        load_model(folder, other)


def test_a_model_whose_parts_do_not_belong_together_is_refused(one, tmp_path):
    folder = save(one.model, tmp_path / "model")
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


def test_scores_give_the_same_curves_back(one):
    rows = one.rows.rows[::200]
    names = [f"m{k}" for k in range(len(rows))]
    last = np.full(len(rows), np.iinfo(np.int64).min)
    table = scores_table(one.model, names, rows, 1_700_000_000_000_000, last)
    whole, by_mode = curves_of_scores(table, one.model.grid)
    np.testing.assert_array_equal(whole.survival, one.model.curves(rows).survival)
    assert set(by_mode) == set(one.model.modes)
    assert table["last_reading"].null_count == len(rows)
    assert scores_table(one.model, [], rows[:0], 0, last[:0]).schema == table.schema


def test_a_machine_of_which_nothing_is_known_is_answered(one):
    found = one.model.predict(np.full((1, len(one.features.names)), np.nan))[0]
    assert all(np.isfinite(found.survival))
    assert 0.0 < found.chances["30d"] < 1.0
