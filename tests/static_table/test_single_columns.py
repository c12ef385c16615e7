"""Attributes that tell the label by themselves are named, and those that do not are not."""

from __future__ import annotations

import numpy as np
import pytest

from lib.static_table.attributes import Attribute, AttributeSet
from lib.static_table.single_columns import ColumnSignal, best_single, column_signals
from lib.static_table.split import SplitSettings, split_rows

ROWS = 1_000
RNG = np.random.default_rng(4)
LABELS = (RNG.random(ROWS) < 0.2).astype(np.float64)
NOISE = RNG.normal(size=ROWS)
SPLIT = split_rows(LABELS, None, SplitSettings(), 1)
NUMBER = Attribute("x", "number", "x")
FLAG = Attribute("x", "flag", "x")
THREE = Attribute("x", "category", "x", values=("a", "b", "c"))


def signal(attribute: Attribute, values: np.ndarray) -> ColumnSignal:
    inputs = AttributeSet((attribute,))
    return column_signals(inputs, values.reshape(-1, 1).astype(np.float64), LABELS, SPLIT)[0]


@pytest.mark.parametrize(
    ("attribute", "values", "words"),
    [
        (NUMBER, LABELS * 5 + NOISE * 0.1, "it alone tells the label apart (AUC 1.000"),
        (NUMBER, -LABELS * 5 + NOISE * 0.1, "it alone tells the label apart"),
        (NUMBER, np.abs(NOISE) * (1 - LABELS) + LABELS * 9 * np.sign(NOISE), "it alone tells"),
        (
            THREE,
            np.where(LABELS == 1, 2, 1 + 2 * (NOISE > 0)),
            "where it is 'b', the label is true",
        ),
        (FLAG, LABELS * (NOISE > 1), "where it is true, the label is true in "),
        (
            NUMBER,
            np.where(LABELS == 1, NOISE, np.nan),
            "it is missing exactly where the label is f",
        ),
        (
            NUMBER,
            np.where(LABELS == 1, np.nan, NOISE),
            "it is missing exactly where the label is t",
        ),
        (
            NUMBER,
            np.where((LABELS == 1) & (NOISE > 0), NOISE, np.nan),
            "where it has a value, the label is true",
        ),
    ],
)
def test_a_leak_is_named_with_its_reason(attribute: Attribute, values: np.ndarray, words: str):
    assert signal(attribute, values).leak.startswith(words)


@pytest.mark.parametrize(
    ("attribute", "values"),
    [
        (NUMBER, NOISE),
        (NUMBER, LABELS + NOISE),
        (NUMBER, np.full(ROWS, np.nan)),
        (THREE, RNG.integers(0, 4, ROWS)),
        (FLAG, np.where(NOISE > 2.5, 1.0, 0.0)),
        (FLAG, np.where(np.arange(ROWS) < 2, LABELS[0], 0.0)),
        (NUMBER, np.where(NOISE > 1, np.nan, NOISE)),
    ],
)
def test_what_does_not_tell_the_label_is_no_leak(attribute: Attribute, values: np.ndarray):
    assert signal(attribute, values).leak == ""


def test_a_strong_column_is_told_softly():
    strong = signal(NUMBER, LABELS * 2.2 + NOISE)
    assert strong.is_strong
    assert 0.90 <= strong.auc < 0.98
    assert not signal(NUMBER, LABELS + NOISE).is_strong


def test_the_best_column_is_chosen_on_rows_that_are_not_those_of_the_test():
    inputs = AttributeSet((Attribute("noise", "number", ""), Attribute("true", "number", "")))
    matrix = np.column_stack([NOISE, LABELS + NOISE])
    signals = column_signals(inputs, matrix, LABELS, SPLIT)
    assert best_single(signals, LABELS, SPLIT).name == "true"
    changed = LABELS.copy()
    changed[SPLIT.test] = 1 - changed[SPLIT.test]
    assert best_single(signals, changed, SPLIT).name == "true"
