"""Every model's curves and risk scores for machines it never saw."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lib.maintenance.model.baselines import boosted
from lib.maintenance.model.rows import TrainingRows
from lib.survival.blending import blend, fit_weight, folds
from lib.survival.cox import fit_cox
from lib.survival.curves import Curves
from lib.survival.kaplan_meier import KaplanMeier
from lib.survival.settings import HazardSettings
from lib.survival.training import fit_network
from tests.benchmarks.azure.rows import Azure

HORIZON = 336.0
GRID = np.unique(np.concatenate([np.arange(0.0, 73.0, 3.0), np.arange(72.0, HORIZON + 1, 12.0)]))
SCORED = GRID[1:-1]
WARN_HOURS = 72.0
NETWORK = HazardSettings(horizon=HORIZON, intervals=20, epochs=15, members=2, dropout=0.3)
MODELS = (
    *("kaplan_meier", "fixed_interval", "threshold", "gradient_boosting"),
    *("cox", "deep", "blend", "blend_60_40"),
)


@dataclass
class Predicted:
    """By model: curves of the test rows, risk scores of test rows and of rows before failures."""

    curves: dict[str, Curves] = field(default_factory=dict)
    scores: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    weights: list[float] = field(default_factory=list)


def predictions(data: Azure, seed: int) -> Predicted:
    """Five folds over all machines; inside each, folds over the rest for the blend's weight."""
    machines = np.unique(np.concatenate([data.train.machines, data.before.machines]))
    result = Predicted()
    survival = {name: np.empty((len(data.test), len(GRID))) for name in MODELS}
    scores = {name: (np.empty(len(data.test)), np.empty(len(data.before))) for name in MODELS}
    for kept, left in folds(machines, 5, seed):
        train = np.isin(data.train.machines, machines[kept])
        test, before = (np.isin(part.machines, machines[left]) for part in (data.test, data.before))
        query_rows = np.concatenate([data.test.rows[test], data.before.rows[before]])
        curves, risks, weight = fold(data, np.flatnonzero(train), query_rows, seed)
        result.weights.append(weight)
        for name in MODELS:
            survival[name][test] = curves[name].at(GRID)[: test.sum()]
            scores[name][0][test] = risks[name][: test.sum()]
            scores[name][1][before] = risks[name][test.sum() :]
    result.curves = {name: Curves(GRID, values) for name, values in survival.items()}
    result.scores = scores
    return result


def fold(
    data: Azure, rows: np.ndarray, query_rows: np.ndarray, seed: int
) -> tuple[dict[str, Curves], dict[str, np.ndarray], float]:
    """Curves and scores of all models for the rows `query_rows`, learned from training `rows`."""
    train = weighed(data, rows)
    outcomes = train.outcomes.capped(HORIZON)
    weight = inner_weight(data, rows, seed)
    curves = {
        "kaplan_meier": KaplanMeier.fit(outcomes).curves(len(query_rows)),
        "cox": cox(data, train)(query_rows),
        "deep": deep(data, train, seed)(query_rows),
    }
    for name, share in (("blend", weight), ("blend_60_40", 0.6)):
        curves[name] = blend(curves["deep"], curves["cox"], share, GRID)
    for name, score in baselines(data, train, seed).items():
        model = fit_cox((name,), score(train.rows)[:, None], outcomes, penalty=0.0)
        curves[name] = model.curves(score(query_rows)[:, None])
    risks = {name: 1.0 - each.at(WARN_HOURS)[:, 0] for name, each in curves.items()}
    for name, score in baselines(data, train, seed).items():
        risks[name] = score(query_rows)
    return curves, risks, weight


def weighed(data: Azure, rows: np.ndarray) -> TrainingRows:
    """Training rows as often as they weigh."""
    return data.train.take(np.repeat(rows, data.weight[rows]))


def inner_weight(data: Azure, rows: np.ndarray, seed: int) -> float:
    """The blend's weight, on machines of the training folds that either model did not see."""
    firsts, seconds, judged = [], [], []
    for kept, left in folds(data.train.machines[rows], 3, seed + 1):
        train, rest = weighed(data, rows[kept]), weighed(data, rows[left])
        firsts.append(deep(data, train, seed)(rest.rows).at(GRID))
        seconds.append(cox(data, train)(rest.rows).at(GRID))
        judged.append(np.repeat(rows[left], data.weight[rows[left]]))
    outcomes = data.train.outcomes.take(np.concatenate(judged)).capped(HORIZON)
    curves = [Curves(GRID, np.concatenate(part)) for part in (firsts, seconds)]
    return fit_weight(outcomes, *curves, SCORED)


def cox(data: Azure, train: TrainingRows):
    """Ridge Cox on all columns."""
    model = fit_cox(data.names, train.rows, train.outcomes.capped(HORIZON), penalty=0.01)
    return model.curves


def deep(data: Azure, train: TrainingRows, seed: int):
    """Hazard networks on all columns."""
    network = fit_network(data.names, train.rows, train.outcomes, train.machines, NETWORK, seed)
    return network.curves


def baselines(data: Azure, train: TrainingRows, seed: int):
    """Scores that rank rows: time since service, the farthest sensor, boosted trees at 72 h."""
    since = [k for k, name in enumerate(data.names) if name.startswith("hours_since_service_")]
    means = [k for k, name in enumerate(data.names) if "_mean_" in name and name.endswith("12h")]
    middle, spread = train.rows[:, means].mean(axis=0), train.rows[:, means].std(axis=0)
    return {
        "fixed_interval": lambda rows: np.nan_to_num(rows[:, since], nan=0.0).max(axis=1),
        "threshold": lambda rows: np.abs((rows[:, means] - middle) / spread).max(axis=1),
        "gradient_boosting": boosted(train, WARN_HOURS, seed),
    }
