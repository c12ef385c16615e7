"""Fits: one fold, one replicate, and from all folds what the model needs to know of itself.

Each function is a task of its own: it takes rows and settings and answers arrays or a model.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lib.maintenance.feature_set import AssetFeatureSet
from lib.maintenance.history import Floats
from lib.maintenance.model.baselines import as_curves, baseline_scores
from lib.maintenance.model.model import Half
from lib.maintenance.model.rows import TrainingRows
from lib.maintenance.model.settings import ModelSettings, time_grid
from lib.survival.blending import blend, fit_weight
from lib.survival.cox import CoxModel, fit_cox
from lib.survival.curves import Curves
from lib.survival.kaplan_meier import KaplanMeier
from lib.survival.network import HazardNetwork
from lib.survival.outcomes import Outcomes, SurvivalError
from lib.survival.prediction_interval import PredictionInterval
from lib.survival.settings import HazardSettings
from lib.survival.training import fit_network

CURVES = ("Kaplan-Meier", "fixed interval", "threshold", "gradient boosting", "Cox", "deep")
FIXED_WEIGHT = 0.6
_DAY_HOURS = 24.0


def require_machines(rows: TrainingRows, count: int, option: str = "--model.folds") -> None:
    """Refuse rows of fewer machines than there are folds, as each fold leaves out whole machines.

    Raises:
        SurvivalError: says how many machines there are, and what can be done.
    """
    machines = np.unique(rows.machines)
    if len(machines) >= count:
        return
    named = ", ".join(machines[:3].tolist())
    raise SurvivalError(
        f"{option} {count}: expected rows of {count} machines or more, as each fold is measured on "
        f"machines that it did not learn from; got {len(machines)} ({named}). Give the readings of "
        f"more machines, or, where a machine was run several times, each run an id of its own "
        "(machine_id: {from: [MACHINE, RUN]})"
        + (f"; or fewer folds ({option} {len(machines)})" if len(machines) > 1 else "")
    )


def reach(rows: TrainingRows, settings: ModelSettings) -> float:
    """The model's horizon: the setting's, or less where nobody was watched for so long.

    Raises:
        SurvivalError: there is no failure.
    """
    outcomes = rows.outcomes
    if not outcomes.failed.any():
        raise SurvivalError(
            f"no failures among {len(outcomes):,} training rows of {len(np.unique(rows.machines))} "
            "machines: check the failures' table, its machine ids and its times"
        )
    longest = float(np.quantile(outcomes.time, 0.999))
    full_hours = float(np.floor(longest)) if longest >= _DAY_HOURS else longest
    return min(settings.horizon_hours, full_hours)


def mode_names(rows: TrainingRows) -> tuple[str, ...]:
    """Modes of the failures seen, by name."""
    return tuple(sorted({str(mode) for mode in rows.modes[rows.outcomes.failed]}))


@dataclass(frozen=True)
class HalfPlan:
    """What Cox and network are fitted to, on whatever rows.

    Attributes:
        features: what the columns are.
        modes: kinds of failure that the network tells apart.
        horizon: hours until which outcomes are watched.
        settings: of both.
    """

    features: AssetFeatureSet
    modes: tuple[str, ...]
    horizon: float
    settings: ModelSettings

    def fit(self, rows: TrainingRows, seed: int) -> Half:
        """Cox and network on the same rows, with the seed of the network."""
        train = rows.thinned(self.settings.most_rows, seed)
        return Half(self.fit_cox(train), self.fit_network(train, seed))

    def fit_cox(self, train: TrainingRows, test_proportionality: bool = False) -> CoxModel:
        """Cox's model; its assumption is tested on demand (slow)."""
        return fit_cox(
            self.features.names,
            train.rows,
            train.outcomes.capped(self.horizon),
            penalty=self.settings.penalty,
            groups=train.machines if test_proportionality else None,
            test_proportionality=test_proportionality,
            categorical=self.features.codes,
        )

    def fit_network(self, train: TrainingRows, seed: int) -> HazardNetwork:
        """The network, in this process."""
        failing, codes = len(self.modes), self.features.codes
        return fit_network(*self.network_input(train), seed, failing=failing, categorical=codes)

    def network_input(
        self, train: TrainingRows
    ) -> tuple[tuple[str, ...], Floats, Outcomes, npt.NDArray[np.str_], HazardSettings]:
        """Names, rows, outcomes, machines and settings, as the network's fitting takes them."""
        settings = self.settings.hazards(self.horizon)
        by_mode = train.by_mode(self.modes)
        return self.features.names, train.rows, by_mode, train.machines, settings

    def fit_replicate(self, rows: TrainingRows, seed: int) -> Half:
        """A small model on machines drawn with replacement; again while none of them fails."""
        small = replace(self, settings=self.settings.small)
        for attempt in range(100):
            drawn = rows.redrawn(seed + 1_000_003 * attempt)
            if drawn.outcomes.capped(self.horizon).failed.any():
                return small.fit(drawn, seed)
        raise SurvivalError(
            "no draw of machines has a failure; give more machines or --replicates 0"
        )


