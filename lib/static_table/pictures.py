"""Pictures of a training: how good its probabilities are, and the label by value."""

from typing import Any

import numpy as np
import pyarrow as pa

from lib import report
from lib.static_table.attributes import Attribute
from lib.static_table.evaluation import LOGISTIC, OURS, PREVALENCE
from lib.static_table.training import Trained

_MOST_BARS, _NUMBER_BINS = 12, 12


def quality_figures(trained: Trained, plural: str, outcome: str) -> tuple[report.Figure, ...]:
    """Calibration, rows that are found by share looked at, and probabilities by what happened.

    Args:
        trained: the model and its measures.
        plural: whose rows they are, in words: `customers`.
        outcome: what those do whose label is true: `leave`.
    """
    measured, rows = trained.evaluation, trained.rows
    percent = np.arange(101) / 100.0
    stated = [part.stated for part in measured.calibration]
    observed = [part.observed for part in measured.calibration]
    top = max(*stated, *observed, 1e-9)
    names = [OURS, LOGISTIC]
    names += [name for name in measured.gains if name.endswith(" alone") and name != PREVALENCE]
    test = rows.split.test
    probabilities = trained.model.probabilities(rows.matrix[test])
    labels = rows.labels[test] > 0
    return (
        report.line_plot(
            "Predicted and observed probability",
            {
                "rows of similar probability": report.Curve(stated, observed),
                "perfect calibration": report.Curve([0, top], [0, top]),
            },
            report.Axis("predicted probability"),
            report.Axis(f"share that {outcome}"),
            points=True,
        ),
        report.line_plot(
            f"{plural.capitalize()} that {outcome}, by share looked at, riskiest first",
            {name: report.Curve(percent, measured.gains[name]) for name in names},
            report.Axis(f"share of {plural} looked at"),
            report.Axis(f"share of those that {outcome}"),
            diagonal=True,
        ),
        report.histogram(
            "Probabilities by what happened",
            {
                f"{plural} that do not": probabilities[~labels],
                f"{plural} that {outcome}": probabilities[labels],
            },
            report.Axis("predicted probability"),
            bins=25,
            logarithmic=False,
        ),
    )


def share_by_value(
    attribute: Attribute, column: pa.ChunkedArray, labels: np.ndarray[Any, Any], outcome: str
) -> report.Figure:
    """Share of the label by value of an attribute, of all rows."""
    title = f"{short_words(attribute.words)}: share that {outcome}"
    if attribute.type == "number":
        values = attribute.encode(column)
        known = ~np.isnan(values)
        inner = np.linspace(0, 1, _NUMBER_BINS + 1)[1:-1]
        edges = np.unique(np.quantile(values[known], inner))
        bins = np.searchsorted(edges, values[known], side="left")
        count = np.maximum(np.bincount(bins), 1)
        mean = np.bincount(bins, weights=values[known]) / count
        share = np.bincount(bins, weights=labels[known]) / count
        full = np.bincount(bins) > 0
        is_told = not attribute.unit or attribute.unit in attribute.words
        label = short_words(attribute.words) + ("" if is_told else f" [{attribute.unit}]")
        return report.line_plot(
            title,
            {
                "rows of similar value": report.Curve(mean[full], share[full]),
                "all rows": report.Curve(mean[full], np.full(full.sum(), labels.mean())),
            },
            report.Axis(label),
            report.Axis(f"share that {outcome}"),
            points=True,
            from_zero=True,
        )
    texts = np.array([attribute.text(value) for value in column.to_pylist()], dtype=np.str_)
    names, index, counts = np.unique(texts, return_inverse=True, return_counts=True)
    shares = np.bincount(index, weights=labels) / counts
    order = np.argsort(-counts, kind="stable")[:_MOST_BARS]
    return report.bar_plot(
        title,
        [f"{short_words(str(names[k]))} ({counts[k]:,} rows)" for k in order.tolist()],
        [float(shares[k]) for k in order.tolist()],
        report.Axis(f"share that {outcome}"),
    )


def short_words(text: str, most: int = 34) -> str:
    """A text of so many letters at most.

    >>> short_words("process temperature", 8)
    'process…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"
