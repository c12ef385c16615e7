"""A file of boosted trees is served only if nothing in it can lead XGBoost astray."""

import json
import subprocess
import sys
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.boosting.booster_file import checked_document, read_booster
from lib.boosting.node_check import BoosterError, check_nodes
from lib.boosting.ubjson import decode
from lib.fraud.model.forest import Forest, read_forest

FEATURES = 5


def rows(count: int, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    generator = np.random.default_rng(seed)
    matrix = generator.normal(size=(count, FEATURES)).astype(np.float32)
    matrix[generator.random(matrix.shape) < 0.05] = np.nan
    return matrix, (np.nan_to_num(matrix[:, 0]) + generator.normal(size=count) > 0).astype(float)


@pytest.fixture(scope="module")
def booster() -> xgb.Booster:
    matrix, labels = rows(600, 1)
    parameters = {"objective": "binary:logistic", "max_depth": 4, "base_score": 0.3, "gamma": 0.5}
    return xgb.train({**parameters, "tree_method": "hist"}, xgb.DMatrix(matrix, labels), 12)


@pytest.fixture(scope="module")
def content(booster: xgb.Booster) -> bytes:
    return bytes(booster.save_raw("ubj"))


def changed(content: bytes, tree: int, name: str, index: int, value: float) -> Any:
    """The decoded file with one number of one tree replaced."""
    model = decode(content)
    values = model["learner"]["gradient_booster"]["model"]["trees"][tree][name]
    replaced = values.copy()
    replaced[index] = value
    model["learner"]["gradient_booster"]["model"]["trees"][tree][name] = replaced
    return model


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | np.ndarray):
        return [plain(entry) for entry in value]
    return value.item() if isinstance(value, np.generic) else value


def test_a_checked_booster_answers_as_the_trained_one(booster, content):
    matrix, _ = rows(300, 2)
    read = read_booster(content, FEATURES)
    assert np.array_equal(read.inplace_predict(matrix), booster.inplace_predict(matrix))


def test_the_file_is_read_as_xgboost_writes_it_in_json(booster, content):
    ours, expected = plain(decode(content)), json.loads(booster.save_raw("json"))
    assert (
        ours["learner"]["gradient_booster"]["model"]["trees"][0]["left_children"]
        == (expected["learner"]["gradient_booster"]["model"]["trees"][0]["left_children"])
    )
    assert ours["learner"]["learner_model_param"] == expected["learner"]["learner_model_param"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("left_children", 2**30, "child: expected 0"),
        ("left_children", 0, "more than one way"),
        ("right_children", 2**31 - 1, "child: expected 0"),
        ("split_indices", 2**30, "split feature: expected 0 to 4"),
        ("split_indices", -1, "split feature"),
        ("split_conditions", float("nan"), "NaN"),
    ],
)
def test_numbers_that_lead_outside_are_refused(content, name, value, message):
    with pytest.raises(BoosterError, match=message):
        checked_document(changed(content, 0, name, 0, value), FEATURES)


def test_another_number_of_features_is_refused(content):
    with pytest.raises(BoosterError, match="num_feature: expected 7"):
        read_booster(content, 7)


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_cut_file_is_refused(content, cut):
    with pytest.raises(BoosterError):
        read_booster(content[:cut], FEATURES)


def test_lengths_beyond_the_file_are_refused():
    for text in (b"[$l#L\x00\x00\x01\x00\x00\x00\x00\x00", b"SL\x7f\xff\xff\xff\xff\xff\xff\xff"):
        with pytest.raises(BoosterError, match="are left"):
            decode(text)
    with pytest.raises(BoosterError, match="too many values"):
        decode(b"[#L\x00\x00\x00\x00\x7f\xff\xff\xff" + b"Z" * 3_000_000)
    with pytest.raises(BoosterError, match="nested too deep"):
        decode(b"[" * 1_000)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused(data):
    with suppress(BoosterError):
        decode(data)


FLIPS = """
import sys
import numpy as np
from lib.boosting.booster_file import read_booster
from lib.boosting.node_check import BoosterError
content = sys.stdin.buffer.read()
generator = np.random.default_rng(7)
rows = generator.normal(size=(50, 5)).astype(np.float32)
accepted = refused = 0
for _ in range(1500):
    flipped = bytearray(content)
    for index in generator.integers(0, len(content), generator.integers(1, 4)):
        flipped[index] ^= 1 << int(generator.integers(0, 8))
    try:
        booster = read_booster(bytes(flipped), 5)
    except (BoosterError, ValueError):
        refused += 1
        continue
    booster.inplace_predict(rows, predict_type="margin")
    accepted += 1
print(accepted, refused)
"""


def test_flipped_bits_never_end_the_process(content):
    done = subprocess.run(
        [sys.executable, "-c", FLIPS], input=content, capture_output=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-500:]
    accepted, refused = map(int, done.stdout.split())
    assert accepted > 100
    assert refused > 100


def test_a_node_that_is_its_own_child_is_refused(booster):
    arrays = read_forest([bytes(booster.save_raw("json"))]).to_arrays()
    left = arrays["left"].copy()
    left[0] = 0
    with pytest.raises(BoosterError, match="more than one way"):
        Forest.from_arrays({**arrays, "left": left}, FEATURES)


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_whatever_passes_the_check_ends_in_leaves(data):
    size = data.draw(st.integers(1, 8))
    child = st.integers(-1, size)
    left, right = (
        np.array(data.draw(st.lists(child, min_size=size, max_size=size))) for _ in range(2)
    )
    feature = np.zeros(size, dtype=np.int64)
    try:
        check_nodes(np.array([0]), left, right, feature, 1)
    except BoosterError:
        return
    reached, nodes = 0, [0]
    while nodes:
        node = nodes.pop()
        reached += 1
        assert reached <= size
        nodes += [int(side[node]) for side in (left, right) if left[node] >= 0]
