"""What the challenger brings more than the champion, in money per entity and day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lib.business.outcomes import Flags, Floats
from lib.experiment.covariate import adjust, before_columns
from lib.experiment.errors import ExperimentError

WINSOR_QUANTILE = 0.999
"""Money per entity beyond this quantile, on either side, counts as that at the quantile."""
_FEWEST_BEFORE = 100


@dataclass(frozen=True)
class Past:
    """What entities brought before an experiment.

    Attributes:
        days: its length.
        money: (entities,) currency units, NaN for those who are new.
    """

    days: float
    money: Floats


@dataclass(frozen=True)
class Piece:
    """A span of an experiment with one share, and what its entities brought in it.

    Attributes:
        days: its length.
        share: of entities in the challenger's arm.
        challenger: (entities,) who is in it.
        money: (entities,) currency units, 0 for an entity without a decision in it.
    """

    days: float
    share: float
    challenger: Flags
    money: Floats

    @property
    def weight(self) -> float:
        """Of the piece in the whole: about inverse to its variance, and known before any outcome.

        So a first week at a share of 1% does not drown a second one at 50%, and pieces whose days
        differ are not mixed over arms (Simpson's paradox).
        """
        return self.days * self.share * (1.0 - self.share)


@dataclass(frozen=True)
class Effect:
    """The challenger's gain with its error.

    Attributes:
        per_day: money that it brings more, per entity and day, currency units.
        standard_error: of it.
        influence: (entities,) what each contributes to the pooled error, whose square is the sum of
            their squares.
        champion_per_day, challenger_per_day: the arms' means.
        champion_entities, challenger_entities: of the last piece.
        variance_cut: share of the variance that the time before explained.
        clipped: entities whose money was winsorised.
        limits: the amounts at which it was, in the last piece.
    """

    per_day: float
    standard_error: float
    influence: Floats = field(repr=False)
    champion_per_day: float
    challenger_per_day: float
    champion_entities: int
    challenger_entities: int
    variance_cut: float
    clipped: int
    limits: tuple[float, float]

    @property
    def z(self) -> float:
        """The gain in standard errors."""
        return self.per_day / self.standard_error if self.standard_error > 0.0 else 0.0


def measure_effect(
    pieces: Sequence[Piece],
    past: Past | None = None,
    quantile: float = WINSOR_QUANTILE,
) -> Effect:
    """Compare the arms over the pieces of an experiment.

    The gain is the weighted mean of the pieces' differences of means; its error sums each entity's
    influence over the pieces, as one entity's outcomes are not independent. Of each piece the
    larger of the pooled and of Welch's standard error counts.

    Args:
        pieces: with the same entities in the same order.
        past: of the entities; None adjusts nothing.
        quantile: of winsorising, see `winsor_limits`; 1 clips nobody.

    Raises:
        ExperimentError: an arm has fewer than two entities, or money is not finite.
    """
    if not 0.5 < quantile <= 1.0:
        raise ExperimentError(f"quantile: expected above 0.5 and up to 1, got {quantile}")
    weights = np.array([piece.weight for piece in pieces])
    measured = [_measure(piece, past, quantile) for piece in pieces]
    shares = weights / weights.sum()
    influence = np.sum([w * m.influence for w, m in zip(shares, measured, strict=True)], axis=0)
    pooled = np.array([np.sqrt(m.influence @ m.influence) for m in measured])
    larger = np.array([m.standard_error for m in measured])
    growth = float(np.max(np.divide(larger, pooled, where=pooled > 0.0, out=np.ones(len(pooled)))))
    last = measured[-1]
    return Effect(
        per_day=_mean(shares, [m.per_day for m in measured]),
        standard_error=float(np.sqrt(influence @ influence)) * growth,
        influence=influence,
        champion_per_day=_mean(shares, [m.champion_per_day for m in measured]),
        challenger_per_day=_mean(shares, [m.challenger_per_day for m in measured]),
        champion_entities=last.champion_entities,
        challenger_entities=last.challenger_entities,
        variance_cut=_mean(shares, [m.variance_cut for m in measured]),
        clipped=sum(m.clipped for m in measured),
        limits=last.limits,
    )


def measure_paired(pieces: Sequence[Piece], quantile: float = WINSOR_QUANTILE) -> Effect:
    """The gain where both models were asked about the same subjects, as in shadow mode.

    Args:
        pieces: `challenger` says which entities both models scored, and `money` is what the
            challenger would have brought more.
        quantile: of winsorising; 1 clips nobody.

    Raises:
        ExperimentError: fewer than two entities were scored.
    """
    weights = np.array([piece.days * piece.share for piece in pieces])
    shares = weights / weights.sum()
    limits = [quantiles(piece.money, quantile) for piece in pieces]
    clipped = [np.clip(p.money, *pair) for p, pair in zip(pieces, limits, strict=True)]
    for piece in pieces:
        _require_entities("challenger", int(piece.challenger.sum()))
    parts = [
        _influence(money / piece.days, piece.challenger)
        for piece, money in zip(pieces, clipped, strict=True)
    ]
    influence = np.sum([w * part[0] for w, part in zip(shares, parts, strict=True)], axis=0)
    changed = [(money != p.money).sum() for p, money in zip(pieces, clipped, strict=True)]
    return Effect(
        per_day=_mean(shares, [mean for _, mean, _ in parts]),
        standard_error=float(np.sqrt(influence @ influence)),
        influence=influence,
        champion_per_day=0.0,
        challenger_per_day=_mean(shares, [mean for _, mean, _ in parts]),
        champion_entities=0,
        challenger_entities=parts[-1][2],
        variance_cut=0.0,
        clipped=int(sum(changed)),
        limits=limits[-1],
    )


def quantiles(values: Floats, quantile: float) -> tuple[float, float]:
    """Quantiles on both sides; the extremes where they coincide, which would leave nothing.

    >>> quantiles(np.array([0.0, 1.0, 2.0, 3.0, 100.0]), 0.75)
    (1.0, 3.0)
    """
    low, high = np.quantile(values, [1.0 - quantile, quantile])
    if low == high:
        low, high = values.min(), values.max()
    return float(low), float(high)


def winsor_limits(piece: Piece, past: Past | None, quantile: float) -> tuple[float, float]:
    """The amounts beyond which an entity's money counts as that amount.

    They are quantiles of what entities brought before the experiment, so that they are stated
    before its outcomes and are the same at each look; in proportion to the time where that is
    longer. Where too few were known before, they are quantiles of the piece.
    """
    if past is not None and quantile < 1.0:
        known = past.money[~np.isnan(past.money)]
        if len(known) >= _FEWEST_BEFORE:
            longer = max(1.0, piece.days / past.days)
            low, high = quantiles(known, quantile)
            # totals of a shorter time lie between those and no money at all
            return min(0.0, low) * longer, max(0.0, high) * longer
    return quantiles(piece.money, quantile)


def look_correlation(earlier: Floats, later: Floats) -> float:
    """Correlation of the errors of two looks' estimates, by influences (entities,) in one order.

    Args:
        earlier: influences at the earlier look, 0 for entities that it did not know.
        later: at the later look.
    """
    scale = float(np.sqrt((earlier @ earlier) * (later @ later)))
    return float(np.clip(earlier @ later / scale, 0.0, 1.0)) if scale > 0.0 else 0.0


def clipped_past(past: Past, quantile: float) -> Floats:
    """(entities,) winsorised money of the time before, NaN for those who are new."""
    known = ~np.isnan(past.money)
    return (
        np.clip(past.money, *quantiles(past.money[known], quantile)) if known.any() else past.money
    )


def _measure(piece: Piece, past: Past | None, quantile: float) -> Effect:
    _require_arms(piece)
    low, high = winsor_limits(piece, past, quantile)
    clipped = np.clip(piece.money, low, high)
    covariates = np.empty((len(clipped), 0))
    if past is not None:
        covariates = before_columns(clipped_past(past, quantile))
    adjusted = adjust(clipped / piece.days, covariates, piece.challenger)
    values, arm = adjusted.values, piece.challenger
    count = int(arm.sum())
    means = [float(values[~arm].mean()), float(values[arm].mean())]
    left = values - np.where(arm, means[1], means[0])
    influence = np.where(arm, left, -left) * _pooled_scale(len(values), count)
    return Effect(
        per_day=means[1] - means[0],
        standard_error=_larger_error(influence, left, arm),
        influence=influence,
        champion_per_day=means[0],
        challenger_per_day=means[1],
        champion_entities=len(values) - count,
        challenger_entities=count,
        variance_cut=adjusted.variance_cut,
        clipped=int((clipped != piece.money).sum()),
        limits=(low, high),
    )


def _pooled_scale(entities: int, challengers: int) -> float:
    """By this, deviations from the arms' means add up to the error of their difference."""
    champions = entities - challengers
    return float(np.sqrt((1.0 / challengers + 1.0 / champions) / (entities - 2.0)))


def _larger_error(influence: Floats, left: Floats, arm: Flags) -> float:
    """The larger of the errors by the variance of all entities and by that of each arm.

    Losses are rare and large. A small arm that happens to miss them has a high mean and a small
    variance at once, and Welch's error alone would call that a win: at a share of .1 in one of
    six experiments without a difference.
    """
    by_arm = 0.0
    for values in (left[arm], left[~arm]):
        by_arm += float(values @ values) / (len(values) * (len(values) - 1.0))
    return float(np.sqrt(max(float(influence @ influence), by_arm)))


def _influence(values: Floats, arm: Flags) -> tuple[Floats, float, int]:
    """Influences (entities,) on the mean of some of them, the mean, and how many they are."""
    count = int(arm.sum())
    mean = float(values[arm].mean())
    return np.where(arm, (values - mean) / np.sqrt(count * (count - 1.0)), 0.0), mean, count


def _require_arms(piece: Piece) -> None:
    if not np.isfinite(piece.money).all():
        raise ExperimentError("money: expected a finite amount for each entity")
    count = int(piece.challenger.sum())
    _require_entities("challenger", count)
    _require_entities("champion", len(piece.challenger) - count)


def _require_entities(arm: str, entities: int) -> None:
    if entities < 2:
        raise ExperimentError(
            f"the {arm}'s arm has {entities} entities with ripe outcomes; expected at least 2: "
            "wait until more outcomes are ripe, or raise the share"
        )


def _mean(weights: Floats, values: Sequence[float]) -> float:
    return float(weights @ np.asarray(values, dtype=np.float64))
