"""Attributes are frozen when a model is trained: codes, unknown values, missing ones."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from lib.contract import ContractError
from lib.static_table.attributes import Attribute, AttributeSet, freeze_attributes
from lib.static_table.split import SplitSettings, split_rows
from lib.static_table.table_mapping import parse_table_mapping

MAPPING = parse_table_mapping(
    "contract: rows\ncolumns: {row_id: id, label: left}\nattributes:\n"
    "  plan: {from: Plan, type: category}\n"
    "  age: {from: age, type: number, unit: years, words: age of the machine}\n"
    "  guest: {from: guest, type: flag}\n",
    "m.yaml",
)
LEARNT = pa.table(
    {
        "plan": ["b"] * 6 + ["a"] * 9 + ["rare"] * 4 + [None],
        "age": pa.array([float(k) for k in range(19)] + [None]),
        "guest": pa.array([True] * 19 + [None]),
    }
)


def test_codes_go_by_frequency_and_rare_or_later_values_share_the_code_of_the_unknown():
    inputs = freeze_attributes(LEARNT, MAPPING, {})
    assert inputs.attributes[0].values == ("a", "b")
    later = pa.table(
        {
            "plan": pa.array(["a", "b", "rare", "new", None]),
            "age": pa.array([1.0, None, 3.0, 4.0, 5.0]),
            "guest": pa.array([True, False, None, True, True]),
        }
    )
    matrix = inputs.encode(later)
    np.testing.assert_array_equal(matrix[:, 0], [1.0, 2.0, 0.0, 0.0, np.nan])
    np.testing.assert_array_equal(matrix[:, 1], [1.0, np.nan, 3.0, 4.0, 5.0])
    np.testing.assert_array_equal(matrix[:, 2], [1.0, 0.0, np.nan, 1.0, 1.0])
    assert inputs.unknown_counts(matrix) == {"plan": 2}
    assert inputs.encode(later.slice(0, 0)).shape == (0, 3)


def test_numbers_beyond_those_of_the_trees_are_the_largest_of_them():
    age = Attribute("age", "number", "age")
    values = age.encode(pa.array([1e300, -1e300, None, 2.5]))
    np.testing.assert_array_equal(
        values, [3.4028234663852886e38, -3.4028234663852886e38, np.nan, 2.5]
    )
    assert np.isfinite(values.astype(np.float32)[[0, 1, 3]]).all()


def test_words_are_those_of_the_mapping_file_or_the_name_of_the_source_column():
    plan, age, guest = freeze_attributes(LEARNT, MAPPING, {}).attributes
    assert (plan.words, age.words, guest.words) == ("Plan", "age of the machine", "guest")
    assert age.usual == 9.0
    assert age.text(3.0) == "3 years"
    assert (guest.text(value=True), guest.text(None), plan.text("a")) == ("yes", "no data", "a")


def test_a_set_is_the_same_after_it_was_stored_and_its_digest_knows_its_values():
    inputs = freeze_attributes(LEARNT, MAPPING, {})
    assert AttributeSet.from_json(inputs.to_json()) == inputs
    other = AttributeSet((Attribute("plan", "category", "Plan", values=("b", "a")),))
    same = AttributeSet((Attribute("plan", "category", "Plan", values=("a", "b")),))
    assert other.digest != same.digest


def test_a_table_of_which_no_attribute_is_left_is_refused_with_the_reasons():
    reasons = dict.fromkeys(("plan", "age", "guest"), "no row has a value")
    with pytest.raises(ContractError, match=r"no attribute is left.*plan: no row has a value"):
        freeze_attributes(LEARNT, MAPPING, reasons)


def test_each_label_is_split_in_the_same_shares():
    labels = np.array([1] * 50 + [0] * 450)
    split = split_rows(labels, None, SplitSettings(), 1)
    parts = (split.train, split.calibrate, split.test)
    assert [int(labels[part].sum()) for part in parts] == [30, 10, 10]
    assert [len(part) for part in parts] == [300, 100, 100]
    assert sorted(np.concatenate(parts).tolist()) == list(range(500))


def test_no_group_is_in_two_parts_and_rows_without_one_are_their_own():
    rng = np.random.default_rng(2)
    labels = rng.random(600) < 0.3
    groups = np.array([f"g{k}" for k in rng.integers(0, 150, 600)], dtype=np.object_)
    groups[:20] = None
    split = split_rows(labels, groups, SplitSettings(), 3)
    parts = [
        set(split.groups[part].tolist()) for part in (split.train, split.calibrate, split.test)
    ]
    assert sum(map(len, parts)) == len(set.union(*parts))
    assert len(set(split.groups[:20].tolist())) == 20
    assert split.is_grouped
    named = {group: split.groups[k] for k, group in enumerate(groups) if group is not None}
    assert len(set(named.values())) == len(named)


@pytest.mark.parametrize("positives", [0, 4, 12])
def test_too_few_rows_of_a_label_are_refused_with_the_part_and_the_count(positives: int):
    labels = np.array([1] * positives + [0] * 100)
    with pytest.raises(ContractError, match=f"rows whose label is true .*of {positives} in all"):
        split_rows(labels, None, SplitSettings(), 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (SplitSettings(test_share=0.0), "--split.test-share: expected between 0 and 1, got 0.0"),
        (SplitSettings(0.5, 0.4), "at least a fifth of the rows must be left"),
    ],
)
def test_shares_that_leave_nothing_are_refused(settings: SplitSettings, message: str):
    with pytest.raises(ContractError, match=message):
        settings.check()
