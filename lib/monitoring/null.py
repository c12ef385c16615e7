"""The measured null: how much one day of the reference differs from the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy
from scipy.stats import f as f_distribution

from lib.monitoring.bins import Floats, Ints

FEWEST_DAYS = 5
"""A reference of fewer days cannot say how much days differ."""

_RUN = 3
"""Windows over which evidence adds up; all are compared with the same estimate of the reference."""

_MOST_DEGREES = 200.0
_WEEKDAYS_DIFFER = 0.01
_DAYS_OF_A_WEEKDAY = 3
_ROWS_OF_WEEKDAYS = 50
_ALIKE = 1e-12


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


@dataclass(frozen=True)
class MeanNull:
    """Of a mean: y = usual + day + rows, where days vary by `between` and rows by `sampling`.

    Attributes:
        usual: (7,) by weekday from Monday; equal where weekdays do not differ, NaN where the
            reference has no such day.
        days: (7,) days on which each rests.
        total: variance of a day's mean around the usual one, as measured.
        between: the part of it that more rows a day would not lessen.
        design: design effect of the sampling variance.
        degrees: of freedom of `total`.
        temper: below 1 where days resemble the day before, see `tempering`.
    """

    usual: Floats
    days: Floats
    total: float
    between: float
    design: float
    degrees: float
    temper: float

    @classmethod
    def fit(
        cls, means: Floats, sampling: Floats, days: Ints, design: float = 1.0
    ) -> MeanNull | None:
        """Measure it; None where fewer than five days have a mean.

        Args:
            means: (days,) NaN where there is none.
            sampling: (days,) variance of a mean of independent rows.
            days: (days,) since 1970.
            design: design effect.
        """
        has_mean = np.isfinite(means)
        means, sampling, days = means[has_mean], sampling[has_mean], days[has_mean]
        groups = weekday_groups(means, days)
        members = np.bincount(groups, minlength=7).astype(np.float64)
        degrees = len(means) - float((members > 0).sum())
        if len(means) < FEWEST_DAYS or degrees < FEWEST_DAYS - 1:
            return None
        sums = np.bincount(groups, means, minlength=7)
        usual = np.where(members > 0, sums / np.maximum(members, 1), np.nan)
        residuals = means - usual[groups]
        total = float((residuals**2).sum() / degrees)
        between = max(0.0, total - design * float(sampling.mean()))
        of_weekday = np.arange(7) if groups.any() else np.zeros(7, dtype=np.int64)
        temper = tempering(residuals, days)
        usual, members = usual[of_weekday], members[of_weekday]
        return cls(usual, members, total, between, design, degrees, temper)

    def scores(self, means: Floats, sampling: Floats, days: Ints) -> Scores:
        """Standardise windows; arguments as of `fit`, (windows,)."""
        weekdays = weekday(days)
        usual = self.usual[weekdays]
        variance = self.design * sampling + self.between
        variance = variance + self.total * _RUN / np.maximum(self.days[weekdays], 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            standardised = np.where(variance > 0, (means - usual) / np.sqrt(variance), np.nan)
        return Scores(standardised, _degrees(self.degrees, variance, self.total), usual)


@dataclass(frozen=True)
class ShareNull:
    """Of a share: signed roots of the deviance, whose variance is 1 for independent rows.

    With half a row of continuity correction their tails are those of the normal distribution to
    within a factor of a few at any expected count (Pierce and Schafer, Residuals in generalized
    linear models, 1986), so that rare categories and missing values need no other treatment.

    Attributes:
        usual: (7,) share by weekday, see `MeanNull`.
        rows: (7,) rows on which each rests.
        total: variance of the reference days' residuals, 1 or more.
        mean_rows: of a reference day.
        design: design effect.
        degrees: of freedom of `total`.
        temper: see `tempering`.
    """

    usual: Floats
    rows: Floats
    total: float
    mean_rows: float
    design: float
    degrees: float
    temper: float

    @classmethod
    def fit(cls, counts: Ints, rows: Ints, days: Ints, design: float = 1.0) -> ShareNull | None:
        """Measure it; None where fewer than five days have rows.

        Args:
            counts: (days,) rows of the category.
            rows: (days,) all rows.
            days: (days,) since 1970.
            design: design effect.
        """
        counts, rows, days = counts[rows > 0], rows[rows > 0], days[rows > 0]
        if len(rows) < FEWEST_DAYS:
            return None
        overall = (counts.sum() + 0.5) / (rows.sum() + 1.0)
        groups = np.zeros(len(rows), dtype=np.int64)
        if counts.sum() >= _ROWS_OF_WEEKDAYS:
            groups = weekday_groups(signed_roots(counts, rows, overall, 0.0), days)
        members = np.bincount(groups, rows, minlength=7).astype(np.float64)
        present = np.bincount(groups, minlength=7) > 0
        degrees = len(rows) - float(present.sum())
        usual = (np.bincount(groups, counts, minlength=7) + 0.5) / (members + 1.0)
        residuals = signed_roots(counts, rows, usual[groups], 0.0)
        total = max(1.0, float((residuals**2).sum() / degrees))
        of_weekday = np.arange(7) if groups.any() else np.zeros(7, dtype=np.int64)
        usual = np.where(present, usual, np.nan)[of_weekday]
        temper = tempering(residuals, days)
        mean_rows = float(rows.mean())
        return cls(usual, members[of_weekday], total, mean_rows, design, degrees, temper)

    def scores(self, counts: Ints, rows: Ints, days: Ints) -> Scores:
        """Standardise windows; arguments as of `fit`, (windows,)."""
        weekdays = weekday(days)
        usual = self.usual[weekdays]
        roots = signed_roots(counts, rows, usual, 0.5)
        between = max(0.0, self.total - self.design)
        variance = self.design + between * rows / self.mean_rows
        variance = variance + self.total * _RUN * rows / np.maximum(self.rows[weekdays], 1.0)
        standardised = np.where(rows > 0, roots / np.sqrt(variance), np.nan)
        return Scores(standardised, _degrees(self.degrees, variance, self.total), usual)


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


def tempering(residuals: Floats, days: Ints) -> float:
    """Share of a window's evidence that counts where deviations last for days.

    (1 - r) / (1 + r) for a correlation r of consecutive days, the share of independent values in a
    long autocorrelated run; correlations that chance explains count as none.
    """
    follows = np.diff(days) == 1
    centred = residuals - residuals.mean()
    sizes = float((centred**2).mean())
    if follows.sum() < FEWEST_DAYS or sizes <= _ALIKE:
        return 1.0
    correlation = float((centred[1:] * centred[:-1])[follows].mean()) / sizes
    shown = min(max(0.0, correlation - 1.0 / float(np.sqrt(follows.sum()))), 0.99)
    return (1.0 - shown) / (1.0 + shown)


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
