"""The probability of a positive from score and inputs, learnt on rows whose labels are ripe.

A calibrated score is right on average at each score, and may be wrong where inputs move to. Boosted
trees on top of it learn what the inputs still say; they are fitted across blocks of time, so that
each row is judged by trees that did not see its days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost as xgb

from lib.calibration import Calibrator, fit_calibrator, logit
from lib.monitoring.scored_rows import DAY, Codes, Flags, Floats, MonitoringError, ScoredRows

_ROUNDS = 60
_PATIENCE = 10


@dataclass(frozen=True)
class OutcomeModel:
    """Calibrated score and trees on top of it.

    Attributes:
        calibrator: of the score's log-odds.
        booster: adds to the calibrated log-odds; None where inputs say no more than the score.
    """

    calibrator: Calibrator
    booster: xgb.Booster | None

    def log_odds(self, rows: ScoredRows) -> Floats:
        """(n,) log-odds of a positive."""
        calibrated = self.calibrator.log_odds(logit(rows.score))
        if self.booster is None:
            return calibrated
        added = self.booster.predict(_matrix(rows, calibrated), output_margin=True)
        return np.asarray(added, dtype=np.float64)


@dataclass(frozen=True)
class OutcomeModels:
    """A model for each block of the reference, fitted on the others.

    Attributes:
        models: (k,).
        block: (n,) block of each reference row.
        log_odds: (n,) of each reference row, by the model that did not see its block.
    """

    models: Sequence[OutcomeModel]
    block: Codes
    log_odds: Floats

    def predict(self, rows: ScoredRows) -> Floats:
        """(n,) log-odds of rows of other days: the mean over the models."""
        return np.asarray(np.mean([model.log_odds(rows) for model in self.models], axis=0))


def fit_outcome_models(
    reference: ScoredRows, blocks: int, *, seed: int, most_rows: int, threads: int
) -> OutcomeModels:
    """Fit across blocks of successive days.

    Args:
        reference: every label known; scores are probabilities.
        blocks: how many, 2 or more; fewer where there are fewer days.
        seed: of draws and trees.
        most_rows: negatives that trees are fitted on, drawn evenly; all positives are.
        threads: of XGBoost.

    Raises:
        MonitoringError: fewer than two days, or a label is not known.
    """
    if not reference.known.all():
        raise MonitoringError("label: expected known labels in the reference, got unknown ones")
    block = _blocks(reference.event_time, blocks)
    count = int(block.max()) + 1
    if count < 2:
        raise MonitoringError("event_time: expected two days or more in the reference, got one")
    models, log_odds = [], np.empty(len(reference))
    for number in range(count):
        model = _fit(reference, block, number, seed, most_rows, threads)
        rows = block == number
        log_odds[rows] = model.log_odds(reference.take(rows))
        models.append(model)
    return OutcomeModels(models, block, log_odds)


def _blocks(event_time: Codes, blocks: int) -> Codes:
    """Block of each row: successive days, about as many in each."""
    days = event_time // DAY
    distinct = np.unique(days)
    edges = np.array_split(distinct, min(blocks, len(distinct)))
    starts = np.array([edge[0] for edge in edges])
    return (np.searchsorted(starts, days, side="right") - 1).astype(np.int64)


def _fit(
    reference: ScoredRows, block: Codes, left_out: int, seed: int, most_rows: int, threads: int
) -> OutcomeModel:
    """Calibrator on all other blocks; trees on them but for the next block, which stops them."""
    others = block != left_out
    calibrator = fit_calibrator(
        logit(reference.score[others]), reference.label[others] > 0.5, "auto"
    )
    if reference.inputs is None:
        return OutcomeModel(calibrator, None)
    count = int(block.max()) + 1
    judge = block == ((left_out + 1) % count)
    train = _drawn(reference, others & ~judge if count > 2 else others, seed, most_rows)
    stop = _drawn(reference, judge & others, seed + 1, most_rows)
    return OutcomeModel(calibrator, _boost(reference, calibrator, train, stop, seed, threads))


def _drawn(rows: ScoredRows, among: Flags, seed: int, most_rows: int) -> tuple[Flags, Floats]:
    """All positives and some negatives among rows, with weights that make up for those left out."""
    positive = rows.label > 0.5
    negatives = int((among & ~positive).sum())
    share = min(1.0, most_rows / max(negatives, 1))
    drawn = among & (positive | (np.random.default_rng(seed).random(len(rows)) < share))
    return drawn, np.where(positive[drawn], 1.0, 1.0 / share)


def _boost(
    reference: ScoredRows,
    calibrator: Calibrator,
    train: tuple[Flags, Floats],
    stop: tuple[Flags, Floats],
    seed: int,
    threads: int,
) -> xgb.Booster | None:
    """Trees on top of the calibrated log-odds, as many as lower the log loss of other days."""
    matrices = []
    for drawn, weight in (train, stop):
        rows = reference.take(drawn)
        matrix = _matrix(rows, calibrator.log_odds(logit(rows.score)))
        matrix.set_label(rows.label)
        matrix.set_weight(weight)
        matrices.append(matrix)
    parameters = {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        "max_depth": 3,
        "learning_rate": 0.1,
        "subsample": 0.8,
        "colsample_bytree": 0.8,
        "min_child_weight": 10.0,
        "reg_lambda": 10.0,
        "max_bin": 64,
        "seed": seed,
        "nthread": threads,
        "verbosity": 0,
    }
    progress: dict[str, Any] = {}
    booster = xgb.train(
        parameters,
        matrices[0],
        _ROUNDS,
        evals=[(matrices[1], "stop")],
        evals_result=progress,
        early_stopping_rounds=_PATIENCE,
        verbose_eval=False,
    )
    before = _log_loss(reference, calibrator, stop)
    if min(progress["stop"]["logloss"]) >= before:
        return None
    return booster[: booster.best_iteration + 1]


def _log_loss(reference: ScoredRows, calibrator: Calibrator, drawn: tuple[Flags, Floats]) -> float:
    """Of the calibrated score alone."""
    rows, weight = reference.take(drawn[0]), drawn[1]
    log_odds = calibrator.log_odds(logit(rows.score))
    losses = np.logaddexp(0.0, log_odds) - rows.label * log_odds
    return float(np.average(losses, weights=weight))


def _matrix(rows: ScoredRows, calibrated: Floats) -> xgb.DMatrix:
    if rows.inputs is None:
        raise MonitoringError("inputs: expected those of the reference, got none")
    columns = np.column_stack([rows.inputs, calibrated]).astype(np.float32)
    return xgb.DMatrix(columns, base_margin=calibrated, nthread=1)
