"""What the data looks like: payments and frauds by day, and each feature's spread."""

import numpy as np

from lib.fraud.model.inputs import DAY
from lib.fraud.model.payments import Payments
from lib.report import Axis, Block, Curve, Figures, Table, line_plot


def profile_blocks(payments: Payments, names: tuple[str, ...]) -> list[Block]:
    """Two plots over time and a table of the features."""
    day = payments.event_time // DAY
    first = int(day.min())
    count = np.bincount(day - first)
    is_fraud = np.isfinite(payments.fraud_from) & ~np.isfinite(payments.fraud_until)
    frauds = np.bincount(day - first, weights=is_fraud)
    days = np.arange(len(count))
    share = 100 * frauds / np.maximum(count, 1)
    plots = Figures(
        (
            line_plot("Payments by day", {"payments": Curve(days, count)}, Axis("day"), Axis("")),
            line_plot("Known frauds by day", {"share": Curve(days, share)}, Axis("day"), Axis("%")),
        )
    )
    return [plots, _feature_table(payments, names)]


def _feature_table(payments: Payments, names: tuple[str, ...]) -> Table:
    """Missing share and quantiles of every feature."""
    rows = tuple(_feature_row(name, payments.matrix[:, at]) for at, name in enumerate(names))
    return Table(("feature", "missing %", "1%", "median", "99%", "largest"), rows, digits=2)


def _feature_row(name: str, values: np.ndarray) -> tuple[str | float | None, ...]:
    there = values[~np.isnan(values)]
    missing = 100 * (1 - len(there) / max(len(values), 1))
    if not len(there):
        return (name, missing, None, None, None, None)
    low, middle, high = np.quantile(there, [0.01, 0.5, 0.99])
    return (name, missing, float(low), float(middle), float(high), float(there.max()))
