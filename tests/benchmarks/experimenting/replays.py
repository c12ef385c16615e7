"""Thousands of experiments between a model and itself, on the same money, by sums of products.

An arm's means, the coefficients of CUPED, standard errors and correlations of looks depend on the
arms by sums of the columns and of their products alone. So all replays are two multiplications of
matrices, in which entities with the same money, such as none at all, stand once with their number;
`largest_difference` repeats some by `lib.experiment.effect` itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq

from lib.business.outcomes import Flags, Floats, Ints
from lib.experiment.confidence_sequence import intrinsic_times, time_uniform_bound
from lib.experiment.covariate import before_columns
from lib.experiment.effect import (
    Past,
    Piece,
    clipped_past,
    look_correlation,
    measure_effect,
    winsor_limits,
)
from lib.experiment.looks import SHARPEST_DAYS
from lib.experiment.ratio_check import FALSE_STOPS, log_bayes_factor
from lib.experiment.sequential import boundaries

REPLAYS_AT_ONCE = 1_000
_NAIVE = 1.959964


@dataclass(frozen=True)
class Replays:
    """Looks (replays, looks) at experiments in which nothing differs.

    Attributes:
        champion, challenger: mean money per entity and day.
        champion_scatter, challenger_scatter: sums of squares around them.
        champions, challengers: (replays, 1) entities.
        correlation: (replays, looks) of each look's error with that of the look before, the first
            of no meaning.
        variance_cut: by CUPED, at the last look.
    """

    champion: Floats
    challenger: Floats
    champion_scatter: Floats
    challenger_scatter: Floats
    champions: Floats
    challengers: Floats
    correlation: Floats
    variance_cut: float

    @property
    def z(self) -> Floats:
        """Gains in standard errors."""
        return self.z_with(0.0)

    def z_with(self, saved: float) -> Floats:
        """The same, had the challenger saved a share of what its entities lost."""
        left = 1.0 - saved
        n, m = self.champions, self.challengers
        first, second = self.champion_scatter, left**2 * self.challenger_scatter
        pooled = (first + second) / (n + m - 2.0) * (1.0 / n + 1.0 / m)
        welch = first / (n * (n - 1.0)) + second / (m * (m - 1.0))
        return (left * self.challenger - self.champion) / np.sqrt(np.maximum(pooled, welch))


@dataclass(frozen=True)
class LooksAtMoney:
    """What the looks of an experiment see of its entities, by kinds that cannot be told apart.

    Attributes:
        totals: (kinds, looks) money a day until each look, winsorised.
        before: (kinds, 2) covariates of CUPED.
        sizes: (kinds,) entities of each.
        order: (entities,) the entities, kind after kind.
        raw: (entities, looks) money until each look.
        past: money before, of the entities.
    """

    totals: Floats
    before: Floats
    sizes: Ints
    order: Ints
    raw: Floats
    past: Past

    @classmethod
    def of(cls, money: Floats, looks: int, quantile: float) -> LooksAtMoney:
        """Looks at the end of each of the last days of money (entities, days)."""
        raw = money[:, -looks:].cumsum(axis=1)
        past = Past(money.shape[1] - looks, money[:, :-looks].sum(axis=1))
        nobody = np.zeros(len(money), dtype=np.bool_)
        totals = []
        for look in range(looks):
            piece = Piece(look + 1.0, 0.5, nobody, raw[:, look])
            clipped = np.clip(piece.money, *winsor_limits(piece, past, quantile))
            totals.append(clipped / piece.days)
        before = before_columns(clipped_past(past, quantile))
        columns = np.column_stack([raw, past.money])
        _, first, kind, sizes = np.unique(
            columns, axis=0, return_index=True, return_inverse=True, return_counts=True
        )
        order = np.argsort(kind.ravel(), kind="stable")
        return cls(np.column_stack(totals)[first], before[first], sizes, order, raw, past)

    def arm(self, challengers: Floats) -> Flags:
        """(entities,) who is in the challenger's arm, where so many (kinds,) of each kind are."""
        index = np.arange(len(self.order)) - np.repeat(self.sizes.cumsum() - self.sizes, self.sizes)
        arm = np.empty(len(self.order), dtype=np.bool_)
        arm[self.order] = index < np.repeat(challengers, self.sizes)
        return arm


