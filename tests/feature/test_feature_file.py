"""Features of a file are the same offline and online, and its faults are named with their line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.feature import compute
from lib.feature.expression_formula import ExpressionFormula
from lib.feature.feature_file import FeatureFileError
from lib.feature.feature_reader import load_features
from tests.feature.shop_events import BASE, COLUMNS, TIME, online_rows, table_of

FILE = """
features:
- {name: users_by_device_3d, unit: users, words: customers on this device, key: [device],
   aggregate: distinct, of: user, window: 3d, hop: 10m, empty: 0}
- {name: orders_by_channel_and_user_1d, unit: orders, key: [channel, user], aggregate: count,
   window: 1d}
- {name: basket_sum_by_user_7d, unit: items, key: [user], aggregate: sum, of: basket, window: 7d}
- {name: basket_mean_by_user_7d, unit: items, key: [user], aggregate: mean, of: basket, window: 7d}
- {name: basket_deviation_by_channel, unit: items, key: [channel], aggregate: deviation, of: basket,
   window: 30d, without: fraud}
- {name: guest_share_by_device, unit: share, key: [device], aggregate: mean, of: guest, window: 7d}
- {name: last_basket_by_user, unit: items, key: [user], aggregate: latest, of: basket,
   horizon: 30d}
- {name: is_new_channel, unit: 0 or 1, key: [user, channel], aggregate: is_new, horizon: 90d}
- {name: minutes_since_channel, unit: minutes, key: [channel], aggregate: minutes_since,
   horizon: 9d}
- {name: fraud_rate_by_channel, unit: share, key: [channel], aggregate: rate, fact: fraud,
   window: 14d, behind: 7d, prior: 0.02}
