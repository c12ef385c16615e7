"""What the models have to beat: one curve for all, the calendar, a threshold, boosted trees."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from xgboost import XGBClassifier

from lib.maintenance.feature_set import AssetFeatureSet
from lib.maintenance.history import Floats
from lib.maintenance.model.rows import TrainingRows
from lib.survival.cox import fit_cox
from lib.survival.curves import Curves
from lib.survival.kaplan_meier import KaplanMeier
from lib.survival.outcomes import SurvivalError

Score = Callable[[Floats], Floats]
_RIDGE = 0.01
SCORES = ("fixed interval", "threshold", "gradient boosting")


def baseline_scores(
    features: AssetFeatureSet, train: TrainingRows, hours: float, seed: int
) -> dict[str, Score]:
    """Functions from rows (n, features) to scores (n,), higher is worse, by name of `SCORES`.

    Args:
        features: what the rows' columns are.
        train: rows to fit on.
        hours: horizon of the boosted trees' question.
        seed: of the trees.
    """
    return {
        "fixed interval": _longest_unserved(features),
        "threshold": _farthest_sensor(features, train.rows),
        "gradient boosting": boosted(train, hours, seed),
    }


def as_curves(score: Score, train: TrainingRows, horizon: float) -> Callable[[Floats], Curves]:
    """Curves of a score alone, by a Cox model; one curve for all where it tells nobody apart.

    A score that tells all failures of few apart has no finite coefficient; a ridge keeps it finite.
    """
    values, outcomes = score(train.rows)[:, None], train.outcomes.capped(horizon)
    if np.ptp(values) == 0.0:
        marginal = KaplanMeier.fit(outcomes)
        return lambda rows: marginal.curves(len(rows))
    try:
        model = fit_cox(("score",), values, outcomes, penalty=0.0)
    except SurvivalError:
        model = fit_cox(("score",), values, outcomes, penalty=_RIDGE)
    return lambda rows: model.curves(score(rows)[:, None])


def _longest_unserved(features: AssetFeatureSet) -> Score:
    heads = [f"hours_since_service_{part}" for part in features.components]
    columns = [features.names.index(name) for name in heads or ["hours_since_service"]]

    def score(rows: Floats) -> Floats:
        since = rows[:, columns]
        return np.asarray(np.where(np.isnan(since), 0.0, since).max(axis=1))

    return score


def _farthest_sensor(features: AssetFeatureSet, train: Floats) -> Score:
    """Distance of the window's means from the fleet's, in standard deviations: the largest."""
    hours = features.windows_hours[0]
    columns = [
        column
        for sensor in features.sensors
        for column, name in enumerate(features.names)
        if name == f"{sensor.name}_mean{sensor.token}_{hours}h"
    ]
    means = train[:, columns]
    has_values = np.isfinite(means).any(axis=0)
    middle = np.zeros(len(columns))
    spread = np.ones(len(columns))
    middle[has_values], spread[has_values] = (
        np.nanmean(means[:, has_values], axis=0),
        np.nanstd(means[:, has_values], axis=0),
    )
    spread[spread <= 0.0] = 1.0

    def score(rows: Floats) -> Floats:
        far = np.abs((rows[:, columns] - middle) / spread)
        return np.asarray(np.where(np.isnan(far), 0.0, far).max(axis=1))

    return score


def boosted(train: TrainingRows, hours: float, seed: int) -> Score:
    """Log-odds of boosted trees that a machine fails within some hours."""
    outcomes = train.outcomes
    is_known = outcomes.failed | (outcomes.time > hours)
    fails = (outcomes.failed & (outcomes.time <= hours))[is_known]
    if not fails.any() or fails.all():
        raise SurvivalError(
            f"{int(fails.sum())} of {len(fails)} training rows fail within {hours:g} h; boosted "
            "trees need both kinds: give more history or another --model.alarm-hours"
        )
    trees = XGBClassifier(
        n_estimators=200,
        max_depth=4,
        learning_rate=0.05,
        subsample=0.7,
        n_jobs=1,
        random_state=seed,
    ).fit(train.rows[is_known], fails)

    def score(rows: Floats) -> Floats:
        probability = np.clip(trees.predict_proba(rows)[:, 1].astype(np.float64), 1e-6, 1 - 1e-6)
        return np.asarray(np.log(probability / (1.0 - probability)))

    return score
