"""A challenger beside the champion on the same recent rows, paired by entity, also in money.

Both models decide the same rows, so what is compared is the difference on each entity: what differs
between entities cancels. Entities are drawn with replacement, all rows of one together (cluster
bootstrap: Field and Welsh, Bootstrapping clustered data, JRSS B 69, 2007; percentile limits: Efron
and Tibshirani, An introduction to the bootstrap, 1993, ch. 13).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from lib.evaluation import Interval, bootstrap_interval
from lib.retraining.margin import Margin

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
DAY_US = 86_400_000_000
WEEK_US = 7 * DAY_US
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ComparisonError(ValueError):
    """There is no slice on which the two models could be compared."""


@dataclass(frozen=True)
class RecentRows:
    """Rows that neither model saw, in any order.

    Attributes:
        entities: (n,) whom or what each row is about.
        at_us: (n,) when, microseconds since 1970 UTC.
        positives: (n,) whether the outcome is the one that is foreseen.
        positive: what such an outcome is, in words.
        start_us, end_us: the slice, end excluded.
    """

    entities: npt.NDArray[np.str_]
    at_us: Rows
    positives: npt.NDArray[np.bool_]
    positive: str
    start_us: int
    end_us: int

    def __len__(self) -> int:
        return len(self.at_us)

    @property
    def weeks(self) -> float:
        """Length of the slice."""
        return (self.end_us - self.start_us) / WEEK_US

    @property
    def entity_count(self) -> int:
        """Distinct entities."""
        return len(np.unique(self.entities))


@dataclass(frozen=True)
class ModelOnRows:
    """What one model comes to on the rows.

    Attributes:
        version: of the model.
        measure: of rows by number (with repeats); raises ValueError where it is not defined.
        money: (n,) what its decisions bring (costs below 0), currency units.
    """

    version: str
    measure: Callable[[Rows], float]
    money: Floats


@dataclass(frozen=True)
class ModelFigures:
    """What a model comes to on the slice.

    Attributes:
        version: of the model.
        measure: see `Comparison.measure`.
        money_per_week: what its decisions bring (costs below 0), currency units.
    """

    version: str
    measure: float
    money_per_week: float


@dataclass(frozen=True)
class GuardedFigure:
    """A figure of both models that may not grow by more than a margin; lower is better.

    Attributes:
        name: in words.
        champion, challenger: their figures.
        margin: by which the challenger's may be larger, 0 or more.
    """

    name: str
    champion: float
    challenger: float
    margin: float

    @property
    def is_kept(self) -> bool:
        """Whether it does not grow by more than the margin."""
        return self.challenger - self.champion <= self.margin


@dataclass(frozen=True)
class Comparison:
    """Challenger less champion on the same rows; intervals at 95%, by entity.

    Attributes:
        rows, entities, positives: of the slice.
        start_us, end_us: of the slice, microseconds since 1970 UTC.
        measure: name of the system's measure, higher is better.
        champion, challenger: their figures.
        measure_gain: of the measure.
        money_gain: currency units a week.
        cumulative_gain: money gained from the begin of the slice to the end of each of its days.
        guarded: figures that may not grow beyond their margins.
    """

    rows: int
    entities: int
    positives: int
    start_us: int
    end_us: int
    measure: str
    champion: ModelFigures
    challenger: ModelFigures
    measure_gain: Interval
    money_gain: Interval
    cumulative_gain: tuple[float, ...]
    guarded: tuple[GuardedFigure, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """Whether the challenger is published, and why in words."""

    won: bool
    reason: str


def require_rows(rows: RecentRows) -> None:
    """Refuse a slice on which nothing can be compared.

    Raises:
        ComparisonError: no rows, no time, or outcomes of one kind only.
    """
    positives = int(rows.positives.sum())
    if not len(rows) or rows.weeks <= 0:
        raise ComparisonError(
            "no row lies after both models' training with an outcome that is known: bring newer "
            "data, or wait until outcomes ripen"
        )
    if positives in {0, len(rows)}:
        raise ComparisonError(
            f"{rows.positive}: {positives:,} of {len(rows):,} rows that neither model saw; both "
            "outcomes are needed: check that labels reach these days, or bring newer ones"
        )


def compare(
    rows: RecentRows,
    challenger: ModelOnRows,
    champion: ModelOnRows,
    measure: str,
    seed: int,
    repeats: int,
) -> Comparison:
    """The challenger beside the champion.

    Args:
        rows: that neither saw, both outcomes among them.
        challenger: the new model on these rows.
        champion: the present model on these rows.
        measure: name of the system's measure.
        seed: of the draws of entities.
        repeats: draws, 1 or more.

    Raises:
        ComparisonError: see `require_rows`, or money is not a finite number for each row.
    """
    require_rows(rows)
    for model in (challenger, champion):
        if model.money.shape != (len(rows),) or not np.isfinite(model.money).all():
            raise ComparisonError(f"money of {model.version}: expected a finite number a row")

    def measure_gain(draw: Rows) -> float:
        return challenger.measure(draw) - champion.measure(draw)

    own, other = (float(model.money.sum()) / rows.weeks for model in (challenger, champion))
    every_row = np.arange(len(rows), dtype=np.int64)
    return Comparison(
        rows=len(rows),
        entities=rows.entity_count,
        positives=int(rows.positives.sum()),
        start_us=rows.start_us,
        end_us=rows.end_us,
        measure=measure,
        champion=ModelFigures(champion.version, champion.measure(every_row), other),
        challenger=ModelFigures(challenger.version, challenger.measure(every_row), own),
        measure_gain=bootstrap_interval(measure_gain, rows.entities, seed, repeats),
        money_gain=money_interval(rows, challenger.money - champion.money, seed, repeats),
        cumulative_gain=_cumulative(rows, challenger.money - champion.money),
    )


def _cumulative(rows: RecentRows, difference: Floats) -> tuple[float, ...]:
    """Money gained up to the end of each day of the slice."""
    days = np.maximum((rows.at_us - rows.start_us) // DAY_US, 0)
    by_day = np.bincount(days, weights=difference)
    return tuple(np.cumsum(by_day).tolist())


def money_interval(rows: RecentRows, difference: Floats, seed: int, repeats: int) -> Interval:
    """Difference in money a week with its 95% interval, entities drawn with replacement.

    Args:
        rows: whose entities are drawn.
        difference: (n,) currency units, challenger less champion.
        seed: of the draws.
        repeats: draws, 1 or more.
    """
    codes = np.unique(rows.entities, return_inverse=True)[1]
    by_entity = np.bincount(codes, weights=difference)
    names = np.arange(len(by_entity))
    return bootstrap_interval(
        lambda draw: float(by_entity[draw].sum()) / rows.weeks, names, seed, repeats
    )


def judge(
    comparison: Comparison, margin: Margin, measure_margin: float, least_entities: int
) -> Verdict:
    """Publish only where the lower limit of the money gain beats the margin.

    Nor may the measure or a guarded figure worsen by more than its margin.

    Args:
        comparison: see `compare`.
        margin: in money.
        measure_margin: by which the measure may fall, 0 or more.
        least_entities: entities that the slice must have.
    """
    gain, fall = comparison.money_gain, -comparison.measure_gain.value
    least = margin.per_week(comparison.champion.money_per_week)
    figures = _figures(comparison)
    reasons = []
    if comparison.entities < least_entities:
        reasons.append(
            f"the slice that neither model saw is too small: {comparison.entities:,} entities, "
            f"at least {least_entities:,} are needed"
        )
    if not gain.low > least:
        reasons.append(
            f"the lower limit of its gain, {gain.low:,.0f} a week, does not beat the margin of "
            f"{least:,.0f}"
        )
    if not fall <= measure_margin:
        reasons.append(
            f"{comparison.measure} falls by {fall:.4f}, more than the {measure_margin:g} allowed"
        )
    reasons += [
        f"{figure.name} grows from {figure.champion:.3f} to {figure.challenger:.3f}, by more than "
        f"the {figure.margin:g} allowed"
        for figure in comparison.guarded
        if not figure.is_kept
    ]
    if reasons:
        return Verdict(False, f"not published: {'; '.join(reasons)}; {figures}")
    return Verdict(True, f"better by more than the margin of {least:,.0f} a week: {figures}")


def _figures(comparison: Comparison) -> str:
    money, measure = comparison.money_gain, comparison.measure_gain
    verb = "keeps" if money.value >= 0 else "loses"
    days = (comparison.end_us - comparison.start_us) / DAY_US
    return (
        f"the challenger {verb} {abs(money.value):,.0f} a week more than the champion "
        f"(95%: {money.low:,.0f} to {money.high:,.0f}), {comparison.measure} "
        f"{measure.value:+.4f} ({measure.low:+.4f} to {measure.high:+.4f}), on "
        f"{comparison.rows:,} rows of {comparison.entities:,} entities in {days:.1f} days"
    )


def slice_start(first_us: int, last_us: int, share: float, seen_until_us: int) -> int:
    """From when on rows are kept from the challenger, so that both models can be judged on them.

    Args:
        first_us: of the oldest row, microseconds since 1970 UTC.
        last_us: of the newest row, microseconds since 1970 UTC.
        share: of their time, the newest, to compare on.
        seen_until_us: up to when the champion saw rows.

    Raises:
        ComparisonError: the champion saw all rows.
    """
    require_span(seen_until_us, last_us + 1, seen_until_us)
    return max(last_us - round(share * (last_us - first_us)), seen_until_us)


def require_span(start_us: int, end_us: int, seen_until_us: int) -> None:
    """Refuse a slice without time.

    Args:
        start_us: of the slice, microseconds since 1970 UTC.
        end_us: of the slice, excluded.
        seen_until_us: up to when the champion saw rows.

    Raises:
        ComparisonError: it ends before it begins.
    """
    if start_us >= end_us:
        raise ComparisonError(
            f"the champion was trained on data up to {_moment(seen_until_us)}, and outcomes are "
            f"known up to {_moment(end_us)}: no row is left that neither model saw; bring newer "
            "data, or wait until outcomes ripen"
        )


def _moment(time_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=time_us)).strftime("%Y-%m-%d %H:%M UTC")