def drawn_arms(looks: LooksAtMoney, share: float, seed: int, turn: int, replays: int) -> Floats:
    """(replays, kinds) how many are in the challenger's arm, each entity by itself with the share.

    Args:
        looks: at the entities.
        share: of the challenger.
        seed: of all replays.
        turn: which thousand of them.
        replays: how many.
    """
    random = np.random.default_rng([seed, 9, turn])
    return random.binomial(looks.sizes, share, (replays, len(looks.sizes))).astype(np.float64)


def replayed(looks: LooksAtMoney, share: float, seed: int, replays: int) -> Replays:
    """All looks of all replays, as `measure_effect` and `look_correlation` measure them."""
    parts = [
        _replayed(looks, drawn_arms(looks, share, seed, turn, min(left, REPLAYS_AT_ONCE)))
        for turn, left in enumerate(range(replays, 0, -REPLAYS_AT_ONCE))
    ]
    columns = [np.concatenate([part[i] for part in parts]) for i in range(7)]
    return Replays(*columns, float(np.mean([part[7] for part in parts])))


def _replayed(looks: LooksAtMoney, challengers: Floats) -> tuple[Any, ...]:
    # centred, so that sums of products lose no digits
    values = np.column_stack([looks.totals, looks.before])
    level = looks.sizes @ values / looks.sizes.sum()
    values = values - level
    size = values.shape[1]
    products = (values[:, :, None] * values[:, None, :]).reshape(len(values), -1)
    weights = np.stack([looks.sizes - challengers, challengers])  # (arms, replays, kinds)
    counts = weights.sum(axis=2)
    means = weights @ values / counts[:, :, None]
    squares = (weights @ products).reshape(2, -1, size, size)
    within = squares - counts[:, :, None, None] * means[..., :, None] * means[..., None, :]
    count = looks.totals.shape[1]
    pooled = within.sum(axis=0)
    theta = np.linalg.pinv(pooled[:, count:, count:], hermitian=True) @ pooled[:, count:, :count]
    adjusted = means[:, :, :count] - np.einsum("arx,rxl->arl", means[:, :, count:], theta)
    # of outcomes less what covariates explain: D' W D with D the identity over -theta
    identity = np.broadcast_to(np.eye(count), (len(theta), count, count))
    explained = np.concatenate([identity, -theta], axis=1)
    scatter = np.swapaxes(explained, 1, 2) @ within @ explained
    covariance = scatter.sum(axis=0)
    error = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    beside = np.diagonal(covariance, offset=1, axis1=1, axis2=2)
    correlation = np.zeros_like(error)
    correlation[:, 1:] = np.clip(beside / (error[:, 1:] * error[:, :-1]), 0.0, 1.0)
    cut = 1.0 - error[:, -1] ** 2 / pooled[:, count - 1, count - 1]
    squares_left = np.diagonal(scatter, axis1=2, axis2=3)
    adjusted = adjusted + level[:count]
    return *adjusted, *squares_left, *counts[:, :, None], correlation, float(cut.mean())


def largest_difference(
    looks: LooksAtMoney, challengers: Floats, replays: Replays, share: float, quantile: float
) -> float:
    """Of z and correlations of the first replays from those of the product's own estimate."""
    worst = 0.0
    for row, counts in enumerate(challengers):
        arm, influence = looks.arm(counts), None
        for look in range(looks.totals.shape[1]):
            piece = Piece(look + 1.0, share, arm, looks.raw[:, look])
            effect = measure_effect([piece], looks.past, quantile)
            worst = max(worst, abs(effect.z - replays.z[row, look]))
            if influence is not None:
                correlation = look_correlation(influence, effect.influence)
                worst = max(worst, abs(correlation - replays.correlation[row, look]))
            influence = effect.influence
    return worst


