import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from lib.registry import ArtifactError, read_artifact, verify_artifact
from lib.registry.names import file_name_fault
from tests.registry.conftest import FeatureSet, WriteModel


@pytest.fixture
def model(tmp_path: Path, write_model: WriteModel) -> Path:
    write_model(tmp_path / "model")
    return tmp_path / "model"


def test_a_model_comes_back_as_it_was_written(model: Path) -> None:
    artifact = read_artifact(model, FeatureSet())
    assert artifact.manifest.thresholds == {"review": 0.4, "decline": 0.9}
    weight = load_file(artifact.path("network.safetensors"))["weight"]
    assert weight.tolist() == [0, 1, 2, 3, 4, 5]


def test_the_version_names_the_time_and_the_content(
    tmp_path: Path, write_model: WriteModel
) -> None:
    first = write_model(tmp_path / "one")
    other = write_model(tmp_path / "other", thresholds={"review": 0.5})
    assert first.version.startswith("20261123T101500Z-")
    assert other.version.startswith("20261123T101500Z-")
    assert first.version != other.version


def test_the_same_content_has_the_same_version(tmp_path: Path, write_model: WriteModel) -> None:
    assert write_model(tmp_path / "one") == write_model(tmp_path / "two")


@pytest.mark.parametrize(
    "name",
    ["model.pkl", "model.pt", "model.so", "weights", "../up.json", "a/b.json", "manifest.json", ""],
)
def test_a_file_that_could_execute_or_escape_is_refused(
    tmp_path: Path, write_model: WriteModel, name: str
) -> None:
    with pytest.raises(ArtifactError, match=r"expected|manifest"):
        write_model(tmp_path / "model", files={name: b"x"})
    assert list(tmp_path.iterdir()) == []


@given(st.text())
def test_no_accepted_file_name_leaves_the_directory(name: str) -> None:
    if file_name_fault(name) is None:
        assert (Path("/model") / name).resolve().parent == Path("/model")


def test_a_directory_that_exists_is_not_overwritten(model: Path, write_model: WriteModel) -> None:
    with pytest.raises(ArtifactError, match="exists"):
        write_model(model)


def test_a_metric_that_is_not_finite_is_refused_and_leaves_nothing(
    tmp_path: Path, write_model: WriteModel
) -> None:
    with pytest.raises(ArtifactError, match=r"metrics\.auc.*finite"):
        write_model(tmp_path / "model", metrics={"auc": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_parameter_that_is_not_finite_is_refused(tmp_path: Path, write_model: WriteModel) -> None:
    with pytest.raises(ArtifactError, match="parameters"):
        write_model(tmp_path / "model", parameters={"gamma": float("inf")})


def test_a_truncated_weight_file_is_named_with_its_size(model: Path) -> None:
    path = model / "network.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-5])
    expected = rf"network\.safetensors: expected {len(content)} bytes, found {len(content) - 5}"
    with pytest.raises(ArtifactError, match=expected):
        verify_artifact(model)


def test_one_changed_byte_is_found(model: Path) -> None:
    path = model / "policy.json"
    path.write_bytes(path.read_bytes().replace(b"0.4", b"0.9"))
    with pytest.raises(ArtifactError, match=r"policy\.json: expected SHA-256 \w{64}, found \w{64}"):
        verify_artifact(model)


def test_a_missing_file_is_named(model: Path) -> None:
    (model / "policy.json").unlink()
    with pytest.raises(ArtifactError, match=r"policy\.json: expected a file of 15 bytes"):
        verify_artifact(model)


def test_a_folder_above_models_is_refused_with_the_newest_below_it(
    tmp_path: Path, write_model: WriteModel
) -> None:
    model = tmp_path / "registry" / "fraud" / "versions" / "v"
    write_model(model)
    for folder in (model.parent, tmp_path / "registry"):
        with pytest.raises(ArtifactError, match=f"such as {model}$"):
            verify_artifact(folder)


def test_a_file_the_manifest_does_not_list_is_named(model: Path) -> None:
    (model / "extra.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"not listed in the manifest: extra\.json"):
        verify_artifact(model)


def test_a_link_in_place_of_a_file_is_refused(model: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    (model / "policy.json").rename(outside)
    (model / "policy.json").symlink_to(outside)
    with pytest.raises(ArtifactError, match=r"policy\.json: expected a file"):
        verify_artifact(model)


def test_an_edited_manifest_is_found(model: Path) -> None:
    path = model / "manifest.json"
    path.write_text(path.read_text().replace('"decline": 0.9', '"decline": 0.1'))
    with pytest.raises(ArtifactError, match="edited after it was written"):
        verify_artifact(model)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("system", "Fraud/.."),
        ("created_at", "yesterday"),
        ("feature_set_digest", "short"),
        ("feature_names", ["amount", "amount"]),
        ("metrics", {"auc": "high"}),
        ("files", {"../policy.json": {"sha256": "0" * 64, "bytes": 1}}),
        ("files", {"policy.json": {"sha256": "0" * 64, "bytes": -1}}),
        ("version", "latest"),
    ],
)
def test_a_malformed_field_of_the_manifest_is_named(model: Path, field: str, value: object) -> None:
    path = model / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(ArtifactError, match=field):
        verify_artifact(model)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (FeatureSet(names=("amount", "hour_of_day", "velocity")), "missing in the model: velocity"),
        (FeatureSet(names=("amount", "hour_of_day")), "unknown to the server: is_weekend"),
        (
            FeatureSet(names=("hour_of_day", "amount", "is_weekend")),
            "in another order: hour_of_day, amount",
        ),
        (FeatureSet(digest="cd" * 32), "names agree but their declarations"),
    ],
)
def test_a_foreign_feature_set_is_refused_with_what_differs(
    model: Path, features: FeatureSet, message: str
) -> None:
    with pytest.raises(ArtifactError, match=message):
        read_artifact(model, features)
