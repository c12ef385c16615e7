"""Boosted trees of a table: how deep and how many, rows that they did not see say."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xgboost as xgb

from lib.boosting.boosted_trees import BoostedTrees
from lib.boosting.parameters import TreeSettings, classification_parameters
from lib.static_table.settings import PATIENCE

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
_FOLDS = 4
_MANY_ROWS = 30_000
_LEAST_SHARE = 1e-4


@dataclass(frozen=True)
class TreeChoice:
    """The settings that were chosen.

    Attributes:
        name: of the settings.
        trees: of each booster.
        losses: mean log loss on rows left out, by name of the settings.
    """

    name: str
    trees: int
    losses: Mapping[str, float]


def choose_trees(
    matrix: Floats, labels: Floats, candidates: Mapping[str, TreeSettings], seed: int
) -> TreeChoice:
    """The settings and the number of trees with the lowest loss on rows left out.

    Early stopping in four folds of the rows to learn from; with many rows in one of them.

    Args:
        matrix: (rows, attributes); NaN is missing.
        labels: (rows,) 0/1.
        candidates: settings by name.
        seed: of the folds and of the draws.
    """
    folds = list(_judged_rows(labels, seed))
    counts, losses = {}, {}
    for name, settings in candidates.items():
        fits = [_stopped(matrix, labels, judged, settings, seed) for judged in folds]
        counts[name] = max(1, round(float(np.mean([trees for trees, _ in fits]))))
        losses[name] = float(np.mean([loss for _, loss in fits]))
    best = min(losses, key=lambda name: losses[name])
    return TreeChoice(best, counts[best], losses)


def fit_trees(
    matrix: Floats, labels: Floats, settings: TreeSettings, trees: int, seed: int
) -> BoostedTrees:
    """Boosters of all rows, on one thread.

    Args:
        matrix: (rows, attributes); NaN is missing.
        labels: (rows,) 0/1.
        settings: how they grow.
        trees: of each booster.
        seed: of the first of them.
    """
    rows = _rows(matrix, labels)
    return BoostedTrees(
        tuple(
            xgb.train(_parameters(settings, seed + number, labels), rows, trees)
            for number in range(settings.boosters)
        )
    )


def _judged_rows(labels: Floats, seed: int) -> Iterator[Flags]:
    """Rows that are left out, for each fold; each label is spread evenly over the folds."""
    fold = np.zeros(len(labels), dtype=np.int64)
    generator = np.random.default_rng(seed)
    for label in (0.0, 1.0):
        members = generator.permutation(np.flatnonzero(labels == label))
        fold[members] = np.arange(len(members)) % _FOLDS
    for number in range(1 if len(labels) > _MANY_ROWS else _FOLDS):
        yield fold == number


def _stopped(
    matrix: Floats, labels: Floats, judged: Flags, settings: TreeSettings, seed: int
) -> tuple[int, float]:
    """Trees with the lowest loss on the judged rows, and that loss."""
    learnt = _rows(matrix[~judged], labels[~judged])
    booster = xgb.train(
        _parameters(settings, seed, labels[~judged]),
        learnt,
        settings.trees,
        evals=[(_rows(matrix[judged], labels[judged], learnt), "judged")],
        early_stopping_rounds=PATIENCE,
        verbose_eval=False,
    )
    return int(booster.best_iteration) + 1, float(booster.best_score)


def _parameters(settings: TreeSettings, seed: int, labels: Floats) -> dict[str, object]:
    base = float(np.clip(labels.mean(), _LEAST_SHARE, 1 - _LEAST_SHARE))
    parameters = classification_parameters(settings, seed)
    return {**parameters, "eval_metric": "logloss", "base_score": base}


def _rows(matrix: Floats, labels: Floats, like: xgb.DMatrix | None = None) -> xgb.QuantileDMatrix:
    return xgb.QuantileDMatrix(matrix.astype(np.float32), labels, ref=like, nthread=1)
