"""What each attribute alone tells of the label: the best one as a baseline, and likely leaks."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from lib.evaluation import roc_auc
from lib.static_table.attributes import Attribute, AttributeSet
from lib.static_table.split import Split

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
LEAK_AUC, STRONG_AUC = 0.98, 0.90
_LEAK_SHARE = 0.98
_MOST_VALUES = 20
_FEWEST_ROWS = 5
_BY_CHANCE = 1e-6
_BINS = 20
_PRIOR_ROWS = 10.0
_HALF = 0.5


@dataclass(frozen=True)
class ColumnSignal:
    """How far an attribute alone tells the label.

    Attributes:
        name: of the attribute.
        auc: on rows that it was not learnt from, .5 to 1.
        scores: (all rows,) share of the label at its value, as the rows to learn from show it.
        leak: why it tells the label too well to be known before it; "" where it does not.
        is_strong: whether it alone comes near to that.
    """

    name: str
    auc: float
    scores: Floats
    leak: str = ""

    @property
    def is_strong(self) -> bool:
        """See `ColumnSignal`."""
        return not self.leak and self.auc >= STRONG_AUC


def column_signals(
    inputs: AttributeSet, matrix: Floats, labels: Floats, split: Split
) -> tuple[ColumnSignal, ...]:
    """What each attribute tells by itself, in their order.

    Args:
        inputs: the attributes.
        matrix: (rows, attributes), encoded.
        labels: (rows,) 0/1.
        split: rows to learn from, and those that it is judged on.
    """
    return tuple(
        _signal(attribute, matrix[:, column], labels, split)
        for column, attribute in enumerate(inputs.attributes)
    )


def best_single(signals: tuple[ColumnSignal, ...], labels: Floats, split: Split) -> ColumnSignal:
    """The attribute that alone ranks best on the rows to calibrate on, not those of the test."""
    rows = split.calibrate
    aucs = [roc_auc(labels[rows], signal.scores[rows]) for signal in signals]
    return signals[int(np.argmax(aucs))]


def _signal(attribute: Attribute, values: Floats, labels: Floats, split: Split) -> ColumnSignal:
    scores = _learn(attribute, values[split.train], labels[split.train])(values)
    judged = np.concatenate([split.calibrate, split.test])
    by_value = _auc_by_value(attribute, values, labels, judged)
    auc = max(_auc(labels[judged], scores[judged]), by_value)
    return ColumnSignal(attribute.name, auc, scores, _leak(attribute, values, labels > _HALF, auc))


def _learn(attribute: Attribute, values: Floats, labels: Floats) -> Callable[[Floats], Floats]:
    """Share of the label by value, by bins of a number, drawn to the base rate by ten rows."""
    edges = np.zeros(0)
    if attribute.type == "number" and not np.isnan(values).all():
        edges = np.unique(np.nanquantile(values, np.linspace(0, 1, _BINS + 1)[1:-1]))

    def bins(numbers: Floats) -> npt.NDArray[np.int64]:
        missing = np.isnan(numbers)
        filled = np.where(missing, 0.0, numbers)
        index = np.searchsorted(edges, filled, side="left") if len(edges) else filled
        return np.where(missing, 0, index + 1).astype(np.int64)

    size = int(bins(values).max()) + 1
    size = max(size, len(edges) + 2, len(attribute.values) + 2, 3)
    learnt = bins(values)
    count = np.bincount(learnt, minlength=size)
    hits = np.bincount(learnt, weights=labels, minlength=size)
    shares = (hits + _PRIOR_ROWS * labels.mean()) / (count + _PRIOR_ROWS)

    def scores(numbers: Floats) -> Floats:
        return np.asarray(shares[np.minimum(bins(numbers), size - 1)], dtype=np.float64)

    return scores


def _auc_by_value(
    attribute: Attribute, values: Floats, labels: Floats, rows: npt.NDArray[np.int64]
) -> float:
    """AUC of a number by its size, in the better direction, on rows that have one."""
    known = rows[~np.isnan(values[rows])]
    positives = int(labels[known].sum())
    if attribute.type != "number" or min(positives, len(known) - positives) < _FEWEST_ROWS:
        return _HALF
    auc = roc_auc(labels[known], values[known])
    return max(auc, 1.0 - auc)


def _auc(labels: Floats, scores: Floats) -> float:
    return max(_HALF, roc_auc(labels, scores))


def _leak(attribute: Attribute, values: Floats, labels: Flags, auc: float) -> str:
    missing = np.isnan(values)
    told_by_missing = _missing_for_label(missing, labels)
    if told_by_missing:
        return told_by_missing
    for text, mask in _values_of(attribute, values, missing):
        implied = _implied(mask, labels)
        if implied:
            return f"where it {text}, {implied}"
    if auc >= LEAK_AUC:
        return f"it alone tells the label apart (AUC {auc:.3f} on rows that it was not learnt from)"
    return ""


def _missing_for_label(missing: Flags, labels: Flags) -> str:
    """Whether a value is missing exactly for one label."""
    of_true, of_false = float(missing[labels].mean()), float(missing[~labels].mean())
    if of_true >= _LEAK_SHARE and of_false <= 1 - _LEAK_SHARE:
        return "it is missing exactly where the label is true"
    if of_false >= _LEAK_SHARE and of_true <= 1 - _LEAK_SHARE:
        return "it is missing exactly where the label is false"
    return ""


def _values_of(attribute: Attribute, values: Floats, missing: Flags) -> list[tuple[str, Flags]]:
    """Values in words, each with its rows; of numbers where they are few."""
    listed = [("has no value", missing), ("has a value", ~missing)] if missing.any() else []
    if attribute.type == "category":
        named = enumerate(attribute.values, start=1)
        return listed + [(f"is '{text}'", values == code) for code, text in named]
    distinct = np.unique(values[~missing])
    if len(distinct) > _MOST_VALUES:
        return listed
    if attribute.type == "flag":
        return [*listed, ("is true", values == 1.0), ("is false", values == 0.0)]
    return listed + [(f"is {value:g}", values == value) for value in distinct.tolist()]


def _implied(mask: Flags, labels: Flags) -> str:
    """Whether rows have the rarer label nearly always, and not by chance."""
    rare = bool(labels.mean() <= _HALF)
    rows = int(mask.sum())
    hits = int((labels[mask] == rare).sum())
    share = float((labels == rare).mean())
    if rows < _FEWEST_ROWS or hits < _LEAK_SHARE * rows:
        return ""
    if binom.sf(hits - 1, rows, share) > _BY_CHANCE:
        return ""
    return f"the label is {str(rare).lower()} in {hits:,} of {rows:,} rows"
