import dataclasses
import subprocess
import sys

import pyarrow as pa
import pytest

from lib.feature import (
    DAY,
    HOUR,
    Count,
    Derived,
    Direct,
    DistinctCount,
    Feature,
    FeatureSet,
    Window,
    compute,
    finish,
    measure,
)

COUNT = Feature("events_by_user_1d", "events", ("user_id",), Count(), Window(DAY, HOUR))


def identity(value):
    return value


def feature_set(*features) -> FeatureSet:
    return FeatureSet("test", 1, features)


def test_the_digest_tells_any_difference():
    changes = [
        dataclasses.replace(COUNT, name="other"),
        dataclasses.replace(COUNT, unit="others"),
        dataclasses.replace(COUNT, key=("merchant_id",)),
        dataclasses.replace(COUNT, window=Window(DAY, DAY)),
        dataclasses.replace(COUNT, empty=0.0),
        dataclasses.replace(COUNT, aggregate=Count(fact="fraud")),
    ]
    digests = {feature_set(change).digest for change in (COUNT, *changes)}
    assert len(digests) == len(changes) + 1


def test_the_digest_is_the_same_in_another_process():
    code = "from lib.fraud.features import FRAUD; print(FRAUD.digest)"
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(digests) == 1


def test_a_name_declared_twice_is_refused():
    with pytest.raises(ValueError, match="'events_by_user_1d' is declared twice"):
        feature_set(COUNT, COUNT)


def test_an_input_that_is_not_declared_before_is_refused():
    with pytest.raises(ValueError, match="'b' needs 'a'"):
        feature_set(Derived("b", "", ("a",), identity), Direct("a", "", ("x",), identity))


def test_a_distinct_count_without_a_window_is_refused():
    feature = Feature("users", "users", ("device_id",), DistinctCount("user_id"))
    with pytest.raises(ValueError, match="needs a window"):
        feature_set(feature).measures()


def test_hidden_features_are_no_inputs_of_a_model():
    assert feature_set(dataclasses.replace(COUNT, hidden=True)).names == ()


def test_a_feature_that_has_the_name_of_a_column_is_refused_before_anything_is_computed():
    features = feature_set(COUNT, Direct("amount", "units", ("amount_minor",), identity))
    events = pa.table(
        {
            "transaction_id": ["t1"],
            "event_time": pa.array([1], pa.timestamp("us", "UTC")),
            "user_id": ["u1"],
            "amount_minor": [5],
            "amount": [5.0],
        }
    )
    for work in (compute, finish, lambda *arguments: measure(*arguments, "user_id")):
        with pytest.raises(ValueError, match="feature 'amount' of test has the name of a column"):
            work(features, events)
    assert compute(features, events.drop_columns("amount"))["amount"].to_pylist() == [5.0]
