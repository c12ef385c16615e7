"""Kinds of machines as YAML: read, written back, and refused by key."""

import pytest

from lib.maintenance.feature_set import FeatureError
from lib.maintenance.machine_kind import kind_text, load_kind, parse_kind
from lib.maintenance.simulation.config import FleetConfig
from tests.maintenance.factories import SMALL


def test_the_packaged_kind_is_the_simulated_fleets():
    assert load_kind().digest == FleetConfig().features.digest


def test_a_kind_survives_its_text():
    assert parse_kind(kind_text(SMALL)) == SMALL


def test_little_is_needed():
    assert parse_kind("sensors: {heat: }").sensor_names == ("heat",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "expected 'key: value' lines"),
        ("sensors: {a: {}", "not valid YAML"),
        ("components: [a]", "sensors: field required"),
        ("sensors: {a: {}}\nwindow_hours: [1]", "did you mean 'windows_hours'"),
        ("sensors: {a: {unit: 3}}", "sensors.a.unit: expected a text, got 3"),
        ("sensors: {a: {hi: 3}}", "sensors.a.hi: unknown field; did you mean 'high'?"),
        ("sensors: {a: {low: x}}", "sensors.a.low: expected a number, got 'x'"),
        ("sensors: {a: {low: 2, high: 1}}", "expected low below high"),
        ("sensors: {a: {stuck_hours: 40}}", "stuck_hours above 0 and up to 12"),
        ("sensors: [a]", "sensors: expected 'key: value' lines, got ['a']"),
        ("sensors: {a: {}}\nwindows_hours: [1.5]", "windows_hours: expected a whole number"),
        ("sensors: {a: {}}\nwindows_hours: 24", "windows_hours: expected a list"),
        ("sensors: {a: {}}\ncorrelations: [[a]]", "correlations: field required"),
        ("sensors: {a: {}}\ncorrelations: [[a, b]]", "unknown sensor 'b'"),
        ("sensors: {a: {}}\noperating: {sensor: a}", "operating.above: field required"),
        ("sensors: {a: {}}\ninterval_hours: yes", "interval_hours: expected a number"),
    ],
)
def test_what_cannot_be_meant_is_named(text, words):
    with pytest.raises(FeatureError, match=None) as caught:
        parse_kind(text, "k.yaml")
    assert words in str(caught.value)
    assert str(caught.value).startswith("k.yaml:")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FeatureError, match=r"none\.yaml"):
        load_kind(tmp_path / "none.yaml")