@dataclass(frozen=True)
class ErrorRates:
    """What replays show of the tests.

    Attributes:
        false_wins: share of experiments in which nothing differs that end with a winner.
        naive_false_wins: the same where each look is a test at 5%.
        fixed_false_wins: of the last look alone, as a test at 5%.
        endless_false_wins: by the always-valid confidence sequence.
        saved: share of losses that a challenger saves whom the fixed test shows with 80%.
        fixed_power: of the fixed test for that one, in the same replays.
        power: to promote that one by the sequential test.
        mean_stop: share of the fixed size at which those end.
        endless_power: by the confidence sequence.
        ratio_false_stops: by the sequential test of the sample ratio.
    """

    false_wins: float
    naive_false_wins: float
    fixed_false_wins: float
    endless_false_wins: float
    saved: float
    fixed_power: float
    power: float
    mean_stop: float
    endless_power: float
    ratio_false_stops: float


def error_rates(replays: Replays, bounds: Floats, share: float, seed: int) -> ErrorRates:
    """Look at all replays with and without a gain.

    Args:
        replays: without a difference.
        bounds: (replays or 1, looks) in standard errors.
        share: of the challenger.
        seed: of the arms of the sample ratio.
    """
    z, looks = replays.z, replays.z.shape[1]
    saved = fixed_saving(replays)
    better = replays.z_with(saved)
    crossed = np.abs(better) >= bounds
    first = np.where(crossed.any(axis=1), crossed.argmax(axis=1), looks - 1)
    wins = crossed.any(axis=1) & (np.take_along_axis(better, first[:, None], 1)[:, 0] > 0.0)
    endless = endless_bounds(replays)
    return ErrorRates(
        false_wins=_any(np.abs(z) >= bounds),
        naive_false_wins=_any(np.abs(z) >= _NAIVE),
        fixed_false_wins=float((np.abs(z[:, -1]) >= _NAIVE).mean()),
        endless_false_wins=_any(np.abs(z) >= endless),
        saved=saved,
        fixed_power=float((better[:, -1] >= _NAIVE).mean()),
        power=float(wins.mean()),
        mean_stop=float((first + 1.0).mean() / looks),
        endless_power=_any(better >= endless),
        ratio_false_stops=_ratio_stops(replays, share, looks, seed),
    )


def fixed_saving(replays: Replays, power: float = 0.8) -> float:
    """Share of losses that one test at the end shows with this power; NaN where none is enough."""

    def short_of(saved: float) -> float:
        return float(np.quantile(replays.z_with(saved)[:, -1], 1.0 - power)) - _NAIVE

    return float(brentq(short_of, 0.0, 1.0, xtol=1e-6)) if short_of(1.0) > 0.0 else float("nan")


def endless_bounds(replays: Replays) -> Floats:
    """(1, looks) bounds of the always-valid confidence sequence, by the mean correlations."""
    later = replays.correlation[:, 1:].mean(axis=0).tolist()
    return time_uniform_bound(intrinsic_times(1.0 / SHARPEST_DAYS, later))[None, :]


def planned_bounds(replays: Replays, rows: slice | None = None) -> Floats:
    """Group-sequential bounds: by the mean correlations (1, looks), or of some replays each."""
    looks = replays.z.shape[1]
    fractions = [(look + 1) / looks for look in range(looks)]
    correlations = replays.correlation.mean(axis=0, keepdims=True)
    if rows is not None:
        correlations = replays.correlation[rows]
    return np.array([boundaries(fractions, correlations=row.tolist()) for row in correlations])


def _ratio_stops(replays: Replays, share: float, looks: int, seed: int) -> float:
    """Entities come evenly over the looks, the first half of them at the first."""
    entities = float((replays.champions + replays.challengers)[0, 0])
    arrived = np.linspace(entities / 2, entities, looks).astype(int)
    random = np.random.default_rng([seed, 10])
    new = random.binomial(np.diff(arrived, prepend=0), share, (len(replays.champions), looks))
    challengers = new.cumsum(axis=1)
    counts = np.stack([arrived - challengers, challengers], axis=-1)
    return _any(log_bayes_factor(counts, [1.0 - share, share]) >= -np.log(FALSE_STOPS))


def _any(crossed: Flags) -> float:
    return float(crossed.any(axis=1).mean())
