"""Attributes and a feature file of payments: the same values in files and in stores."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from jobs.data_fingerprint import fingerprint_of
from jobs.framework.retrained_system import Champion
from jobs.fraud import features as features_job
from jobs.fraud.features import FeaturesConfig
from jobs.fraud.retraining import FraudRetraining
from jobs.fraud.training_config import TrainConfig
from lib.contract import ContractError
from lib.feature import (
    OnlineFeatures,
    ProfileStore,
    RedisStore,
    SqliteStore,
    compute,
    events,
    replay,
)
from lib.feature.attributes import (
    LEAST_ROWS,
    MOST_VALUES,
    Attribute,
    AttributeFaultError,
    ValueCounts,
    freeze_attributes,
)
from lib.feature.feature_extension import FEATURES_FILE, FeatureExtension
from lib.fraud.amounts import AmountScale
from lib.fraud.model.inputs import as_inputs
from lib.fraud.payment_features import PaymentFeatures
from lib.registry import ArtifactError, TrainingRecord, verify_artifact, write_artifact
from tests.conftest import on_two_cores
from tests.fraud.attribute_files import AttributeFiles, mapping, write_files

pytestmark = on_two_cores(minutes=5)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> AttributeFiles:
    return write_files(tmp_path_factory.mktemp("attributes"), users=60, days=25)


def config_of(files: AttributeFiles, output: Path, **changes: Any) -> FeaturesConfig:
    options = {
        "transactions": str(files.transactions),
        "labels": str(files.labels),
        "mapping_transactions": str(files.mapping),
        "feature_file": str(files.features),
        "output": str(output),
        "progress": "none",
        **changes,
    }
    return FeaturesConfig(**options)


@pytest.fixture(params=["sqlite", "redis"])
def profile_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ProfileStore]:
    if request.param == "sqlite":
        store: ProfileStore = SqliteStore(tmp_path / "profiles.sqlite")
    else:
        store = RedisStore(request.getfixturevalue("redis_url"), "attributes:")
    with closing(store):
        yield store


@pytest.fixture(scope="module")
def computed(files: AttributeFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("computed")
    features_job.main(config_of(files, output))
    return output


def note_of(folder: Path) -> dict[str, Any]:
    note: dict[str, Any] = json.loads((folder / "features.json").read_text())
    return note


def rows_of(folder: Path) -> pa.Table:
    table = ds.dataset(folder / "data").to_table()
    return table.sort_by([("event_time", "ascending"), ("transaction_id", "ascending")])


def test_each_kind_of_attribute_becomes_its_feature(computed: Path) -> None:
    note = note_of(computed)
    encodings = {each["name"]: each["encoding"] for each in note["extension"]["attributes"]}
    assert encodings["category"] == "rate"
    assert encodings["channel"] == "code"
    assert encodings["account_age"] == "value"
    names = note["features"]
    assert {"fraud_rate_by_category_30d_behind_7d", "channel_code", "is_guest", "v20"} <= set(names)
    assert "merchants_by_device_3d" in names
    rows = rows_of(computed)
    assert set(rows["is_guest"].drop_null().unique().to_pylist()) == {0.0, 1.0}
    codes = rows["channel_code"].to_numpy()
    missing = rows["channel"].is_null().to_numpy()
    assert np.isnan(codes[missing]).all()
    assert set(np.unique(codes[~missing])) <= {0.0, 1.0, 2.0, 3.0, 4.0}


def test_files_and_profiles_give_the_same_values_to_the_bit(
    computed: Path, profile_store: ProfileStore
) -> None:
    features = PaymentFeatures.from_json(note_of(computed))
    assert features.feature_set.digest == note_of(computed)["feature_set_digest"]
    rows = rows_of(computed)
    online = OnlineFeatures(features.feature_set)
    kept = features.feature_set.kept_columns
    stream = events(rows.drop_columns([name for name in features.names if name not in kept]))
    observed: dict[str, Mapping[str, float]] = {}
    for step in replay(online, stream):
        reply = profile_store.exchange(step.exchange)
        if step.event is not None:
            values = online.read(step.event, reply).values
            observed[step.event["transaction_id"]] = values
    ids = rows["transaction_id"].to_pylist()
    for name in features.names:
        served = np.array([observed[each][name] for each in ids])
        assert np.array_equal(served, rows[name].to_numpy(), equal_nan=True), name


def test_shuffles_and_one_task_give_the_same_features(
    computed: Path, files: AttributeFiles, tmp_path: Path
) -> None:
    features_job.main(config_of(files, tmp_path / "many", partitions=3))
    single, many = rows_of(computed), rows_of(tmp_path / "many")
    assert note_of(computed)["extension"] == note_of(tmp_path / "many")["extension"]
    for name in note_of(computed)["features"]:
        assert np.array_equal(single[name].to_numpy(), many[name].to_numpy(), equal_nan=True), name


def test_a_rate_by_category_sees_no_label_before_it_is_known(computed: Path) -> None:
    rows = rows_of(computed)
    times = rows["event_time"].cast(pa.int64()).to_numpy()
    known = rows["fraud_from"].cast(pa.int64()).fill_null(2**62).to_numpy()
    category = rows["category"].to_pylist()
    name = "fraud_rate_by_category_30d_behind_7d"
    rates = rows[name].to_numpy()
    day = 86_400_000_000
    for row in np.random.default_rng(1).choice(len(rows), 60, replace=False):
        first, end = (times[row] // day - 37) * day, (times[row] - 7 * day) // day * day
        same = [k for k in range(len(rows)) if category[k] == category[row]]
        inside = [k for k in same if first <= times[k] < end]
        frauds = sum(known[k] <= times[row] for k in inside)
        assert rates[row] == (frauds + 0.1) / (len(inside) + 10.0)


COUNTS: list[tuple[int, bool, str]] = [
    (5, False, "code"),
    (31, False, "rate"),
    (MOST_VALUES + 1, True, "key"),
]


@pytest.mark.parametrize(("values", "is_key", "encoding"), COUNTS)
def test_the_number_of_values_decides_the_encoding(
    values: int, is_key: bool, encoding: str
) -> None:
    table = pa.table({"shop": pa.array([f"s{k}" for k in range(values)])})
    (frozen,) = freeze_attributes(
        [Attribute("shop", "category")],
        ValueCounts.of(table, ["shop"]),
        {"shop"} if is_key else (),
    )
    assert frozen.encoding == encoding


def test_rare_values_share_the_code_of_unknown_ones() -> None:
    texts = ["often"] * LEAST_ROWS + ["rare"] * (LEAST_ROWS - 1)
    counts = ValueCounts.of(pa.table({"shop": texts[:10]}), ["shop"])
    counts += ValueCounts.of(pa.table({"shop": texts[10:]}), ["shop"])
    (frozen,) = freeze_attributes([Attribute("shop", "category")], counts)
    assert frozen.vocabulary == ("often",)
    assert counts.rows == len(texts)


def test_an_identifier_is_no_category() -> None:
    many = ValueCounts(3, {"session": None})
    with pytest.raises(AttributeFaultError, match=r"'session'.*100,000 different values.*key"):
        freeze_attributes([Attribute("session", "category")], many)


def test_the_features_of_a_note_are_those_that_were_computed(computed: Path) -> None:
    features = PaymentFeatures.from_json(note_of(computed))
    assert PaymentFeatures.from_json(json.loads(features.to_bytes())) == features
    assert features.words["merchants_by_device_3d"].startswith("different shops")
    assert features.words["fraud_rate_by_category_30d_behind_7d"] == (
        "fraud rate of the branch of the shop"
    )
    plain = PaymentFeatures(AmountScale())
    assert plain.feature_set.digest != features.feature_set.digest
    assert PaymentFeatures.from_json({}).feature_set.digest == plain.feature_set.digest


def with_text(files: AttributeFiles, folder: Path, kind: str, text: str) -> AttributeFiles:
    named = {"features": files.features, "mapping": files.mapping}
    named[kind] = folder / f"{kind}.yaml"
    named[kind].write_text(text)
    return AttributeFiles(files.transactions, files.labels, named["mapping"], named["features"])


ENTRY = "features:\n- {name: x, unit: a, key: [device_id], aggregate: count, "
BAD_FILES: list[tuple[str, str, str]] = [
    ("features", f"{ENTRY}window: 1h, hop: 2h}}", r"features.yaml:2.*hop.*1h"),
    ("features", f"{ENTRY}window: 1d, fact: fraudd}}", r"features.yaml:2.*did you mean 'fraud'"),
    (
        "features",
        "features:\n- {name: x, unit: a, key: [is_fraud], aggregate: count, window: 1d}",
        r"features.yaml:2.*'is_fraud'.*label is no column",
    ),
    (
        "features",
        "features:\n- {name: a, unit: u, expression: b + 1}\n"
        "- {name: b, unit: u, expression: a + 1}",
        r"features.yaml:2.*'b' is declared after 'a'.*cycle",
    ),
    ("features", "features:\n- {name: v1, unit: u, expression: amount}", r":2.*'v1'"),
    ("features", "features:\n- {nam: a}", r":2"),
    ("features", "", r"features.yaml: expected a list 'features', got an empty file"),
    ("mapping", "  amount: {from: age, type: number}", r"mapping.yaml:\d+.*packaged feature"),
    ("features", f"{ENTRY}window: 1d, empty: .inf}}", r"features.yaml:2.*finite"),
    ("features", f"{ENTRY}window: 3650d, hop: 1d}}", r"features.yaml:2.*hop of at least 7d"),
    (
        "features",
        "features:\n- {name: fraud_until, unit: u, expression: amount}",
        r"features.yaml:2.*'fraud_until'",
    ),
    ("mapping", "  fraud_from: {from: age, type: number}", r"mapping.yaml:\d+.*becomes known"),
    ("mapping", "  is_fraud: {from: guest, type: category}", r"mapping.yaml:\d+.*becomes known"),
    (
        "mapping",
        "  shop: {from: mcc, type: category}\n  shop_code: {from: age, type: number}",
        r"mapping.yaml:\d+.*what attribute 'shop' becomes",
    ),
    ("mapping", "  user_id: {from: mcc, type: category}", r"mapping.yaml:\d+.*is a column of"),
    (
        "mapping",
        "  shop: {from: mcc, type: categroy}",
        r"mapping.yaml:\d+.*did you mean 'category'",
    ),
]


@pytest.mark.parametrize(("kind", "text", "message"), BAD_FILES)
def test_bad_files_are_refused_before_anything_is_read_with_line_and_hint(
    files: AttributeFiles, tmp_path: Path, kind: str, text: str, message: str
) -> None:
    columns = ["transaction_id", "event_time", "user_id", "merchant_id", "amount_minor", "currency"]
    content = mapping([*columns, "payment_method"], text) if kind == "mapping" else text
    changed = with_text(files, tmp_path, kind, content)
    config = config_of(changed, tmp_path / "out")
    with pytest.raises(ContractError, match=message):
        config.check()


def test_a_file_of_a_model_and_one_of_its_own_are_too_many(
    files: AttributeFiles, tmp_path: Path
) -> None:
    with pytest.raises(ContractError, match="either --feature-file or --features-of"):
        config_of(files, tmp_path / "out", features_of=str(tmp_path)).check()


def test_a_text_with_millions_of_values_is_named_with_its_line(
    files: AttributeFiles, tmp_path: Path
) -> None:
    features = PaymentFeatures(extension=FeatureExtension((Attribute("session", "category"),)))
    with pytest.raises(AttributeFaultError) as caught:
        features.frozen(ValueCounts(1_000_000, {"session": None}))
    attributes = "  session: {from: transaction_id, type: category}"
    columns = ["transaction_id", "event_time", "user_id", "merchant_id", "amount_minor", "currency"]
    changed = with_text(
        files, tmp_path, "mapping", mapping([*columns, "payment_method"], attributes)
    )
    error = config_of(changed, tmp_path / "out").attribute_fault(caught.value)
    assert "mapping.yaml:" in str(error)
    assert "expected a category" in str(error)


def test_closing_lines_say_how_each_attribute_is_read(
    files: AttributeFiles, computed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features_job.main(config_of(files, computed))
    printed = capsys.readouterr().out
    assert "features are there already" in printed
    assert "attribute category: a rate by value" in printed
    assert "attribute channel: a code for each of 4 values" in printed
    assert "features.yaml: merchants_by_device_3d" in printed


def test_deviations_that_do_not_add_up_in_64_bits_are_refused(files: AttributeFiles) -> None:
    attribute = Attribute("balance", "number")
    text = (
        "features:\n- {name: spread, unit: u, key: [currency], aggregate: deviation, of: balance,"
        " window: 30d, resolution: %s}"
    )
    payments = pq.read_table(files.transactions)
    balance = np.random.default_rng(2).normal(1.5e6, 4e5, len(payments))
    table = payments.append_column("balance", pa.array(balance))
    fine = PaymentFeatures(extension=FeatureExtension((attribute,), text % "0.01"))
    with pytest.raises(ContractError, match=r"balance.*'resolution' \d+ times as coarse"):
        compute(fine.feature_set, table)
    coarse = PaymentFeatures(extension=FeatureExtension((attribute,), text % "1"))
    spread = compute(coarse.feature_set, table)["spread"].to_numpy()
    assert 3e5 < np.nanmedian(spread) < 5e5


def test_numbers_beyond_float32_are_its_largest_for_the_model() -> None:
    inputs = as_inputs([1e300, -1e300, float("inf"), float("nan"), 1.0])
    largest = np.finfo(np.float32).max
    assert np.array_equal(inputs, [largest, -largest, largest, np.nan, 1.0], equal_nan=True)


def test_words_of_the_file_are_part_of_what_is_computed_again(files: AttributeFiles) -> None:
    text = files.features.read_text()
    named = PaymentFeatures(extension=FeatureExtension((), ENTRY + "window: 1d, words: a}"))
    renamed = PaymentFeatures(extension=FeatureExtension((), ENTRY + "window: 1d, words: b}"))
    assert text
    assert named.feature_set.digest == renamed.feature_set.digest
    assert named.digest != renamed.digest


def test_a_model_of_another_system_has_no_features_of_payments(tmp_path: Path) -> None:
    record = TrainingRecord(1, "data", "code", {}, {})
    write_artifact(
        tmp_path / "other", record, system="churn", feature_names=("a",), thresholds={},
        feature_set_digest="0" * 64, files={},
    )  # fmt: skip
    with pytest.raises(ArtifactError, match="expected a model of fraud, got one of churn"):
        PaymentFeatures.of_artifact(verify_artifact(tmp_path / "other"))


def test_a_retraining_reads_what_the_champion_reads(computed: Path, tmp_path: Path) -> None:
    features = PaymentFeatures.from_json(note_of(computed))
    record = TrainingRecord(1, "data", "code", {}, {})
    about = {"system": "fraud", "feature_names": features.names, "thresholds": {}}
    digest = features.feature_set.digest
    content = {FEATURES_FILE: features.to_bytes()}
    manifest = write_artifact(
        tmp_path / "own", record, feature_set_digest=digest, files=content, **about
    )
    plain = PaymentFeatures()
    other = write_artifact(
        tmp_path / "plain", record, feature_set_digest=plain.feature_set.digest, files={}, **about
    )
    settings = TrainConfig(transactions="t", output="o")
    own = FraudRetraining().comparable(settings, Champion(manifest, tmp_path / "own"))
    assert own.features_of == str(tmp_path / "own")
    same = FraudRetraining().comparable(settings, Champion(other, tmp_path / "plain"))
    assert same == settings


def test_a_changed_file_of_a_lookup_is_read_again(files: AttributeFiles, tmp_path: Path) -> None:
    text = files.mapping.read_text()
    entry = (
        "  branch: {from: mcc, type: category, lookup: {file: branches.csv, key: k, value: v}}\n"
    )
    mapping_file = tmp_path / "mapping.yaml"
    mapping_file.write_text(text + entry)
    branches = files.transactions.with_name("branches.csv")
    branches.write_text("k,v\nmcc1,food\nmcc2,travel\n")
    config = config_of(files, tmp_path / "out", mapping_transactions=str(mapping_file))
    before = fingerprint_of(config.files)
    branches.write_text("k,v\nmcc1,food\nmcc2,fuel\n")
    assert str(branches) in config.files
    assert fingerprint_of(config.files) != before
