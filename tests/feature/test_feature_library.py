"""Files name what their system has: formulas, quantities and records, with the same values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lib.feature import Age, Category, Derived, FeatureSet, LastValue, compute
from lib.feature.feature_file import FeatureFileError
from lib.feature.feature_library import FeatureLibrary
from lib.feature.feature_reader import load_features, read_packaged
from tests.feature.shop_events import (
    BASE,
    COLUMNS,
    LARGE,
    LIBRARY,
    REVENUE,
    online_rows,
    share,
    table_of,
)

FILE = """
features:
- {name: revenue_ever, unit: EUR, key: [user], aggregate: sum, of: revenue, window: ever,
   hidden: true}
- {name: frauds_ever, unit: orders, key: [user], aggregate: count, fact: fraud, window: ever}
- {name: revenue_7d, unit: EUR, key: [user], aggregate: sum, of: revenue, window: 7d, hop: 1d}
- {name: revenue_mean_7d, unit: EUR, key: [user], aggregate: mean, of: revenue, window: 7d, hop: 1d}
- {name: revenue_spread_30d, unit: EUR, key: [channel], aggregate: deviation, of: revenue,
   window: 30d, hop: 1d, without: fraud}
- {name: large_before, unit: EUR, key: [user], aggregate: latest, of: revenue, record: order,
   horizon: ever}
- {name: revenue_before, unit: EUR, key: [device], aggregate: latest, of: revenue, horizon: 9d}
- {name: minutes_since_large, unit: minutes, key: [channel], aggregate: minutes_since, only: large,
   horizon: 9d}
- {name: frauds_in_a_row, unit: orders, key: [channel], aggregate: streak, part: count, of: revenue,
   fact: fraud, window: 20d, behind: 2d, hop: 1h}
- {name: revenue_of_frauds_in_a_row, unit: EUR, key: [channel], aggregate: streak, part: mean,
   of: revenue, fact: fraud, window: 20d, behind: 2d, hop: 1h}
- {name: days_since_good, unit: days, key: [user], aggregate: streak, part: days_since_good,
   of: revenue, fact: fraud, window: 20d, behind: 2d, hop: 1h}
