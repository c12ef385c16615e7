"""The boosted half: XGBoost trees, one booster or a bag of several seeds."""

from collections.abc import Callable, Mapping
from typing import Any

import xgboost as xgb

from lib.boosting.boosted_trees import BoostedTrees
from lib.boosting.parameters import classification_parameters
from lib.fraud.model.sample import Sample, kept_rows, refuse_one_class
from lib.fraud.model.settings import TreeSettings


def booster_parameters(
    settings: TreeSettings, seed: int, device: str = "cpu", threads: int = 0
) -> dict[str, Any]:
    """XGBoost's own parameters, the same wherever the booster is trained.

    Early stopping goes by the last measure, the log loss: average precision over the few frauds of
    some days jumps, and stops before the log-odds have found their level.

    `base_score` is set: left out, XGBoost starts from the prevalence, which costs .08 of average
    precision on rare fraud with few trees.

    Args:
        settings: how the trees grow.
        seed: of the draws of rows and features.
        device: `cpu` or `cuda`.
        threads: of one process; 0 takes all cores.
    """
    return {
        **classification_parameters(settings, seed, threads),
        "eval_metric": ["aucpr", "logloss"],
        "base_score": 0.5,
        "device": device,
        "max_bin": settings.max_bin,
        "scale_pos_weight": settings.positive_weight,
    }


def fit_trees(
    train: Sample,
    valid: Sample | None,
    settings: TreeSettings,
    *,
    seed: int,
    device: str = "cpu",
    threads: int = 0,
    on_tree: Callable[[int, float], None] | None = None,
) -> BoostedTrees:
    """Fit in this process.

    Args:
        train: rows to fit on; one class only is refused with ValueError.
        valid: later rows for early stopping; None grows all `settings.trees`.
        settings: how the trees grow.
        seed: of the first booster; the next ones count up from it.
        device: `cpu` or `cuda`.
        threads: 0 takes all cores.
        on_tree: told each tree's number from 1 and the average precision on the later rows.
    """
    refuse_one_class(train.labels)
    boosters = []
    for number in range(settings.boosters):
        drawn = train.rows(kept_rows(train.labels, settings.negative_share, seed + number))
        parameters = booster_parameters(settings, seed + number, device, threads)
        boosters.append(_fit_one(drawn, valid, settings, parameters, on_tree))
    return BoostedTrees(tuple(boosters))


class _Telling(xgb.callback.TrainingCallback):
    """Passes each tree's measure on."""

    def __init__(self, on_tree: Callable[[int, float], None]) -> None:
        super().__init__()
        self._on_tree = on_tree

    def after_iteration(self, _model: Any, epoch: int, evals_log: Any) -> bool:
        """Called by XGBoost after each tree; False goes on."""
        self._on_tree(epoch + 1, float(evals_log["valid"]["aucpr"][-1]))
        return False


def _fit_one(
    train: Sample,
    valid: Sample | None,
    settings: TreeSettings,
    parameters: Mapping[str, Any],
    on_tree: Callable[[int, float], None] | None,
) -> xgb.Booster:
    """One booster, cut back to its best tree when there are rows to judge by."""
    bins = settings.max_bin
    rows = xgb.QuantileDMatrix(
        train.matrix,
        train.labels,
        weight=train.weights,
        max_bin=bins,
        nthread=parameters["nthread"],
    )
    if valid is None or not valid.labels.any():
        return xgb.train(dict(parameters), rows, settings.trees)
    judge = xgb.QuantileDMatrix(
        valid.matrix, valid.labels, ref=rows, max_bin=bins, nthread=parameters["nthread"]
    )
    # average precision sorts all later rows after each tree, so it is taken where it is told
    measures = parameters["eval_metric"][0 if on_tree else -1 :]
    booster = xgb.train(
        {**parameters, "eval_metric": measures},
        rows,
        settings.trees,
        evals=[(judge, "valid")],
        early_stopping_rounds=settings.early_stopping,
        verbose_eval=False,
        callbacks=[_Telling(on_tree)] if on_tree else [],
    )
    best = booster.attr("best_iteration")
    return booster if best is None else booster[: int(best) + 1]
