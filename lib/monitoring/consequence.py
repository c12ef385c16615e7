"""What came of a change so far: in decisions, and in money with an interval over entities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.evaluation import Interval
from lib.monitoring.scored_rows import Codes, Flags, Floats

_NORMAL_95 = 1.959964
_FEWEST_ENTITIES = 5


@dataclass(frozen=True)
class Consequence:
    """Decisions since a change beside those before it. Nobody says that the change is the reason.

    Attributes:
        rows: decisions since, of all entities.
        acted_before, acted_after: share of decisions that act (review, decline, ...), NaN without
            decisions before.
        ripe: share of the decisions since whose outcome is final.
        money: currency units that decisions since brought more (above 0) or less than as many
            before, from ripe ones; None where too few are ripe.
    """

    rows: int
    acted_before: float
    acted_after: float
    ripe: float
    money: Interval | None

    @property
    def sentence(self) -> str:
        """The same in words."""
        acted = f"{self.acted_after:.1%} of {self.rows:,} decisions since acted"
        if np.isfinite(self.acted_before):
            acted += f", {self.acted_before:.1%} before"
        if self.money is None:
            return f"{acted}; what it costs is not known yet, {self.ripe:.0%} of outcomes are final"
        amount = abs(self.money.value)
        word = "less" if self.money.value < 0 else "more"
        limits = f"95%: {self.money.low:,.0f} to {self.money.high:,.0f}"
        return (
            f"{acted}; they brought {amount:,.0f} {word} than as many before ({limits}; "
            f"{self.ripe:.0%} of outcomes are final)"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        money = None if self.money is None else self.money.to_json()
        return {**vars(self), "money": money, "sentence": self.sentence}


def consequence(
    outcomes: pa.Table, since: int, until: int, acting: Sequence[str], share: float = 1.0
) -> Consequence | None:
    """Compare decisions of `since` to `until` with all that are earlier.

    Money is the mean of ripe rows since less that of ripe rows before, times the rows since.
    Entities are independent, their rows are not: the variance of a mean is that of sums by entity
    (Liang and Zeger, Longitudinal data analysis using generalized linear models, 1986).

    Args:
        outcomes: `lib.business.outcomes.OUTCOME_SCHEMA`, of whole entities.
        since: microseconds since 1970 UTC.
        until: likewise.
        acting: decisions that act.
        share: of the entities that `outcomes` holds.

    Returns:
        None where no decision lies within.
    """
    times = np.asarray(outcomes["event_time"].cast(pa.int64()))
    before, after = times < since, (times >= since) & (times < until)
    if not after.any():
        return None
    acts = np.asarray(pc.is_in(outcomes["decision"], value_set=pa.array(list(acting))))
    money = np.asarray(outcomes["money"].fill_null(np.nan), dtype=np.float64)
    entity = np.unique(np.asarray(outcomes["entity_id"]), return_inverse=True)[1]
    is_ripe = np.isfinite(money)
    rows = round(float(after.sum()) / share)
    return Consequence(
        rows=rows,
        acted_before=float(acts[before].mean()) if before.any() else float("nan"),
        acted_after=float(acts[after].mean()),
        ripe=float(is_ripe[after].mean()),
        money=_difference(money, entity, before & is_ripe, after & is_ripe, rows),
    )


def _difference(
    money: Floats, entity: Codes, before: Flags, after: Flags, rows: int
) -> Interval | None:
    parts = [_mean(money[chosen], entity[chosen]) for chosen in (before, after)]
    if any(part is None for part in parts):
        return None
    (mean_before, variance_before), (mean_after, variance_after) = parts  # type: ignore[misc]
    value = (mean_after - mean_before) * rows
    error = float(np.sqrt(variance_before + variance_after)) * rows * _NORMAL_95
    return Interval(value, value - error, value + error)


def _mean(values: Floats, entity: npt.NDArray[np.int64]) -> tuple[float, float] | None:
    """Mean and its variance with entities drawn whole; None with fewer than five of them."""
    codes = np.unique(entity, return_inverse=True)[1]
    count = int(codes.max(initial=-1)) + 1
    if count < _FEWEST_ENTITIES:
        return None
    mean = float(values.mean())
    sums = np.bincount(codes, values - mean, minlength=count)
    return mean, float((sums**2).sum()) / len(values) ** 2 * count / (count - 1)
