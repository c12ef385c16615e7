"""What the challenger brings more than the champion, in money per entity and day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lib.experiment.covariate import adjust, before_columns
from lib.experiment.errors import ExperimentError

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
WINSOR_QUANTILE = 0.999
"""Money per entity beyond this quantile, on either side, counts as that at the quantile."""


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
        influence: (entities,) what each contributes to the error; the sum of squares is its square.
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
    before: Floats | None = None,
    quantile: float = WINSOR_QUANTILE,
) -> Effect:
    """Compare the arms over the pieces of an experiment.

    The gain is the weighted mean of the pieces' differences of means; its error sums each entity's
    influence over the pieces, as one entity's outcomes are not independent.

    Args:
        pieces: with the same entities in the same order.
        before: (entities,) money in a time before, NaN for those who are new; None adjusts nothing.
        quantile: of winsorising; 1 clips nobody.

    Raises:
        ExperimentError: an arm has fewer than two entities, or money is not finite.
    """
    if not 0.5 < quantile <= 1.0:
        raise ExperimentError(f"quantile: expected above 0.5 and up to 1, got {quantile}")
    weights = np.array([piece.weight for piece in pieces])
    measured = [_measure(piece, before, quantile) for piece in pieces]
    shares = weights / weights.sum()
    influence = np.sum([w * m.influence for w, m in zip(shares, measured, strict=True)], axis=0)
    last = measured[-1]
    return Effect(
        per_day=float(sum(w * m.per_day for w, m in zip(shares, measured, strict=True))),
        standard_error=float(np.sqrt(influence @ influence)),
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
    clipped = [winsorised(piece.money, quantile) for piece in pieces]
    for piece in pieces:
        _require_entities("challenger", int(piece.challenger.sum()))
    parts = [
        _influence(money / piece.days, piece.challenger)
        for piece, (money, _, _) in zip(pieces, clipped, strict=True)
    ]
    influence = np.sum([w * part[0] for w, part in zip(shares, parts, strict=True)], axis=0)
    changed = [(money != p.money).sum() for p, (money, _, _) in zip(pieces, clipped, strict=True)]
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
        limits=(clipped[-1][1], clipped[-1][2]),
    )


def winsorised(values: Floats, quantile: float) -> tuple[Floats, float, float]:
    """Values with those beyond a quantile on either side set to it, and the two limits.

    >>> winsorised(np.array([0.0, 1.0, 2.0, 3.0, 100.0]), 0.75)[0].tolist()
    [1.0, 1.0, 2.0, 3.0, 3.0]
    """
    if quantile >= 1.0:
        return values, float(values.min()), float(values.max())
    low, high = np.quantile(values, [1.0 - quantile, quantile])
    return np.clip(values, low, high), float(low), float(high)


def look_correlation(earlier: Floats, later: Floats) -> float:
    """Correlation of the errors of two looks' estimates, by influences (entities,) in one order.

    Args:
        earlier: influences at the earlier look, 0 for entities that it did not know.
        later: at the later look.
    """
    scale = float(np.sqrt((earlier @ earlier) * (later @ later)))
    return float(np.clip(earlier @ later / scale, 0.0, 1.0)) if scale > 0.0 else 0.0


def _measure(piece: Piece, before: Floats | None, quantile: float) -> Effect:
    _require_arms(piece)
    clipped, low, high = winsorised(piece.money, quantile)
    covariates = np.empty((len(clipped), 0))
    if before is not None:
        known = ~np.isnan(before)
        earlier = before.copy()
        if known.any():
            earlier[known] = winsorised(before[known], quantile)[0]
        covariates = before_columns(earlier)
    adjusted = adjust(clipped / piece.days, covariates, piece.challenger)
    challenger, challenger_mean, count = _influence(adjusted.values, piece.challenger)
    champion, champion_mean, other = _influence(adjusted.values, ~piece.challenger)
    influence = challenger - champion
    return Effect(
        per_day=challenger_mean - champion_mean,
        standard_error=float(np.sqrt(influence @ influence)),
        influence=influence,
        champion_per_day=champion_mean,
        challenger_per_day=challenger_mean,
        champion_entities=other,
        challenger_entities=count,
        variance_cut=adjusted.variance_cut,
        clipped=int((clipped != piece.money).sum()),
        limits=(low, high),
    )


def _influence(values: Floats, arm: Flags) -> tuple[Floats, float, int]:
    """Influences (entities,) on an arm's mean, the mean, and its entities."""
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
