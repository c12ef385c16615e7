"""Attributes of posts from mapping file to model, report, scores and retraining."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from jobs.framework.retrained_system import Champion
from jobs.moderation import retrain, score, simulate, train
from jobs.moderation.dataset import find_rows, split_dataset
from jobs.moderation.preprocess import PreprocessConfig
from jobs.moderation.retrain import RetrainConfig
from jobs.moderation.retraining import PostRetraining, inputs_of
from jobs.moderation.score import ScoreConfig
from jobs.moderation.simulate import Simulate
from jobs.moderation.training_config import TrainConfig
from lib.calibration import sigmoid
from lib.contract import Contract, ContractError, parse_mapping
from lib.feature.attributes import MOST_VALUES, AttributeFaultError
from lib.moderation.contracts import POSTS
from lib.moderation.model.model import load_model, open_artifact
from lib.moderation.post import Post
from lib.moderation.post_attributes import (
    MOST_RATED,
    PREFIX,
    attribute_rows,
    declared_attributes,
    features_of,
    frozen_attributes,
    renamed,
)
from lib.moderation.rules import row_of
from lib.monitoring import REFERENCE_FILE
from lib.registry import Registry
from tests.conftest import on_two_cores
from tests.moderation.attribute_posts import (
    ATTRIBUTES,
    FEATURES,
    mapping,
    violating_posts,
    with_attributes,
    write_posts,
)
from tests.moderation.small_size import SMALL_SIZE
from tests.records.conftest import empty_records

pytestmark = on_two_cores(minutes=8)
NUMBER = ATTRIBUTES[1]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("told")
    options = Simulate(folder, posts=700, texts=90, images=60, clips=24, authors=240, seed=4)
    simulate.main(options)
    (folder / "size.yaml").write_text(SMALL_SIZE)
    return folder


@pytest.fixture(scope="module")
def own(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_posts(dataset, tmp_path_factory.mktemp("own"))


def training(dataset: Path, output: Path, **options: Any) -> dict[str, Any]:
    return {
        "media": str(dataset / "media.parquet"),
        "labels": str(dataset / "labels.parquet"),
        "policies": str(dataset / "policies.yaml"),
        "size": str(dataset / "size.yaml"),
        "output": str(output),
        "engine": "process",
        "bootstrap": 10,
        "progress": "none",
        **options,
    }


@pytest.fixture(scope="module")
def trained(dataset: Path, own: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("trained")
    published = {"registry": str(output / "registry"), "alias": "champion"}
    train.main(TrainConfig(**training(dataset, output, **own, **published, simulated=True)))
    return output


@pytest.fixture(scope="module")
def posts(dataset: Path) -> pa.Table:
    table = pq.read_table(dataset / "posts.parquet")
    return with_attributes(table, violating_posts(pq.read_table(dataset / "labels.parquet")))


def contract(attributes: str) -> Contract:
    """The contract of posts with attributes of a mapping file."""
    return parse_mapping(mapping(attributes), (POSTS,)).contract


def test_rows_hold_attributes_as_they_came(trained: Path, posts: pa.Table) -> None:
    dataset = find_rows(str(trained / "rows"))
    assert dataset.attributes == ATTRIBUTES
    rows = dataset.attribute_rows(np.arange(len(dataset)))
    names = dataset.posts["post_id"].to_pylist()
    sent = {
        row["post_id"]: {each.name: row[each.name] for each in ATTRIBUTES}
        for row in posts.to_pylist()
    }
    assert rows == [
        {name: value for name, value in sent[post].items() if value is not None} for post in names
    ]
    some = np.arange(0, len(dataset), 50)
    inputs = inputs_of(dataset, some)
    assert [each.attributes for each in inputs] == [rows[k] for k in some.tolist()]


def test_a_trained_model_reads_what_helps_and_the_report_says_so(trained: Path) -> None:
    model = load_model(trained / "model")
    group, age, emulated, channel, tilt = model.fusion.attributes
    assert set(group.vocabulary) == {"chess", "garden", "market", "politics"}
    assert (group.encoding, channel.encoding) == ("code", "rate")
    assert (age.unit, age.low, age.high) == ("days", 0.0, 36500.0)
    assert (emulated.words, tilt.type) == ("sent by an emulated device", "number")
    report = json.loads((trained / "report.json").read_text())
    facts = report["attributes"]
    read = [name for name, each in facts["policies"].items() if each["is_read"]]
    assert "prohibited_item" in read
    assert (
        facts["policies"]["prohibited_item"]["log_loss_with"]
        < (facts["policies"]["prohibited_item"]["log_loss_without"])
    )
    assert report["methods"]["ours"]["mean"] > report["methods"]["ours without attributes"]["mean"]
    assert facts["gain"]["value"] == pytest.approx(
        report["methods"]["ours"]["mean"] - report["methods"]["ours without attributes"]["mean"]
    )
    moves = {name: each["moves"] for name, each in facts["read"].items()}
    assert moves["account_age"] > 3 * moves["tilt"]
    page = (trained / "report.html").read_text()
    assert "Attributes of posts" in page
    assert f"Read of {', '.join(read)}." in page


def test_monitoring_compares_with_attributes_of_the_training(trained: Path) -> None:
    reference = json.loads((trained / "model" / REFERENCE_FILE).read_text())
    columns = {each["bins"]["name"]: each["bins"]["column"] for each in reference["measures"]}
    assert {name: columns[name] for name in FEATURES} == {
        name: f"feature_{name}" for name in FEATURES
    }


def test_scores_are_those_of_the_model_with_its_attributes(
    dataset: Path, own: dict[str, str], trained: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {
        "media": str(dataset / "media.parquet"),
        "policies": str(dataset / "policies.yaml"),
        "registry": str(trained / "registry"),
        "output": str(tmp_path / "scores"),
        "progress": "none",
    }
    lacking = mapping("  group: {from: GROUP, type: category}")
    (tmp_path / "posts.yaml").write_text(lacking)
    fewer = own | {"mapping_posts": str(tmp_path / "posts.yaml")}
    with pytest.raises(ContractError, match=r"attribute 'account_age'.*under 'attributes'"):
        score.main(ScoreConfig(**options, **fewer))
    score.main(ScoreConfig(**options, **own))
    table = pq.read_table(tmp_path / "scores" / "data").sort_by("post_id")
    model, prepared = load_model(trained / "model"), find_rows(str(trained / "rows"))
    assert table["post_id"].equals(prepared.posts["post_id"])
    rows = np.arange(0, len(prepared), 7)
    expected = sigmoid(model.log_odds(inputs_of(prepared, rows)))
    some = table.take(pa.array(rows))
    scores = np.stack([some[f"p_{name}"].to_numpy() for name in model.policies], axis=1)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    bare = [replace(each, attributes={}) for each in inputs_of(prepared, rows)]
    assert np.abs(sigmoid(model.log_odds(bare)) - scores).max() > 0.05


def test_features_of_a_table_are_those_of_its_posts(trained: Path) -> None:
    prepared, model = find_rows(str(trained / "rows")), load_model(trained / "model")
    rows = np.arange(len(prepared))
    single = model.fusion.encoded(prepared.attribute_rows(rows))
    np.testing.assert_array_equal(prepared.features(rows, model.fusion.attributes), single)


def test_a_retraining_keeps_the_attributes_of_the_champion(
    dataset: Path, own: dict[str, str], trained: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "posts.yaml").write_text(
        mapping().replace("columns:", "  more: {from: reach, type: number}\ncolumns:")
    )
    settings = training(
        dataset, tmp_path / "r", **own, registry=str(trained / "registry"),
        records=empty_records(tmp_path), margin="1e9", least_entities=2,
    )  # fmt: skip
    settings["mapping_posts"] = str(tmp_path / "posts.yaml")
    result = retrain.main(RetrainConfig(**settings))
    assert result["won"] is False
    assert (
        "attributes that the champion does not read are left out: more" in capsys.readouterr().out
    )
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    assert list(report["attributes"]["read"]) == [each.name for each in ATTRIBUTES]


def test_a_retraining_without_an_attribute_of_the_champion_is_refused(
    own: dict[str, str], trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "posts.yaml").write_text(mapping("  group: {from: GROUP, type: category}"))
    options = {**own, "mapping_posts": str(tmp_path / "posts.yaml")}
    settings = TrainConfig(**options, output=str(tmp_path), labels="labels.parquet")
    manifest = open_artifact(trained / "model").manifest
    with pytest.raises(ContractError, match="the model reads attribute 'account_age'"):
        PostRetraining().comparable(settings, Champion(manifest, trained / "model"))
    prepared = find_rows(str(trained / "rows"))
    flag = replace(NUMBER, type="flag")
    with pytest.raises(ContractError, match="'account_age': expected type flag"):
        prepared.reading([flag])


def test_rows_without_attributes_train_a_model_without(
    dataset: Path, own: dict[str, str], trained: Path
) -> None:
    prepared = find_rows(str(trained / "rows")).reading(())
    config = TrainConfig(**training(dataset, trained, rows=str(trained / "rows")))
    _, split = split_dataset(prepared, config)
    assert prepared.samples(split) is None
    assert prepared.attributes == ()


RESERVED = [
    ("  image_count: {from: reach, type: number}", "'image_count' is a field that rules read"),
    ("  posts_by_author: {from: reach, type: number}", "is a field that rules read"),
    (
        "  shop: {from: text, type: category}\n  shop_code: {from: reach, type: number}",
        "'shop_code' is a name of attribute 'shop'",
    ),
]


@pytest.mark.parametrize(("attributes", "message"), RESERVED)
def test_names_that_something_else_has_are_refused_with_their_line(
    attributes: str, message: str, dataset: Path, own: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "posts.yaml").write_text(mapping(attributes))
    options = {**own, "mapping_posts": str(tmp_path / "posts.yaml")}
    config = PreprocessConfig(**options, output=str(tmp_path / "rows"))
    with pytest.raises(ContractError, match=rf"posts\.yaml:[34]: attribute.*{message}"):
        config.check()
    with pytest.raises(AttributeFaultError, match="give it another name"):
        declared_attributes(contract(attributes))


def attribute_table(posts: pa.Table) -> pa.Table:
    return renamed(posts, ATTRIBUTES)


def test_vocabularies_are_those_of_posts_that_teach(posts: pa.Table) -> None:
    table = attribute_table(posts)
    frozen = frozen_attributes(ATTRIBUTES, table)
    features = features_of(table, frozen)
    assert "rare" not in frozen[0].vocabulary
    counts = posts["channel"].value_counts().to_pylist()
    frequent = max(counts, key=lambda entry: (entry["counts"], entry["values"]))["counts"]
    assert (features[:, 3] == 1.0).sum() == frequent
    assert len(frozen[3].vocabulary) <= MOST_RATED
    assert features[0, 0] == 0.0  # the rare value
    assert np.isnan(features[:, 0]).sum() == posts["group"].null_count
    assert renamed(table, ATTRIBUTES, back=True).column_names == posts.column_names
    assert np.isnan(features_of(table.drop_columns([f"{PREFIX}tilt"]), frozen)[:, 4]).all()
    assert attribute_rows(table.slice(0, 1), ATTRIBUTES)[0]["group"] == "rare"


def test_an_identifier_is_refused(posts: pa.Table) -> None:
    count = MOST_VALUES + 1
    values = pc.cast(pa.array(np.arange(count)), pa.string())
    table = pa.table({f"{PREFIX}group": values})
    with pytest.raises(AttributeFaultError, match="identifiers; group its values, or leave it out"):
        frozen_attributes(ATTRIBUTES[:1], table)


def test_rules_read_numbers_texts_and_flags() -> None:
    post = Post("p", "ann", 1, text="hello", attributes={"group": "chess", "emulated": True})
    row = row_of(post, {}, attributes=ATTRIBUTES)
    assert (row["group"], row["emulated"], row["account_age"]) == ("chess", 1.0, None)
    assert "group" not in row_of(post, {})


def test_a_version_of_the_registry_is_the_model(trained: Path) -> None:
    version = Registry(trained / "registry").resolve("moderation", "champion")
    assert load_model(trained / "model").version == version