- {name: basket_against_mean, unit: ratio, expression: last_basket_by_user / basket_mean_by_user_7d}
- {name: is_large_and_new, unit: 0 or 1, expression: amount > 50 and is_new_channel == 1}
"""


@pytest.mark.parametrize("seed", range(3))
def test_features_of_a_file_agree_online_and_offline_to_the_bit(seed: int, tmp_path: Path):
    declared = load_features(FILE, "features.yaml", BASE, COLUMNS)
    features = declared.extend(BASE)
    table = table_of(seed, 300)
    offline = compute(features, table)
    rows = list(online_rows(features, table, tmp_path / "profiles.sqlite"))
    assert len(rows) == len(table)
    for name in features.names:
        values = np.array([row[name] for row in rows])
        assert np.array_equal(values, offline[name].to_numpy(), equal_nan=True), name
        assert len(np.unique(values[~np.isnan(values)])) > 1, name


def test_a_mean_is_of_the_events_that_have_a_value():
    text = "features: [{name: m, unit: x, key: [user], aggregate: mean, of: basket, window: 1d}]"
    features = load_features(text, "f", BASE, COLUMNS).extend(BASE)
    table = pa.table(
        {
            "id": ["a", "b", "c", "d"],
            "event_time": pa.array([0, 1, 2, 3]).cast(TIME),
            "user": ["u"] * 4,
            "basket": [1.004, None, 4.0, 0.0],
            "price": [1.0] * 4,
        }
    )
    means = compute(features, table)["m"].to_pylist()
    assert np.isnan(means[0])
    assert means[1:] == [1.0, 1.0, 2.5]


def test_the_digest_is_that_of_what_the_file_says():
    digests = {
        load_features(text, "f", BASE, COLUMNS).extend(BASE).digest
        for text in (
            FILE,
            f"# of last year\n{FILE}",
            FILE.replace("amount > 50", "amount > 51"),
            FILE.replace("prior: 0.02", "prior: 0.03"),
            FILE.replace("of: basket,\n   window: 30d", "of: price,\n   window: 30d"),
            FILE.replace("horizon: 9d", "horizon: 8d"),
        )
    }
    assert len(digests) == 5
    assert BASE.digest not in digests


def test_tiles_and_words_are_known_by_feature():
    declared = load_features(FILE, "f", BASE, COLUMNS)
    assert declared.tiles["users_by_device_3d"] == 433
    assert declared.words == {"users_by_device_3d": "customers on this device"}
    assert declared.text == FILE


ENTRY = {"name": "x", "unit": "u", "key": "[user]", "aggregate": "count", "window": "1d"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"aggregate": "cuont"}, "f:2: x: features.aggregate: .*got 'cuont'; did you mean 'count'"),
        ({"name": "X-1"}, "lower-case letters"),
        ({"name": "amount"}, "name: a feature 'amount' is declared already"),
        ({"name": "basket"}, "'basket' is a column of the events"),
        ({"key": "[usr]"}, "f:2: x: features.key: unknown column 'usr'; did you mean 'user'"),
        ({"key": "[basket]"}, "expected a category, and 'basket' is a number"),
        ({"key": "[user, user]"}, "expected different columns"),
        ({"key": "[]"}, "expected a key"),
        ({"window": "1 day"}, "window: '1 day' is not a duration"),
        ({"window": "0d"}, "window: expected a duration above 0"),
        ({"hop": "2d"}, "hop: expected at most the window, 1d, got 2d"),
        ({"hop": "7h"}, "window: expected a multiple of the hop, 7h, got 1d"),
        ({"hop": "1s"}, "hop: 86,401 tiles would be kept for each key, expected at most 2,000"),
        ({"behind": "90m", "hop": "1h"}, "behind: expected a multiple of the hop"),
        ({"window": None}, "count: expected 'window', got none"),
        ({"horizon": "1d"}, "count has no 'horizon'; it takes window, hop"),
        ({"fact": "frad"}, "fact: unknown fact 'frad'; did you mean 'fraud'"),
        ({"fact": "fraud", "without": "fraud"}, "either 'fact' or 'without'"),
        ({"aggregate": "sum"}, "sum: expected 'of', got none"),
        ({"aggregate": "sum", "of": "channel"}, "expected a number or a flag, and 'channel' is a"),
        ({"aggregate": "sum", "of": "price", "resolution": "0"}, "resolution: expected a number"),
        ({"aggregate": "distinct", "of": "user"}, "of: 'user' is of the key"),
        ({"aggregate": "rate", "fact": "fraud", "prior": "2"}, "prior: expected a share"),
        ({"aggregate": "rate", "fact": "fraud", "strength": "0"}, "strength: expected a number"),
        ({"expression": "amount"}, "either an aggregate or an expression"),
        ({"windw": "1d"}, "windw: unknown field; did you mean 'window'"),
        ({"unit": None}, "unit"),
    ],
)
def test_a_fault_is_named_with_its_line_and_what_was_expected(change, message):
    entry = {key: value for key, value in (ENTRY | change).items() if value is not None}
    text = "features:\n- {" + ", ".join(f"{k}: {v}" for k, v in entry.items()) + "}"
    with pytest.raises(FeatureFileError, match=message) as raised:
        load_features(text, "f", BASE, COLUMNS)
    assert str(raised.value).startswith("f:")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("amuont / 2", "did you mean 'amount'"),
        ("later + 1", "later"),
        ("x + 1", "x"),
        ("amount == 'a'", "compares"),
        ("open('f')", "open"),
        ("1 + 2", "reads no feature"),
        ("amount +", "syntax error"),
    ],
)
def test_a_fault_in_an_expression_is_named(expression: str, message: str):
    text = (
        f'features:\n- {{name: x, unit: u, expression: "{expression}"}}\n'
        "- {name: later, unit: u, expression: amount * 2}"
    )
    with pytest.raises(FeatureFileError, match=f"f:2: x: features.expression: .*{message}"):
        load_features(text, "f", BASE, COLUMNS)


def test_two_resolutions_of_a_column_are_refused():
    text = "features:\n" + "\n".join(
        f"- {{name: x{k}, unit: u, key: [user], aggregate: sum, of: basket, window: 1d,"
        f" resolution: {r}}}"
        for k, r in enumerate((0.1, 0.5))
    )
    with pytest.raises(
        FeatureFileError, match=r"f:3: x1: features.resolution: 'basket' has 0\.1 in another"
    ):
        load_features(text, "f", BASE, COLUMNS)


NUMBERS = st.one_of(st.floats(allow_infinity=False), st.just(0.0), st.just(float("nan")))
LEAVES = st.sampled_from(["a", "b", "2", "0.5", "0"])
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.tuples(inner, st.sampled_from("+-*/%"), inner).map(
        "({0[0]} {0[1]} {0[2]})".format
    ),
)
TESTS = st.recursive(
    st.one_of(
        st.tuples(VALUES, st.sampled_from(["<", ">=", "==", "!="]), LEAVES).map(
            "{0[0]} {0[1]} {0[2]}".format
        ),
        st.sampled_from(["a == null", "b != null", "a in [1, 2]", "not (b in [0, 2])"]),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            "({0[0]} {0[1]} {0[2]})".format
        ),
        inner.map("not ({})".format),
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(VALUES, TESTS), st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=5))
def test_a_formula_gives_one_event_what_it_gives_many(text, rows):
    try:
        formula = ExpressionFormula.of(text, ["a", "b"])
    except ValueError:
        return
    columns = {"a": np.array([row[0] for row in rows]), "b": np.array([row[1] for row in rows])}
    with np.errstate(all="ignore"):
        many = np.broadcast_to(formula(*[columns[name] for name in formula.inputs]), len(rows))
    single = [formula(*[float(columns[n][k]) for n in formula.inputs]) for k in range(len(rows))]
    assert np.array_equal(many, np.array(single, dtype=float), equal_nan=True)