def fold_answers(
    features: AssetFeatureSet,
    train: TrainingRows,
    rows: Floats,
    horizon: float,
    settings: ModelSettings,
    seed: int,
) -> dict[str, Floats]:
    """What models fitted on `train` say of rows (n, features) of other machines.

    Returns:
        by name of `CURVES`: S (n, m) at `time_grid(horizon)`; and (n,) scores as `score: NAME`.
    """
    grid = time_grid(horizon)
    modes = mode_names(train)
    train = train.thinned(settings.most_rows, seed)
    half = HalfPlan(features, modes, horizon, settings).fit(train, seed)
    marginal = KaplanMeier.fit(train.outcomes.capped(horizon)).curves(len(rows))
    answers = {
        "Kaplan-Meier": marginal.at(grid),
        "Cox": half.cox.curves(rows).at(grid),
        "deep": half.network.curves(rows).at(grid),
    }
    for name, score in baseline_scores(features, train, settings.alarm_hours, seed).items():
        answers[f"score: {name}"] = score(rows)
        answers[name] = as_curves(score, train, horizon)(rows).at(grid)
    return answers


@dataclass(frozen=True)
class OutOfFoldStats:
    """What is learnt from machines that no model of their fold saw.

    Attributes:
        weight: of the network in the blend.
        likely: where the time to failure lies.
    """

    weight: float
    likely: PredictionInterval


def learn_from_folds(
    rows: TrainingRows, cox: Floats, deep: Floats, horizon: float, settings: ModelSettings
) -> OutOfFoldStats:
    """The blend's weight and the width of its intervals.

    Args:
        rows: (n,) training rows.
        cox: (n, m) S at the grid, out of fold.
        deep: the same of the network.
        horizon: the grid's last hour.
        settings: of the model.
    """
    grid = time_grid(horizon)
    outcomes = rows.outcomes.capped(horizon)
    first, second = Curves(grid, deep), Curves(grid, cox)
    weight = fit_weight(outcomes, first, second, scored_times(outcomes.time, grid))
    mixed = blend(first, second, weight, grid)
    return OutOfFoldStats(
        weight,
        PredictionInterval.fit(outcomes, mixed, settings.level, horizon, owners=rows.machines),
    )


def scored_times(watched: Floats, grid: Floats) -> Floats:
    """Times of the grid at which the Brier score is taken: while somebody is watched on."""
    last = np.quantile(watched, 0.99)
    inside = grid[1:-1][grid[1:-1] < last]
    return inside if len(inside) >= 2 else grid[1:3]


def usual_values(rows: Floats, codes: Sequence[int] = ()) -> tuple[Floats, Floats]:
    """(features,) medians and standard deviations, 0 and 1 for columns without any value.

    Args:
        rows: (n, features).
        codes: columns that hold codes; the most frequent code is usual.
    """
    has_values = np.isfinite(rows).any(axis=0)
    usual, spread = np.zeros(rows.shape[1]), np.ones(rows.shape[1])
    usual[has_values] = np.nanmedian(rows[:, has_values], axis=0)
    spread[has_values] = np.nanstd(rows[:, has_values], axis=0)
    spread[spread <= 0.0] = 1.0
    for column in codes:
        values, counts = np.unique(rows[np.isfinite(rows[:, column]), column], return_counts=True)
        if len(values):
            usual[column] = values[counts.argmax()]
    return usual, spread


def gathered(
    parts: Sequence[dict[str, Floats]], positions: Sequence[np.ndarray], count: int
) -> dict[str, Floats]:
    """Answers of all folds, each row at its place among `count`."""
    answers: dict[str, Floats] = {}
    for part, fold_positions in zip(parts, positions, strict=True):
        for name, values in part.items():
            all_values = answers.setdefault(name, np.full((count, *values.shape[1:]), np.nan))
            all_values[fold_positions] = values
    return answers
