"""The measured null: how much one day of the reference differs from the others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy
from scipy.stats import f as f_distribution

from lib.monitoring.bins import Floats, Ints
from lib.monitoring.tempering import FEWEST_DAYS, tempering
from lib.monitoring.trend import LEVEL, Trend

_RUN = 5
"""Windows over which evidence adds up; all are compared with the same estimate of the reference."""

_MOST_DEGREES = 200.0
_WEEKDAYS_DIFFER = 0.01
_DAYS_OF_A_WEEKDAY = 3
_ROWS_OF_WEEKDAYS = 50
_ALIKE = 1e-12
_ENTITIES_OF_A_PANEL = 20
_FEWEST_DEGREES = 3.0


@dataclass(frozen=True)
class Scores:
    """What a null makes of windows.

    Attributes:
        standardised: (windows,) Student's t under the null; NaN where nothing can be said.
        degrees: (windows,) of freedom.
        usual: (windows,) the figure that was expected.
    """

    standardised: Floats
    degrees: Floats
    usual: Floats


@dataclass(frozen=True, kw_only=True)
class _DayNull:
    """How days of the reference differ from the usual one.

    Attributes:
        usual: (7,) by weekday from Monday; equal where weekdays do not differ, NaN where the
            reference has no such day.
        total: variance of a day's figure around the usual one, as measured.
        design: design effect.
        degrees: of freedom of `total`.
        temper: below 1 where days resemble the day before, see `tempering`; the usual figure rests
            on so much fewer independent days.
        trend: that is added to the usual figure.
    """

    usual: Floats
    total: float
    design: float
    degrees: float
    temper: float
    trend: Trend = LEVEL

    @property
    def independent_degrees(self) -> float:
        """Degrees of freedom of `total`, of as many days as are independent."""
        return max(1.0, self.degrees * self.temper)


@dataclass(frozen=True, kw_only=True)
class MeanNull(_DayNull):
    """Of a mean: y = usual + day + rows, where days vary by `between` and rows by `sampling`.

    The design effect is that of the sampling variance; days that differ by less than their rows
    drawn by entity would (the same machines every day) show that it is smaller.

    Attributes:
        days: (7,) days on which each usual mean rests.
        between: the part of `total` that more rows a day would not lessen.
    """

    days: Floats
    between: float

    @classmethod
    def fit(
        cls, means: Floats, sampling: Floats, days: Ints, design: float = 1.0
    ) -> tuple[Self, ...]:
        """Measure it: a level, and where the reference grows or falls a line as well.

        There is none where fewer than five days have a mean.

        Args:
            means: (days,) NaN where there is none.
            sampling: (days,) variance of a mean of independent rows.
            days: (days,) since 1970.
            design: design effect.
        """
        has_mean = np.isfinite(means)
        means, sampling, days = means[has_mean], sampling[has_mean], days[has_mean]
        level = cls._fit(means, sampling, days, design, LEVEL)
        if level is None:
            return ()
        residuals = means - level.usual[weekday(days)]
        trend = Trend.fit(residuals, days, _spare(level.usual, len(days)))
        line = None if trend is None else cls._fit(means, sampling, days, design, trend)
        return (level,) if line is None else (level, line)

    @classmethod
    def _fit(
        cls, means: Floats, sampling: Floats, days: Ints, design: float, trend: Trend
    ) -> Self | None:
        means = means - trend.at(days)
        groups = weekday_groups(means, days)
        members = np.bincount(groups, minlength=7).astype(np.float64)
        degrees = len(means) - float((members > 0).sum()) - (trend is not LEVEL)
        if len(means) < FEWEST_DAYS or degrees < FEWEST_DAYS - 1:
            return None
        sums = np.bincount(groups, means, minlength=7)
        usual = np.where(members > 0, sums / np.maximum(members, 1), np.nan)
        residuals = means - usual[groups]
        total = float((residuals**2).sum() / degrees)
        usual_sampling = max(float(sampling.mean()), _ALIKE)
        design = max(1.0, min(design, total / usual_sampling))
        between = max(0.0, total - design * usual_sampling)
        of_weekday = np.arange(7) if groups.any() else np.zeros(7, dtype=np.int64)
        temper = tempering(residuals, days)
        usual, members = usual[of_weekday], members[of_weekday]
        degrees = min(degrees, tail_degrees(residuals))
        return cls(
            usual=usual,
            days=members,
            total=total,
            between=between,
            design=design,
            degrees=degrees,
            temper=temper,
            trend=trend,
        )

    def scores(self, means: Floats, sampling: Floats, days: Ints) -> Scores:
        """Standardise windows; arguments as of `fit`, (windows,)."""
        weekdays = weekday(days)
        usual = self.usual[weekdays] + self.trend.at(days)
        variance = self.design * sampling + self.between
        independent = np.maximum(self.days[weekdays] * self.temper, 1.0)
        unsure = 1.0 / independent + self.trend.leverage(days)
        variance = variance + self.total * _RUN * unsure
        with np.errstate(divide="ignore", invalid="ignore"):
            standardised = np.where(variance > 0, (means - usual) / np.sqrt(variance), np.nan)
        return Scores(standardised, _degrees(self.independent_degrees, variance, self.total), usual)


@dataclass(frozen=True, kw_only=True)
class ShareNull(_DayNull):
    """Of a share: signed roots of the deviance, whose variance is 1 for independent rows.

    With half a row of continuity correction their tails are those of the normal distribution to
    within a factor of a few at any expected count (Pierce and Schafer, Residuals in generalized
    linear models, 1986), so that rare categories and missing values need no other treatment.

    `total` is the variance of the reference days' residuals in effective rows, below 1 where the
    same entities come every day. The trend is added to the usual share's angle, the arc sine of its
    root, on which scale shares of any size have the same variance.

    Attributes:
        rows: (7,) effective rows on which each usual share rests: rows over the design effect.
        mean_rows: effective rows of a reference day.
    """

    rows: Floats
    mean_rows: float

    @classmethod
    def fit(cls, counts: Ints, rows: Ints, days: Ints, design: float = 1.0) -> tuple[Self, ...]:
        """Measure it: a level, and where the reference grows or falls a line as well.

        There is none where fewer than five days have rows.

        Args:
            counts: (days,) rows of the category.
            rows: (days,) all rows.
            days: (days,) since 1970.
            design: design effect.
        """
        has_rows = rows > 0
        if has_rows.sum() < FEWEST_DAYS:
            return ()
        total, days = np.asarray(rows[has_rows] / design), days[has_rows]
        of_category = np.asarray(counts[has_rows] / design)
        level = cls._fit(of_category, total, days, design)
        if of_category.sum() < _ROWS_OF_WEEKDAYS:
            return (level,)
        usual = level.usual[weekday(days)]
        angles = signed_roots(of_category, total, usual, 0.0) / (2.0 * np.sqrt(total))
        trend = Trend.fit(angles, days, _spare(level.usual, len(days)))
        return (level,) if trend is None else (level, level._along(trend, of_category, total, days))

    def _along(self, trend: Trend, counts: Floats, rows: Floats, days: Ints) -> Self:
        """The same level with a line through it."""
        usual = _moved(self.usual[weekday(days)], trend.at(days))
        residuals = signed_roots(counts, rows, usual, 0.0)
        degrees = _spare(self.usual, len(days)) - 1.0
        return replace(
            self,
            total=max(1.0 / self.design, float((residuals**2).sum() / degrees)),
            degrees=min(degrees, tail_degrees(residuals)),
            temper=tempering(residuals, days),
            trend=trend,
        )

    @classmethod
    def _fit(cls, counts: Floats, rows: Floats, days: Ints, design: float) -> Self:
        """The level, in effective rows."""
        overall = (counts.sum() + 0.5) / (rows.sum() + 1.0)
        groups = np.zeros(len(rows), dtype=np.int64)
        if counts.sum() >= _ROWS_OF_WEEKDAYS:
            groups = weekday_groups(signed_roots(counts, rows, overall, 0.0), days)
        members = np.bincount(groups, rows, minlength=7).astype(np.float64)
        present = np.bincount(groups, minlength=7) > 0
        degrees = len(rows) - float(present.sum())
        usual = (np.bincount(groups, counts, minlength=7) + 0.5) / (members + 1.0)
        residuals = signed_roots(counts, rows, usual[groups], 0.0)
        is_frequent = counts.sum() >= _ENTITIES_OF_A_PANEL
        least = 1.0 / design if is_frequent else 1.0
        total = max(least, float((residuals**2).sum() / degrees))
        of_weekday = np.arange(7) if groups.any() else np.zeros(7, dtype=np.int64)
        usual = np.where(present, usual, np.nan)[of_weekday]
        return cls(
            usual=usual,
            rows=members[of_weekday],
            total=total,
            mean_rows=float(rows.mean()),
            design=design,
            degrees=min(degrees, tail_degrees(residuals)),
            temper=tempering(residuals, days) if is_frequent else 1.0,
        )

    def scores(self, counts: Ints, rows: Ints, days: Ints, clusters: npt.ArrayLike = 1.0) -> Scores:
        """Standardise windows; arguments as of `fit`, (windows,).

        Args:
            counts: (windows,) rows of the category.
            rows: (windows,) all rows.
            days: (windows,) since 1970.
            clusters: (windows,) design effect of the category's rows in each window itself, for
                categories of which the reference knows too little.
        """
        weekdays = weekday(days)
        growth = self.trend.at(days)
        usual = _moved(self.usual[weekdays], growth)
        design = np.maximum(self.design, np.asarray(clusters))
        effective = rows / design
        shares = _moved(self._in_clusters(weekdays, design / self.design), growth)
        roots = signed_roots(counts / design, effective, shares, 0.5)
        sampling = min(1.0, self.total)
        between = max(0.0, self.total - sampling)
        variance = sampling + between * effective / self.mean_rows
        unsure = 1.0 / np.maximum(self.rows[weekdays] * self.temper, 1.0)
        unsure = unsure + self.trend.leverage(days) / self.mean_rows
        variance = variance + self.total * _RUN * effective * unsure
        standardised = np.where(rows > 0, roots / np.sqrt(variance), np.nan)
        return Scores(standardised, _degrees(self.independent_degrees, variance, self.total), usual)

    def _in_clusters(self, weekdays: Ints, ratio: Floats) -> Floats:
        """(windows,) usual share where rows come in clusters `ratio` times those of the reference.

        So many fewer clusters were in the reference: it says less of what it has none of.
        """
        rows = self.rows[weekdays]
        counts = self.usual[weekdays] * (rows + 1.0) - 0.5
        return np.asarray((counts / ratio + 0.5) / (rows / ratio + 1.0))


def _moved(shares: Floats, angles: Floats) -> Floats:
    """Shares (n,) whose angles are moved by `angles` (n,), within 0 and 1."""
    moved = np.clip(np.arcsin(np.sqrt(shares)) + angles, _LEAST_ANGLE, np.pi / 2.0 - _LEAST_ANGLE)
    return np.where(angles == 0.0, shares, np.sin(moved) ** 2)


_LEAST_ANGLE = 1e-4


def _spare(usual: Floats, days: int) -> float:
    """Degrees of freedom of days around a level, by weekday where these differ."""
    has_usual = usual[np.isfinite(usual)]
    return float(days - (len(has_usual) if np.ptp(has_usual) > 0.0 else 1))


def weekday(days: Ints) -> Ints:
    """Weekday (n,) from Monday = 0 of days (n,) since 1970."""
    return np.asarray((days + 3) % 7)


def weekday_groups(values: Floats, days: Ints) -> Ints:
    """Weekday (days,) where weekdays differ (F test at 1%, three days of each), else zeros."""
    weekdays = weekday(days)
    members = np.bincount(weekdays, minlength=7)
    present = members > 0
    alike = np.zeros(len(values), dtype=np.int64)
    if present.sum() < 2 or members[present].min() < _DAYS_OF_A_WEEKDAY:
        return alike
    means = np.bincount(weekdays, values, minlength=7) / np.maximum(members, 1)
    within = float(((values - means[weekdays]) ** 2).sum())
    between = float((members * (means - values.mean()) ** 2)[present].sum())
    first, second = int(present.sum()) - 1, len(values) - int(present.sum())
    if between <= 0.0:
        return alike
    ratio = between / first / max(within / second, 1e-300)
    return weekdays if f_distribution.sf(ratio, first, second) < _WEEKDAYS_DIFFER else alike


def tail_degrees(residuals: Floats) -> float:
    """Degrees of freedom of the Student's t with the tails of days' residuals (days,).

    By the excess kurtosis, 6 / (degrees - 4), as far as it is above what normal days show by
    chance (one standard error, the root of 24 / days).
    """
    squares = (residuals - residuals.mean()) ** 2
    variance = float(squares.mean())
    if variance <= _ALIKE:
        return _MOST_DEGREES
    excess = float((squares**2).mean()) / variance**2 - 3.0 - float(np.sqrt(24.0 / len(residuals)))
    return max(_FEWEST_DEGREES, 4.0 + 6.0 / excess) if excess > 0.0 else _MOST_DEGREES


def signed_roots(
    counts: npt.ArrayLike, rows: npt.ArrayLike, shares: npt.ArrayLike, continuity: float
) -> Floats:
    """Signed root (n,) of the binomial deviance of counts of rows at expected shares (n,)."""
    total, share = np.asarray(rows, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    observed = np.asarray(counts, dtype=np.float64)
    expected = total * share
    gap = observed - expected
    nearer = observed - np.sign(gap) * np.minimum(continuity, np.abs(gap))
    rest, expected_rest = total - nearer, total - expected
    with np.errstate(divide="ignore", invalid="ignore"):
        deviance = xlogy(nearer, nearer / expected) + xlogy(rest, rest / expected_rest)
    return np.asarray(np.sign(gap) * np.sqrt(np.maximum(2.0 * deviance, 0.0)))


def _degrees(measured: float, variance: Floats, total: float) -> Floats:
    """Of freedom of a variance of which the measured part is uncertain (Satterthwaite, 1946)."""
    ratio = np.clip(variance / max(total, _ALIKE), 1.0, _MOST_DEGREES)
    return np.asarray(np.minimum(measured * ratio**2, _MOST_DEGREES))
