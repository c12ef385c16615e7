"""What the model has to beat, on the same rows."""

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lib.churn.model.fitting import Split
from lib.churn.snapshots import Snapshots
from lib.churn.target import Floats

RFM = (
    *("days_since_invoice", "invoices_365d", "invoiced_365d"),
    *("invoice_mean_365d", "tenure_days", "items_365d"),
)
"""Recency, frequency, monetary value, and what else is usual beside them (Fader and Hardie)."""
_RECENCY = ("days_since_use", "days_since_invoice")
_HALVED = ("usage_trend_30d", "invoiced_trend_30d")


def baseline_scores(split: Split, seed: int, threads: int = 2) -> dict[str, Floats]:
    """Scores (test rows,) by baseline; higher leaves sooner. What the data lacks is left out."""
    scores: dict[str, Floats] = {}
    recency = _first_told(split.test, _RECENCY)
    if recency is not None:
        scores["recency alone"] = recency
    halved = _first_told(split.test, _HALVED)
    if halved is not None:
        scores["rule: usage halved"] = np.asarray(-halved)
    train, test = _filled(split)
    labels = split.train.labels
    scores["logistic regression"] = _logistic_scores(train, labels, test)
    forest = RandomForestClassifier(
        200, min_samples_leaf=10, n_jobs=threads, random_state=seed
    ).fit(train, labels)
    scores["random forest"] = np.asarray(forest.predict_proba(test)[:, 1])
    if _first_told(split.test, RFM[:1]) is not None:
        scores["logistic regression on RFM"] = rfm_scores(split)
    return scores


def rfm_scores(split: Split) -> Floats:
    """Logistic regression on the six figures of `RFM`, standardised and no more."""
    train, test = (
        np.nan_to_num(np.column_stack([rows.column(name) for name in RFM]))
        for rows in (split.train, split.test)
    )
    return _logistic_scores(train, split.train.labels, test)


def _logistic_scores(train: Floats, labels: Floats, test: Floats) -> Floats:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return np.asarray(model.fit(train, labels).decision_function(test))


def _first_told(rows: Snapshots, names: tuple[str, ...]) -> Floats | None:
    """The first of some features that is told; a customer without it is as bad as the worst."""
    for name in names:
        values = rows.column(name)
        if not np.isnan(values).all():
            worst = np.nanmax(values) if name.startswith("days") else np.nanmin(values)
            return np.where(np.isnan(values), worst, values)
    return None


def _filled(split: Split) -> tuple[Floats, Floats]:
    """Features with the training median for what is missing; untold ones are left out."""
    has_values = ~np.isnan(split.train.matrix).all(axis=0)
    train, test = split.train.matrix[:, has_values], split.test.matrix[:, has_values]
    usual = np.nanmedian(train, axis=0)
    return np.where(np.isnan(train), usual, train), np.where(np.isnan(test), usual, test)