- {name: share_of_ever, unit: share, inputs: [revenue_7d, revenue_ever], formula: share}
- {name: half_of_ever, unit: EUR, expression: revenue_ever / 2}
- {name: channel_code, unit: code, column: channel, categories: [c2, c0]}
"""


@pytest.mark.parametrize("seed", range(3))
def test_what_a_system_gives_by_name_agrees_online_and_offline_to_the_bit(
    seed: int, tmp_path: Path
):
    file = load_features(FILE, "f", BASE, COLUMNS, library=LIBRARY)
    features = file.extend(BASE)
    table = table_of(seed, 600)
    offline = compute(features, table)
    rows = list(online_rows(features, table, tmp_path / "profiles.sqlite"))
    assert "revenue_ever" not in features.names
    assert file.names == tuple(name for name in features.names if name not in BASE.names)
    for name in features.names:
        values = np.array([row[name] for row in rows])
        assert np.array_equal(values, offline[name].to_numpy(), equal_nan=True), name
        assert len(np.unique(values[~np.isnan(values)])) > 1, name


def test_entries_become_what_packaged_features_are_made_of():
    features = {
        each.name: each
        for each in load_features(FILE, "f", BASE, COLUMNS, library=LIBRARY).features
    }
    ratio, code = features["share_of_ever"], features["channel_code"]
    assert isinstance(ratio, Derived)
    assert ratio.formula is share
    assert ratio.inputs == ("revenue_7d", "revenue_ever")
    assert isinstance(code, Category)
    assert code.codes == {"c2": 1.0, "c0": 2.0}
    horizon = 36_500 * 86_400_000_000
    assert features["large_before"].aggregate == LastValue(REVENUE, (REVENUE,), horizon, LARGE)
    assert features["minutes_since_large"].aggregate == Age(9 * 86_400_000_000, LARGE)
    assert features["frauds_ever"].window is None


ENTRY = {"name": "x", "unit": "u", "key": "[user]", "aggregate": "count", "window": "1d"}
DERIVED = {"name": "x", "unit": "u", "inputs": "[amount, amount]", "formula": "share"}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (ENTRY | {"window": "ever", "key": "[device]"}, "window: profiles of device are forgotten"),
        (ENTRY | {"window": "ever", "hop": "1d"}, "hop: expected none: a window of 'ever'"),
        (
            ENTRY | {"aggregate": "distinct", "of": "device", "window": "ever"},
            "window: expected a duration, got 'ever' of distinct",
        ),
        (
            {**ENTRY, "aggregate": "latest", "of": "revenue", "horizon": "ever", "key": "[channel]"}
            | {"window": None},
            "horizon: profiles of channel are forgotten; .*keys \\[user\\]",
        ),
        (ENTRY | {"aggregate": "sum", "of": "revenu"}, "did you mean 'revenue'"),
        (
            ENTRY | {"aggregate": "sum", "of": "revenue", "resolution": "0.1"},
            "resolution: 'revenue' is exact already",
        ),
        (ENTRY | {"aggregate": "deviation", "of": "large"}, "squares of 'large' do not add up"),
        (
            {**ENTRY, "aggregate": "latest", "of": "revenue", "record": "oder", "horizon": "1d"}
            | {"window": None},
            "record: unknown record 'oder'; did you mean 'order'",
        ),
        (
            {**ENTRY, "aggregate": "latest", "of": "large", "record": "order", "horizon": "1d"}
            | {"window": None},
            "of: 'order' does not remember 'large'; known: revenue",
        ),
        (
            {**ENTRY, "aggregate": "minutes_since", "only": "huge", "horizon": "1d"}
            | {"window": None},
            "only: unknown quantity 'huge'",
        ),
        (
            ENTRY
            | {"aggregate": "streak", "part": "count", "of": "price", "fact": "fraud"}
            | {"behind": "1d", "window": "2d"},
            "of: unknown quantity 'price'",
        ),
        (ENTRY | {"aggregate": "streak", "of": "revenue"}, "streak: expected 'behind', got none"),
        (ENTRY | {"part": "count"}, "count has no 'part'"),
        (DERIVED | {"formula": "shar"}, "formula: unknown formula 'shar'; did you mean 'share'"),
        (DERIVED | {"formula": "root", "inputs": "[amount]"}, "formula: unknown formula 'root'"),
        (DERIVED | {"inputs": "[amount]"}, "inputs: 'share' takes 2: part, total; got 1"),
        (DERIVED | {"inputs": "[amount, amout]"}, "inputs: unknown feature 'amout'; did you"),
        (DERIVED | {"inputs": "[amount, later]"}, "'later' is declared after 'x'; move it before"),
        (DERIVED | {"columns": "[price]"}, "expected either 'inputs' or 'columns'"),
        (DERIVED | {"key": "[user]"}, "a formula has no 'key'; it takes inputs, columns"),
        (
            {"name": "x", "unit": "u", "columns": "[price]", "formula": "amount"},
            "columns: only packaged features read columns; describe a column in the mapping file",
        ),
        (DERIVED | {"expression": "amount"}, "got expression and formula"),
        (
            {"name": "x", "unit": "u", "column": "basket", "categories": "[a]"},
            "column: expected a category, and 'basket' is a number",
        ),
        (
            {"name": "x", "unit": "u", "column": "channel", "categories": "[a, a]"},
            "categories: expected different texts",
        ),
        ({"name": "x", "unit": "u", "categories": "[a]"}, "categories: expected 'column'"),
        ({"name": "x", "unit": "u"}, "expected either an aggregate or an expression"),
    ],
)
def test_a_name_that_a_file_may_not_use_is_refused_with_its_line(entry, message):
    fields = ", ".join(f"{key}: {value}" for key, value in entry.items() if value is not None)
    text = f"features:\n- {{{fields}}}\n- {{name: later, unit: u, expression: amount * 2}}"
    with pytest.raises(FeatureFileError, match=message) as raised:
        load_features(text, "f", BASE, COLUMNS, library=LIBRARY)
    assert str(raised.value).startswith("f:2: x")


MIXED = FeatureLibrary(
    quantities=LIBRARY.quantities, mixed_events=True, key_columns=frozenset(["user"])
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "events are of several tables, got 'count' of all; 'sum' counts one kind"),
        ({"aggregate": "is_new", "window": None, "horizon": "1d"}, "got 'is_new' of all"),
        ({"aggregate": "minutes_since", "window": None, "horizon": "1d"}, "which kind by 'only'"),
        ({"aggregate": "mean", "of": "revenue"}, "not known which events have 'revenue'"),
        ({"key": "[device]"}, "key: expected user, got 'device'"),
    ],
)
def test_events_of_several_tables_are_never_counted_as_one_kind(change, message):
    entry = {key: value for key, value in (ENTRY | change).items() if value is not None}
    text = "features:\n- {" + ", ".join(f"{k}: {v}" for k, v in entry.items()) + "}"
    with pytest.raises(FeatureFileError, match=message):
        load_features(text, "f", BASE, COLUMNS, library=MIXED)


def test_groups_are_those_of_the_system():
    entry = "[{name: x, unit: u, key: [user], aggregate: count, window: 1d}]"
    grouped = FeatureLibrary(groups=("buying", "paying"))
    text = f"groups:\n  buying: {entry}"
    assert load_features(text, "f", BASE, COLUMNS, library=grouped).groups == {"x": "buying"}
    with pytest.raises(FeatureFileError, match=r"f:2: .*unknown group 'bying'; did you mean"):
        load_features(text.replace("buying", "bying"), "f", BASE, COLUMNS, library=grouped)
    with pytest.raises(FeatureFileError, match="have no groups; list them in 'features'"):
        load_features(text, "f", BASE, COLUMNS)
    with pytest.raises(FeatureFileError, match="expected a list of features, got none"):
        load_features("features: []", "f", BASE, COLUMNS)


def test_packaged_files_may_read_columns_and_use_every_formula(tmp_path: Path):
    path = tmp_path / "features.yaml"
    path.write_text(
        "features:\n- {name: amount, unit: EUR, columns: [price], formula: amount}\n"
        "- {name: root, unit: x, inputs: [amount], formula: root}\n"
        "- {name: ever, unit: orders, key: [device], aggregate: count, window: ever}\n"
    )
    empty = FeatureSet("shop", 1, (), id_column="id", facts=("fraud",))
    features = read_packaged(path, empty, COLUMNS, LIBRARY).extend(empty)
    table = table_of(1, 40)
    values = compute(features, table)
    assert values["root"].to_numpy() == pytest.approx(np.sqrt(table["price"].to_numpy()))
    assert values["ever"].to_numpy()[~np.isnan(values["ever"].to_numpy())].max() > 1
    path.write_text("features:\n- {name: amount, unit: EUR, columns: [prce], formula: amount}")
    other = tmp_path / "others.yaml"
    other.write_text(path.read_text())
    with pytest.raises(FeatureFileError, match=r"others.yaml:2: .*'prce'; did you mean 'price'"):
        read_packaged(other, empty, COLUMNS, LIBRARY)
